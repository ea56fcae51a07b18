"""Which of the result folders that arrived are stored, what is missing of a plan, and what a history has whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ArtifactError, PipelineError
from pipeline.schema.history import HistoryRow
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import ResultFolder


@dataclass(frozen=True, slots=True)
class Selection:
    """Whole attempts, lines about the damaged ones, and the errors of jobs of which no attempt is whole."""

    whole: list[ResultFolder]
    passed_over: list[str]
    lost: list[PipelineError]


def select(whole: Sequence[ResultFolder], damaged: Sequence[tuple[Path, PipelineError]]) -> Selection:
    """Select every whole attempt: readers of the history take the newest good one of each job.

    A damaged attempt is passed over where another one of its job is whole, and lost elsewhere.
    """
    lost = [error for folder, error in damaged if not has_whole_attempt(folder, whole)]
    passed_over = [f"passed over: {error}" for _, error in damaged]
    return Selection(list(whole), passed_over, lost)


def has_whole_attempt(folder: Path, whole: Sequence[ResultFolder]) -> bool:
    """Return whether another attempt of the run and job in a damaged folder's name is whole."""
    for one in whole:
        before, after = f"bench-{one.record.provenance.run_id}-", f"-{one.record.job.id}"
        attempt = folder.name.removeprefix(before).removesuffix(after)
        if attempt.isdecimal() and folder.name == f"{before}{attempt}{after}":
            return True
    return False


def missing_jobs(
    plans: Mapping[Path, Plan],
    arrived: Sequence[ResultFolder],
    lost: Sequence[PipelineError],
    where: Sequence[Path] = (),
) -> ArtifactError | None:
    """Return the error that names planned jobs that did not arrive, and what cannot be stored; None without any.

    Planned jobs are compared by id and deployment.
    """
    found = {(one.record.job.id, one.record.job.deployment_digest) for one in arrived}
    jobs = [job for plan in plans.values() for job in plan.jobs]
    missing = sorted(job.id for job in jobs if (job.id, job.deployment_digest) not in found)
    parts = [f"not stored: {error.where}: {error.what}" for error in lost]
    if missing:
        parts.insert(0, f"{len(missing)} of {len(jobs)} planned jobs did not arrive: {', '.join(missing)}")
    hint = "what arrived whole is stored; run the failed legs again, or leave the folders out"
    places = ", ".join(map(str, plans or where))
    return ArtifactError("; ".join(parts), where=places, hint=hint) if parts else None


def jobs_measured_whole(rows: Iterable[HistoryRow]) -> list[Job]:
    """Return the jobs of which some run has a good point at every concurrency, with the recipe's own requests and seed."""
    good: dict[tuple[str, int, str], set[int]] = {}
    jobs: dict[tuple[str, int, str], Job] = {}
    for row in rows:
        provenance, job = row.record.provenance, row.record.job
        client = job.recipe.client
        is_full = (provenance.requests_per_conc, provenance.seed) == (client.requests_per_conc, client.seed)
        if row.point is not None and row.point.status != "invalid" and is_full:
            good.setdefault((*row.run, job.id), set()).add(row.conc)
            jobs[*row.run, job.id] = job
    return [job for key, job in jobs.items() if good[key] == set(job.recipe.conc)]
