"""House rules of .github that no engine on this machine enforces: limits, rights, pins, filters, and how thin a workflow is.

``python -m tests.workflow_rules .github`` prints every breach and fails when there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PINNED = re.compile(r"^\s*-?\s*uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")
LONGEST_RUN = 3
RACK_LABELS = frozenset({"self-hosted", "gb200-slurm", "gb300-k8s"})


def breaches(path: str, text: str) -> Iterator[str]:
    """Every breach of a workflow or of a local action."""
    document = yaml.safe_load(text)
    for number, line in enumerate(text.splitlines(), 1):
        if (
            "uses:" in line
            and "uses: ./" not in line
            and not line.lstrip().startswith("#")
            and not PINNED.match(line)
        ):
            yield f"{path}:{number}: an action is pinned by its full commit, with its version as comment"
    if "jobs" in document:
        yield from _workflow(path, document, document.get("on", document.get(True)))
    for name, steps in _steps(document):
        yield from _thin(f"{path}: {name}", steps)


def _workflow(path: str, document: Mapping[str, Any], events: Any) -> Iterator[str]:
    if document.get("permissions") != {}:
        yield f"{path}: `permissions: {{}}` at the top, and what a job needs at the job"
    concurrency = document.get("concurrency") or {}
    if "cancel-in-progress" not in concurrency or not re.search(
        r"\$\{\{.*(github|inputs)\.", str(concurrency.get("group"))
    ):
        yield f"{path}: a concurrency group that names its run or ref, and whether it cancels"
    names = set(events) if isinstance(events, dict) else {events}
    if "pull_request_target" in names:
        yield f"{path}: pull_request_target runs with rights on code of strangers"
    if (
        "pull_request" in names
        and path.endswith("recipes.yml")
        and (events["pull_request"] or {}).get("paths") != ["recipes/**"]
    ):
        yield f"{path}: pull requests that touch recipes/** and no others"
    for name, job in document["jobs"].items():
        yield from _job(f"{path}: {name}", job, names)


def _job(where: str, job: Mapping[str, Any], events: set[str]) -> Iterator[str]:
    is_call = "uses" in job
    if not is_call and not isinstance(job.get("timeout-minutes"), int):
        yield f"{where}: timeout-minutes"
    if not isinstance(job.get("permissions"), dict):
        yield f"{where}: permissions of its own"
    if is_call and job.get("secrets") == "inherit":
        yield f"{where}: secrets by name, never all of them"
    if "strategy" in job and job["strategy"].get("fail-fast") is not False:
        yield f"{where}: fail-fast: false, one leg says nothing about another"
    if events & {"pull_request"} and any(
        value == "write" for value in (job.get("permissions") or {}).values()
    ):
        yield f"{where}: nothing that a pull request starts may write"
    if (
        "workflow_run" in events
        and (job.get("permissions") or {}).get("contents") == "write"
        and not _knows_whose(job)
    ):
        yield f"{where}: a fork's workflow may bear any name: a job that writes asks for workflow_run.event and its head_repository"
    labels = job.get("runs-on", "")
    if events & {"pull_request", "workflow_run"} and RACK_LABELS & set(
        labels if isinstance(labels, list) else [labels]
    ):
        yield f"{where}: a rack is reached through bench.yml, behind the label or a reviewed commit"


def _knows_whose(job: Mapping[str, Any]) -> bool:
    condition = str(job.get("if", ""))
    return all(
        f"github.event.workflow_run.{field}" in condition
        for field in ("event ==", "head_repository.full_name == github.repository")
    )


def _thin(where: str, steps: list[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if len(step.get("run", "").strip().splitlines()) > LONGEST_RUN:
            yield f"{where}: a run of more than {LONGEST_RUN} lines belongs into a verb"
        if "${{" in step.get("run", ""):
            yield f"{where}: values reach a run through env, never through an expression"
        if (
            step.get("uses", "").startswith("actions/checkout@")
            and step.get("with", {}).get("persist-credentials") is not False
        ):
            yield f"{where}: persist-credentials: false"
        if step.get("uses", "").startswith("actions/upload-artifact@") and not {
            "if-no-files-found",
            "retention-days",
        } <= set(step["with"]):
            yield f"{where}: an artifact says how long it lives, and that it may not be empty"


def _steps(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    if "runs" in document:
        yield "runs", document["runs"]["steps"]
    for name, job in document.get("jobs", {}).items():
        yield name, job.get("steps", [])


def check(folder: Path) -> list[str]:
    """Every breach below a .github folder."""
    files = [*sorted(folder.glob("workflows/*.yml")), *sorted(folder.glob("actions/*/action.yml"))]
    found = [] if files else [f"{folder}: no workflow"]
    return found + [
        breach for path in files for breach in breaches(path.as_posix(), path.read_text(encoding="utf-8"))
    ]


if __name__ == "__main__":
    said = check(Path(sys.argv[1]))
    sys.stderr.write("".join(f"{line}\n" for line in said))
    sys.exit(1 if said else 0)
