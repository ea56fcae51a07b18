"""ingest: every whole result folder into a history; what is odd costs its folder and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import collect, store
from pipeline.deployment.invariants import moment
from pipeline.errors import ArtifactError
from pipeline.flow.planning import read_plan
from pipeline.schema.history import RunSummary
from pipeline.store import selection


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was stored, lines about what was passed over, and the error of what is missing or was refused."""

    summaries: list[RunSummary]
    passed_over: list[str]
    lacking: ArtifactError | None


def ingest(
    folders: Sequence[Path],
    history: str,
    plans: Sequence[Path] = (),
    *,
    now: datetime,
    run_id: str | None = None,
) -> Ingested:
    """Read and check every folder, and store every whole attempt of each job.

    ``lacking`` names what was not stored, what looks like a result and was not taken, and with plans the jobs that
    did not arrive. With nothing to store it is raised.
    """
    planned = {path: read_plan(path) for path in plans}
    found = collect.find(folders)
    alike, lines = collect.overlooked(folders, found, plans)
    made = {plan.plan_id: moment(plan.created_at, where=str(path)) for path, plan in planned.items()}
    arrived = collect.read_all(found, now=now, run_id=run_id, made=made)
    selected = selection.select(arrived.whole, arrived.damaged)
    good, refused = store.sorted_out(history, selected.whole)
    lacking = selection.missing_jobs(planned, good, [*selected.lost, *refused, *alike], folders)
    if not found and not planned:
        hint = "a finished job leaves bench-RUN-ATTEMPT-RECIPE/; a killed one leaves nothing to ingest"
        raise lacking or ArtifactError("no result folder", where=", ".join(map(str, folders)), hint=hint)
    summaries = store.ingest(history, good) if good else []
    return Ingested(summaries, [*selected.passed_over, *arrived.lines, *lines], lacking)
