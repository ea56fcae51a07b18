"""Find the artifacts of a workflow run that hold results, and download one."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.edge.files import file_errors, sha256_of_file
from pipeline.edge.github import GitHub
from pipeline.errors import ArtifactError, GitHubError
from pipeline.fetch.unpack import unpack

MAX_ZIP_BYTES: Final = 4 << 30
NAME = re.compile(r"bench-(?P<run>\d+)-(?P<attempt>\d+)-(?P<job>[a-z0-9][a-z0-9.-]{0,99})")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact with the name of a result folder; ``digest`` is empty where GitHub states none."""

    id: int
    name: str
    job: str
    attempt: int
    digest: str
    expired: bool


def candidates(
    github: GitHub, repository: str, run_id: int, attempt: int | None
) -> dict[str, list[Candidate]]:
    """Return the artifacts by job, sorted by attempt and id, newest first; with an ``attempt`` none of a later attempt."""
    found: dict[str, list[Candidate]] = {}
    for one in github.pages(f"repos/{repository}/actions/runs/{run_id}/artifacts", "artifacts"):
        candidate = _candidate(one, run_id)
        if candidate and (attempt is None or candidate.attempt <= attempt):
            found.setdefault(candidate.job, []).append(candidate)
    return {job: sorted(ones, key=lambda one: (-one.attempt, -one.id)) for job, ones in sorted(found.items())}


def _candidate(one: dict[str, Any], run_id: int) -> Candidate | None:
    match = NAME.fullmatch(str(one["name"]))
    if match is None or int(match["run"]) != run_id:
        return None
    digest = str(one.get("digest") or "")
    return Candidate(
        int(one["id"]), match[0], match["job"], int(match["attempt"]), digest, expired=bool(one["expired"])
    )


def download(github: GitHub, repository: str, one: Candidate, scratch: Path) -> Path:
    """Download and unpack an artifact below ``scratch`` and return its result folder, which is not checked yet.

    Raise ArtifactError when the artifact is expired, torn or foreign.
    """
    where = f"artifact {one.name} ({one.id})"
    if one.expired:
        raise ArtifactError(
            "expired: GitHub no longer has it",
            where=where,
            hint="its points are in the history if it was ingested before",
        )
    packed, folder = scratch / f"{one.id}.zip", scratch / str(one.id) / one.name
    shutil.rmtree(folder.parent, ignore_errors=True)
    try:
        github.download(f"repos/{repository}/actions/artifacts/{one.id}/zip", packed, max_bytes=MAX_ZIP_BYTES)
        _refuse_difference(packed, one.digest, where)
        unpack(packed, folder, where=where)
    except GitHubError as error:
        if error.status != 410:
            raise
        raise ArtifactError("expired: GitHub no longer has it", where=where, hint=error.hint) from error
    finally:
        packed.unlink(missing_ok=True)
    inner = folder / one.name
    return inner if [path.name for path in folder.iterdir()] == [one.name] and inner.is_dir() else folder


def _refuse_difference(packed: Path, digest: str, where: str) -> None:
    if not digest.startswith("sha256:"):
        return
    with file_errors("read", packed):
        found = sha256_of_file(packed)
    if found != digest.removeprefix("sha256:"):
        raise ArtifactError(
            "the SHA-256 of the zip is not the one that GitHub states", where=where, hint="fetch it again"
        )
