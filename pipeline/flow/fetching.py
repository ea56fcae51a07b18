"""fetch: artifacts of a run to this disk, the newest complete attempt of each job; run again, it continues."""

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


@dataclass(slots=True)
class Fetched:
    """Folders by how they came here."""

    new: list[Path]
    known: list[Path]
    lost: list[ArtifactError]


def fetch_run(context: Context, options: FetchOptions, github: GitHub) -> Fetched:
    """Fetch what is not here yet; folders that are here and whole are skipped, jobs without a whole attempt are in ``lost``."""
    github.get(
        f"repos/{options.repository}/actions/runs/{options.run_id}"
    )  # a wrong number is told from a run without artifacts
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
) -> None:  # one call site
    errors: list[ArtifactError] = []
    for one in attempts:
        target = options.out / one.name
        if _is_whole(target):
            fetched.known.append(target)
            break
        try:
            folder = fetch.download(github, options.repository, one, unpacked)
            collect.read(folder)
        except ArtifactError as error:
            errors.append(error)
            continue
        _replace(folder, target)
        fetched.new.append(target)
        break
    else:
        fetched.lost += errors[:1]
        return
    for passed in errors:
        context.log(f"passed over: {passed}")


def _is_whole(folder: Path) -> bool:
    """Here already, every file as SHA256SUMS lists it."""
    if not folder.is_dir():
        return False
    try:
        collect.read(folder)
    except (ArtifactError, FileError):
        return False
    return True


def _replace(folder: Path, target: Path) -> None:
    """A damaged folder of that name gives way only now that a whole one is here."""
    with file_errors("write", target):
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)


def lost_error(fetched: Fetched, options: FetchOptions) -> ArtifactError | None:
    """One error for all jobs that have no whole attempt."""
    if not fetched.lost:
        return None
    what = f"{len(fetched.lost)} jobs have no whole artifact: " + "; ".join(map(str, fetched.lost))
    return ArtifactError(
        what,
        where=f"{options.repository} run {options.run_id}",
        hint="the others are fetched; run the same command again",
    )
