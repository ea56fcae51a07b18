"""Result folders into history: all are checked before the first byte is written, and none is written twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow, RunSummary
from pipeline.schema.result import Arrival
from pipeline.store import table
from pipeline.store.place import Place, at

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Run = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one run attempt brings: the file to write, or nothing new."""

    run: Run
    arrivals: Sequence[Arrival]
    known: int
    path: str | None
    content: bytes

    @property
    def summary(self) -> RunSummary:
        new = len(self.arrivals) - self.known
        return RunSummary(
            run_id=self.run[0], attempt=self.run[1], jobs_new=new, jobs_known=self.known, path=self.path
        )


def ingest(url: str | Place, arrivals: Sequence[Arrival]) -> list[RunSummary]:
    """Store what is new, one file a run attempt; ArtifactError, and nothing written, when a known job has other content now."""
    place = at(url)
    runs: dict[Run, dict[str, Arrival]] = {}
    for arrival in arrivals:
        _refuse_odd(arrival)
        _keep(arrival, runs.setdefault(_run(arrival), {}))
    stored = table.files(place)
    batches = [_batch(place, run, list(jobs.values()), stored) for run, jobs in sorted(runs.items())]
    with ExitStack() as stack:
        staged = [
            (batch, stack.enter_context(place.staged(batch.path, batch.content)) if batch.path else None)
            for batch in batches
        ]
        return [(_again(place, batch) if move and not move() else batch).summary for batch, move in staged]


def _again(place: Place, batch: _Batch) -> _Batch:
    """Somebody else wrote this run meanwhile: look again, until a name is free or nothing is new."""
    while True:
        batch = _batch(place, batch.run, batch.arrivals, table.files(place))
        if batch.path is None:
            return batch
        with place.staged(batch.path, batch.content) as move:
            if move():
                return batch


def _run(arrival: Arrival) -> Run:
    return arrival.record.provenance.run_id, arrival.record.provenance.attempt


def _keep(arrival: Arrival, jobs: dict[str, Arrival]) -> None:
    earlier = jobs.setdefault(arrival.record.job.id, arrival)
    if earlier.sums_sha256 != arrival.sums_sha256:
        _refuse_conflict(arrival, "another folder of this ingest")


def _refuse_odd(arrival: Arrival) -> None:
    record = arrival.record
    concs = [point.conc for point in arrival.points]
    problems = {
        f"run id {record.provenance.run_id!r} cannot be part of a file name": not RUN_ID.fullmatch(
            record.provenance.run_id
        ),
        "the job's id is not its recipe's": record.job.id != record.job.recipe.id,
        "neither points nor failure, or both": bool(arrival.points) == (arrival.failure is not None),
        "the same conc twice": len(concs) != len(set(concs)),
    }
    for what, is_so in problems.items():
        if is_so:
            raise ArtifactError(what, where=arrival.folder, hint="nothing was written; leave the folder out")


def _refuse_conflict(arrival: Arrival, other: str) -> None:
    run_id, attempt = _run(arrival)
    what = f"run {run_id} attempt {attempt} has {arrival.record.job.id} already, with other content ({other})"
    raise ArtifactError(
        what,
        where=arrival.folder,
        hint="nothing was written; a retry is a new attempt, a wrong run is retracted",
    )


def _batch(place: Place, run: Run, arrivals: Sequence[Arrival], stored: Sequence[str]) -> _Batch:
    own = [path for path in stored if _run_of(path) == run]
    known = {key.recipe: key.sums_sha256 for path in own for key in table.keys(place, path)}
    for arrival in arrivals:
        if known.get(arrival.record.job.id, arrival.sums_sha256) != arrival.sums_sha256:
            _refuse_conflict(arrival, "in history")
    new = [arrival for arrival in arrivals if arrival.record.job.id not in known]
    if not new:
        return _Batch(run, arrivals, len(arrivals), None, b"")
    folder = own[0].rpartition("/")[0] if own else f"{table.POINTS}/date={_first_day(new)}"
    part = max((_part_of(path) for path in own), default=0) + 1
    path = f"{folder}/{run[0]}-{run[1]}{f'+{part}' if part > 1 else ''}.parquet"
    date = folder.rpartition("=")[2]
    rows = [row for arrival in sorted(new, key=lambda one: one.record.job.id) for row in _rows(arrival, date)]
    return _Batch(run, arrivals, len(arrivals) - len(new), path, table.pack(rows))


def _first_day(arrivals: Sequence[Arrival]) -> str:
    return (
        min(table.utc(one.record.provenance.started_at, where=one.folder) for one in arrivals)
        .date()
        .isoformat()
    )


def _rows(arrival: Arrival, date: str) -> list[HistoryRow]:
    """A row a point; a failed job has one for each concurrency that it was to measure."""
    points = {point.conc: point for point in arrival.points} or dict.fromkeys(arrival.record.job.recipe.conc)
    return [
        HistoryRow(
            date=date,
            folder=arrival.folder,
            record=arrival.record,
            conc=conc,
            point=point,
            failure=arrival.failure,
            sums_sha256=arrival.sums_sha256,
        )
        for conc, point in points.items()
    ]


def _run_of(path: str) -> Run | None:
    match = table.FILE.fullmatch(path)
    return (match["run"], int(match["attempt"])) if match else None


def _part_of(path: str) -> int:
    match = table.FILE.fullmatch(path)
    return int(match["part"] or 1) if match else 0
