"""fetch: download every complete attempt of each job of a run; a second call continues."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import collect, fetch
from pipeline.edge.files import file_errors
from pipeline.edge.scratch import scratch
from pipeline.edge.terminal import ProgressBar
from pipeline.errors import ArtifactError, FileError
from pipeline.fetch import Fetched
from pipeline.flow.context import Context

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub
    from pipeline.fetch import Candidate


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What the command line asked for."""

    repository: str
    run_id: int
    attempt: int | None
    out: Path


def fetch_run(context: Context, options: FetchOptions, github: GitHub) -> Fetched:
    """Download the results of a run; complete local folders are kept, jobs without a complete attempt are in ``lost``."""
    github.get(f"repos/{options.repository}/actions/runs/{options.run_id}")  # fails for an unknown run
    jobs = fetch.candidates(github, options.repository, options.run_id, options.attempt)
    if not jobs:
        hint = "a finished job uploads bench-RUN-ATTEMPT-RECIPE; does the run measure at all?"
        raise ArtifactError(
            "the run has no artifact of results",
            where=f"{options.repository} run {options.run_id}",
            hint=hint,
        )
    fetched = Fetched([], [], [])
    with (
        scratch(options.out, ".fetch-") as unpacked,
        ProgressBar(len(jobs), is_terminal=context.is_terminal) as bar,
    ):
        for done, (job, attempts) in enumerate(jobs.items()):
            bar.show(done, job)
            _fetch_job(context, options, github, attempts, unpacked, fetched)
    return fetched


def _fetch_job(  # noqa: PLR0913, PLR0917  # one call site
    context: Context,
    options: FetchOptions,
    github: GitHub,
    attempts: list[Candidate],
    unpacked: Path,
    fetched: Fetched,
) -> None:
    errors: list[ArtifactError] = []
    before = len(fetched.known) + len(fetched.new)
    for one in attempts:
        target = options.out / one.name
        if _is_whole(target):
            fetched.known.append(target)
            continue
        try:
            folder = fetch.download(github, options.repository, one, unpacked)
            collect.read(folder)
        except ArtifactError as error:
            errors.append(error)
            continue
        _replace(folder, target)
        fetched.new.append(target)
    if len(fetched.known) + len(fetched.new) == before:
        fetched.lost += errors[:1]
        errors = errors[1:]
    for passed in errors:
        context.log(f"passed over: {passed}")


def _is_whole(folder: Path) -> bool:
    """Return whether a local folder exists and every file is the one in SHA256SUMS."""
    if not folder.is_dir():
        return False
    try:
        collect.read(folder)
    except (ArtifactError, FileError):
        return False
    return True


def _replace(folder: Path, target: Path) -> None:
    """Move a complete folder to its name, in place of a damaged one."""
    with file_errors("write", target):
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
