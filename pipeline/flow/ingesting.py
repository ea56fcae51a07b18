"""ingest: result folders into history, the newest complete attempt of each job, held against what was planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import collect, store
from pipeline.errors import ArtifactError, FileError, PipelineError
from pipeline.flow.planning import read_plan
from pipeline.schema.history import RunSummary
from pipeline.schema.plan import Plan
from pipeline.schema.result import ResultFolder


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was stored, what was passed over in words, and what did not come."""

    summaries: list[RunSummary]
    passed_over: list[str]
    lacking: ArtifactError | None


def ingest(folders: Sequence[Path], history: str, plans: Sequence[Path] = ()) -> Ingested:
    """Read and check every folder, store the newest complete attempt of each job.

    A damaged folder is passed over when another attempt of its job is whole. Otherwise nothing is stored and its error is raised; with
    plans, what arrived is stored all the same and ``lacking`` names what did not.
    """
    planned = {path: read_plan(path) for path in plans}
    found = collect.find(folders)
    if not found and not planned:
        names = ", ".join(map(str, folders))
        raise ArtifactError(
            "no result folder",
            where=names,
            hint="a finished job leaves bench-RUN-ATTEMPT-RECIPE/; a killed one leaves nothing to ingest",
        )
    whole, damaged = _read(found)
    newest = _newest(whole)
    said = [f"{one.folder}: a newer attempt stands for it" for one in whole if one not in newest]
    lost = [error for folder, error in damaged if not _has_stand_in(folder, newest)]
    said += [f"passed over: {error}" for folder, error in damaged if planned or _has_stand_in(folder, newest)]
    if lost and not planned:
        raise lost[0]
    lacking = _lacking(planned, newest, lost) if planned else None
    return Ingested(store.ingest(history, newest) if newest else [], said, lacking)


def _read(found: Sequence[Path]) -> tuple[list[ResultFolder], list[tuple[Path, PipelineError]]]:
    whole: list[ResultFolder] = []
    damaged: list[tuple[Path, PipelineError]] = []
    for folder in found:
        try:
            whole.append(collect.read(folder))
        except (ArtifactError, FileError) as error:
            damaged.append((folder, error))
    return whole, damaged


def _newest(whole: Sequence[ResultFolder]) -> list[ResultFolder]:
    """The newest attempt of each job of each run; two folders of one attempt both stay, history knows whether they are the same."""
    attempts: dict[tuple[str, str], int] = {}
    for one in whole:
        job = one.record.provenance.run_id, one.record.job.id
        attempts[job] = max(attempts.get(job, 0), one.record.provenance.attempt)
    return [
        one
        for one in whole
        if attempts[one.record.provenance.run_id, one.record.job.id] == one.record.provenance.attempt
    ]


def _has_stand_in(folder: Path, newest: Sequence[ResultFolder]) -> bool:
    """Another attempt of the run and job that a damaged folder's name says is whole."""
    for one in newest:
        before, after = f"bench-{one.record.provenance.run_id}-", f"-{one.record.job.id}"
        attempt = folder.name.removeprefix(before).removesuffix(after)
        if attempt.isdecimal() and folder.name == f"{before}{attempt}{after}":
            return True
    return False


def _lacking(
    plans: Mapping[Path, Plan], arrived: Sequence[ResultFolder], lost: Sequence[PipelineError]
) -> ArtifactError | None:
    """Planned and not arrived, by id and by what was to be deployed; or arrived in pieces."""
    came = {(one.record.job.id, one.record.job.deployment_digest) for one in arrived}
    jobs = [job for plan in plans.values() for job in plan.jobs]
    missing = sorted(job.id for job in jobs if (job.id, job.deployment_digest) not in came)
    parts = (
        [f"{len(missing)} of {len(jobs)} planned jobs did not arrive: {', '.join(missing)}"]
        if missing
        else []
    )
    parts += [f"damaged: {error.where}" for error in lost]
    hint = "what arrived is stored; run the failed legs again, then ingest again"
    return ArtifactError("; ".join(parts), where=", ".join(map(str, plans)), hint=hint) if parts else None
