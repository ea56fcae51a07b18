"""Which artifacts of a run hold results, and how one of them comes here."""

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

MOST_BYTES: Final = 4 << 30  # of one zip
NAME = re.compile(r"bench-(?P<run>\d+)-(?P<attempt>\d+)-(?P<job>[a-z0-9][a-z0-9.-]{0,99})")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact that is called like a result folder; ``digest`` is empty where GitHub states none."""

    id: int
    name: str
    job: str
    attempt: int
    digest: str
    expired: bool


def candidates(
    github: GitHub, repository: str, run_id: int, attempt: int | None
) -> dict[str, list[Candidate]]:
    """By job, the newest attempt first (of one attempt the newest id); ``attempt`` given: none after it."""
    found: dict[str, list[Candidate]] = {}
    for one in github.pages(f"repos/{repository}/actions/runs/{run_id}/artifacts", "artifacts"):
        made = _candidate(one, run_id)
        if made and (attempt is None or made.attempt <= attempt):
            found.setdefault(made.job, []).append(made)
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
    """Its result folder below ``scratch``, unpacked and as yet unread; ArtifactError when it is expired, torn or not to be trusted."""
    where = f"artifact {one.name} ({one.id})"
    if one.expired:
        raise ArtifactError(
            "expired: GitHub no longer has it",
            where=where,
            hint="its figures are in history if it was ingested in time",
        )
    packed, folder = scratch / f"{one.id}.zip", scratch / str(one.id) / one.name
    shutil.rmtree(folder.parent, ignore_errors=True)
    try:
        github.download(f"repos/{repository}/actions/artifacts/{one.id}/zip", packed, most_bytes=MOST_BYTES)
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
            "not the zip that GitHub's digest states", where=where, hint="damaged on the way; fetch it again"
        )
