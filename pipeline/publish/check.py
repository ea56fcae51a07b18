"""A check run on the commit, with annotations at recipe lines."""

from __future__ import annotations

from typing import Any, Final

from pipeline.edge.github import GitHub
from pipeline.publish.message import Message, WorkflowRun, truncate_for_github
from pipeline.schema.publication import Annotation

PER_REQUEST: Final = 50  # annotations
CONCLUSION: Final = {"better": "success", "same": "success", "worse": "failure", "unknown": "neutral"}
LEVEL: Final = {"error": "failure", "warning": "warning", "notice": "notice"}


def publish(message: Message, run: WorkflowRun, github: GitHub) -> str:
    """Create or update the check run of this commit, run and attempt; each annotation is sent once.

    Return a line for the log.
    """
    runs = f"repos/{run.repository}/check-runs"
    name, external = f"rackbench {message.name}", f"{run.run_id or 'local'}-{run.attempt}"
    known = github.pages(
        f"repos/{run.repository}/commits/{message.head_sha}/check-runs",
        "check_runs",
        check_name=name,
        filter="latest",
    )
    found = next(
        (one for one in known if one.get("external_id") == external and one.get("name") == name), None
    )
    sent = int(found["output"]["annotations_count"]) if found else 0
    batches = [
        message.annotations[start : start + PER_REQUEST]
        for start in range(sent, len(message.annotations), PER_REQUEST)
    ] or [()]
    for index, batch in enumerate(batches):
        is_last = index == len(batches) - 1
        document = {
            "output": _output(message, run, batch),
            **(_end(message) if is_last else {"status": "in_progress"}),
        }
        if found is None:
            start = {"name": name, "head_sha": message.head_sha, "external_id": external}
            found = github.write(
                "POST", runs, {**start, **({"details_url": run.url} if run.url else {}), **document}
            )
        else:
            github.write("PATCH", f"{runs}/{found['id']}", document)
    return f"check: {_conclusion(message)}, {len(message.annotations)} annotations, commit {message.head_sha[:12]}"


def _end(message: Message) -> dict[str, Any]:
    return {"status": "completed", "conclusion": _conclusion(message)}


def _conclusion(message: Message) -> str:
    """Return what the check says; what a fork says of itself is never a success."""
    found = CONCLUSION[message.verdict]
    return "neutral" if message.is_foreign and found == "success" else found


def _output(message: Message, run: WorkflowRun, batch: tuple[Annotation, ...]) -> dict[str, Any]:
    return {
        "title": message.headline[:250],
        "summary": truncate_for_github(message.body, run),
        "annotations": [
            {
                "path": one.path,
                "start_line": one.line,
                "end_line": one.line,
                "annotation_level": LEVEL[one.severity],
                "message": one.message,
            }
            for one in batch
        ],
    }
