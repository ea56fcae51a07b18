"""status: where the jobs of a run are, from the cluster, its plan and the results that are there."""

from __future__ import annotations

from pathlib import Path

from pipeline import collect
from pipeline.edge.files import file_errors
from pipeline.flow import launching
from pipeline.flow.context import Context
from pipeline.flow.planning import read_plan
from pipeline.schema.event import JobStatus
from pipeline.schema.result import ResultFolder


def status(context: Context, run_id: str, on: str, *, plan: Path | None, out: Path | None) -> list[JobStatus]:
    """Return a line for each job of a run: ended ones first, then those on the cluster, then planned ones."""
    found = _ended(out, run_id) if out else []
    found += launching.status(context, run_id, on)
    known = {one.job for one in found}
    planned = [job.id for job in read_plan(plan).jobs] if plan else []
    return found + [_waiting(job) for job in planned if job not in known]


def _ended(out: Path, run_id: str) -> list[JobStatus]:
    with file_errors("read", out):
        folders = [collect.read(path) for path in sorted(out.glob(f"bench-{run_id}-*"))]
    return [_of(one) for one in folders if one.record.provenance.run_id == run_id]


def _of(found: ResultFolder) -> JobStatus:
    provenance, invalid = found.record.provenance, sum(one.status == "invalid" for one in found.points)
    what = f"{len(found.points)} points, {invalid} invalid"
    return JobStatus(
        job=found.record.job.id,
        attempt=provenance.attempt,
        stage="end",
        state="",
        since=provenance.finished_at,
        what=found.failure.what if found.failure else what,
    )


def _waiting(job: str) -> JobStatus:
    return JobStatus(job=job, attempt=1, stage="unknown", state="", what="not on the cluster, no result")
