"""LLM documents from a Hugging Face ``config.json``: architecture, parameters, bytes. Pure."""

from pipeline.llms.document import Checkpoint, Stated, checkpoint, document, text

__all__ = ["Checkpoint", "Stated", "checkpoint", "document", "text"]
