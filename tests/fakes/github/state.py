"""What GitHub knows: runs, artifacts, pull requests, issues, comments, check runs; rows as its own description gives them."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXAMPLES = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
BOT = {"login": "github-actions[bot]", "type": "Bot"}
NOW = "2026-11-25T01:00:00Z"


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # lower case
    body: Any


@dataclass
class Fault:
    """Answer ``status`` instead of the truth to the next ``times`` requests that match; ``done``: after having done what was asked."""

    method: str
    path: str  # regular expression
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"message": "broken by a test"}'
    times: int = 1
    done: bool = False


@dataclass
class Stored:
    """An artifact: its row and its zip, in memory or on disk."""

    row: dict[str, Any]
    content: bytes | Path
    blob_status: int = 200  # of the next download
    torn: bool = False  # the connection breaks half way
    held: threading.Event | None = None  # nothing comes before it is set


class GitHubState:
    """State behind the server; tests fill it, and read what was written."""

    def __init__(self, repository: str = "acme/bench", token: str = "a-token") -> None:  # noqa: S107  # of nobody
        self.repository, self.token = repository, token
        self.url = self.blobs = ""  # set by serve()
        self.requests: list[Seen] = []
        self.blob_requests: list[Seen] = []
        self.faults: list[Fault] = []
        self.runs: dict[int, dict[str, Any]] = {}
        self.artifacts: dict[int, Stored] = {}
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        self.dispatches: list[dict[str, Any]] = []
        self.annotations: dict[int, list[dict[str, Any]]] = {}
        self.has_pages, self.page_builds = True, 0
        self.lock = threading.RLock()
        self._ids = 1000

    def clear(self) -> None:
        """Know nothing again, at the same address."""
        vars(self).update(
            vars(GitHubState(self.repository, self.token)) | {"url": self.url, "blobs": self.blobs}
        )

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def fail(self, method: str, path: str, status: int, **how: Any) -> Fault:
        """Have requests fail; gives the fault, whose ``times`` counts down."""
        self.faults.append(Fault(method, path, status, **how))
        return self.faults[-1]

    def add_run(self, run_id: int, **changed: Any) -> dict[str, Any]:
        url = f"https://github.com/{self.repository}/actions/runs/{run_id}"
        self.runs[run_id] = {**copy.deepcopy(EXAMPLES["run"]), "id": run_id, "html_url": url, **changed}
        return self.runs[run_id]

    def add_artifact(self, run_id: int, name: str, content: bytes | Path, **changed: Any) -> Stored:
        """``content`` is a zip, or a folder's zip made by ``zipped``."""
        if run_id not in self.runs:
            self.add_run(run_id)
        number = self.next_id()
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        url = f"https://api.github.com/repos/{self.repository}/actions/artifacts/{number}"
        row = {
            **copy.deepcopy(EXAMPLES["artifact"]),
            "id": number,
            "node_id": f"node-{number}",
            "name": name,
            "size_in_bytes": size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "digest": f"sha256:{_sha256(content)}",
            **changed,
        }
        row["workflow_run"]["id"] = run_id
        self.artifacts[number] = Stored(row, content)
        return self.artifacts[number]

    def add_pull(self, number: int, sha: str, head_repository: str = "", **changed: Any) -> dict[str, Any]:
        row = {**copy.deepcopy(EXAMPLES["pull"]), "number": number, "state": "open", **changed}
        row["head"] |= {
            "sha": sha,
            "repo": {**row["head"]["repo"], "full_name": head_repository or self.repository},
        }
        self.pulls.append(row)
        return row

    def add_issue(
        self, title: str, body: str, labels: tuple[str, ...] = (), **changed: Any
    ) -> dict[str, Any]:
        with self.lock:
            number = max([100, *(one["number"] for one in self.issues)]) + 1
            url = f"https://github.com/{self.repository}/issues/{number}"
            label = EXAMPLES["issue"]["labels"][0]
            named = [{**label, "name": name} for name in labels]
            row = {
                **copy.deepcopy(EXAMPLES["issue"]),
                "id": self.next_id(),
                "number": number,
                "html_url": url,
                "state": "open",
            }
            row |= {"title": title, "body": body, "labels": named, **changed}
            row.pop("pull_request", None)
            row |= {"pull_request": changed["pull_request"]} if "pull_request" in changed else {}
            self.issues.append(row)
            return row

    def add_comment(self, number: int, body: str, **user: Any) -> dict[str, Any]:
        with self.lock:
            made = self.next_id()
            row = {
                **copy.deepcopy(EXAMPLES["comment"]),
                "id": made,
                "body": body,
                "created_at": NOW,
                "updated_at": NOW,
            }
            row["user"] |= user or BOT
            row["html_url"] = f"https://github.com/{self.repository}/issues/{number}#issuecomment-{made}"
            row["issue_url"] = f"https://api.github.com/repos/{self.repository}/issues/{number}"
            self.comments.append(row)
            return row

    def comments_on(self, number: int) -> list[dict[str, Any]]:
        return [one for one in self.comments if one["issue_url"].endswith(f"/issues/{number}")]

    def asked(self, method: str, path: str = "") -> list[Seen]:
        """Requests of a method whose path matches."""
        return [seen for seen in self.requests if seen.method == method and re.search(path, seen.path)]


def zipped(folder: Path, root: str = "") -> bytes:
    """A folder's files as upload-artifact packs them: at the zip's root, or below ``root``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{root}{path.relative_to(folder).as_posix()}")
    return buffer.getvalue()


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
