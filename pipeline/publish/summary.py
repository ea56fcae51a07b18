"""The summary of a step on the page of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.edge import files
from pipeline.errors import PipelineError
from pipeline.publish.message import Message, WorkflowRun, truncate

MAX_BYTES: Final = 1 << 20  # of one step; the runner discards a longer summary


def publish(message: Message, run: WorkflowRun, file: Path) -> str:
    """Append to the summary of the step and return a line for the log."""
    with files.file_errors("read", f"$GITHUB_STEP_SUMMARY {file}"):
        present = file.stat().st_size if file.exists() else 0
    more = (
        f"It is in the [artifacts of this run]({run.url}#artifacts)."
        if run.url
        else "It is in the report's folder."
    )
    text = truncate(message.body, MAX_BYTES - present - 1, more=more)
    if present + len(text.encode()) > MAX_BYTES:
        raise PipelineError(
            "the summary of this step is full", where=str(file), hint="publish from a step of its own"
        )
    files.append(file, text, label="$GITHUB_STEP_SUMMARY")
    return f"summary: wrote {len(text.encode())} bytes"
