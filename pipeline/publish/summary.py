"""The step summary: what stands on the page of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.errors import PipelineError
from pipeline.publish.message import Message, WorkflowRun, cut

MOST_BYTES: Final = 1 << 20  # of one step; the runner drops a longer one whole


def publish(message: Message, run: WorkflowRun, file: Path) -> str:
    """Append to the step's summary, what others wrote there kept; gives what was done."""
    try:
        there = file.stat().st_size if file.exists() else 0
        more = (
            f"It is in the [artifacts of this run]({run.url}#artifacts)."
            if run.url
            else "It is in the report's folder."
        )
        text = cut(message.body, MOST_BYTES - there - 1, more=more)
        if there + len(text.encode()) > MOST_BYTES:
            text = ""
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise PipelineError(
            f"cannot be written: {error.strerror}", where=f"$GITHUB_STEP_SUMMARY {file}"
        ) from error
    if not text:
        raise PipelineError(
            "the summary of this step is full", where=str(file), hint="publish from a step of its own"
        )
    return f"summary: {len(text.encode())} bytes"
