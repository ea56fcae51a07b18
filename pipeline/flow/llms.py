"""llm add: the document of an LLM, made from its ``config.json`` files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import llms
from pipeline.errors import ArtifactError, PipelineError
from pipeline.flow.context import Context, read, write


def add(context: Context, paths: Sequence[Path], stated: llms.Stated) -> Path:
    """Write models/ID.yaml from one ``config.json`` a precision, and return its path.

    Raise PipelineError where the file is there already.
    """
    target = context.recipes / "models" / f"{stated.id}.yaml"
    if target.exists():
        hint = "choose another --id, or remove it"
        raise PipelineError("this LLM has a document", where=str(target), hint=hint)
    checkpoints = [llms.checkpoint(_json(path), where=str(path)) for path in paths]
    llm = llms.document(checkpoints, stated)
    write(target, llms.text(llm, [path.name for path in paths]))
    return target


def _json(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(config, dict):
        hint = "give the config.json of an LLM"
        raise ArtifactError("not a JSON object", where=str(path), hint=hint)
    return config
