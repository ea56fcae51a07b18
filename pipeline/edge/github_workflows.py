"""Workflow runs of a repository on GitHub: start them, and find those that exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.edge.github import GitHub


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file of a repository, on a branch."""

    repository: str
    file: str
    ref: str

    @property
    def path(self) -> str:
        """Path of the workflow below the API."""
        return f"repos/{self.repository}/actions/workflows/{self.file}"


def dispatch(github: GitHub, workflow: Workflow, inputs: Mapping[str, Any]) -> None:
    """Start a run of a workflow; GitHub accepts inputs as text, at most 25 of them."""
    stated = {name: value for name, value in inputs.items() if value is not None and value != ""}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in stated.items()}
    github.write("POST", f"{workflow.path}/dispatches", {"ref": workflow.ref, "inputs": texts})


def dispatched_titles(github: GitHub, workflow: Workflow, *, since: datetime) -> set[str]:
    """Return the titles of the dispatched runs of a workflow since a time."""
    return {str(run["display_title"]) for run in _runs(github, workflow.path, "workflow_dispatch", since)}


def last_scheduled(github: GitHub, repository: str, workflow: str, *, since: datetime) -> str | None:
    """Return the address of the newest scheduled run of a workflow since a time; None when there is none."""
    runs = _runs(github, Workflow(repository, workflow, "").path, "schedule", since)
    return next((str(run["html_url"]) for run in runs), None)


def _runs(github: GitHub, path: str, event: str, since: datetime) -> Any:
    return github.pages(f"{path}/runs", "workflow_runs", event=event, created=f">={since:%Y-%m-%dT%H:%M:%SZ}")
