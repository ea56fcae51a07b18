"""Result folders into history: all are checked before anything is written, and none is stored twice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow, RunSummary
from pipeline.schema.result import RUN_ID, ResultFolder
from pipeline.store import table
from pipeline.store.storage import Storage, at

RunKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Batch:
    """The new jobs of one run attempt, and the file to write for them; ``path`` is None if nothing is new."""

    run: RunKey
    result_folders: Sequence[ResultFolder]
    known: int
    path: str | None
    content: bytes

    @property
    def summary(self) -> RunSummary:
        new = len(self.result_folders) - self.known
        return RunSummary(
            run_id=self.run[0], attempt=self.run[1], jobs_new=new, jobs_known=self.known, path=self.path
        )


def ingest(url: str | Storage, result_folders: Sequence[ResultFolder]) -> list[RunSummary]:
    """Store the new jobs, one file per run attempt, and return a summary of each.

    ArtifactError when a known job has other content now; nothing is written then.
    """
    storage = at(url)
    runs: dict[RunKey, dict[str, ResultFolder]] = {}
    for result_folder in result_folders:
        _refuse_inconsistent(result_folder)
        _keep(result_folder, runs.setdefault(_run(result_folder), {}))
    stored = table.files(storage)
    batches = [_batch(storage, run, list(jobs.values()), stored) for run, jobs in sorted(runs.items())]
    with ExitStack() as stack:
        staged = [
            (batch, stack.enter_context(storage.staged(batch.path, batch.content)) if batch.path else None)
            for batch in batches
        ]
        return [
            (_retried(storage, batch) if move and not move() else batch).summary for batch, move in staged
        ]


def _retried(storage: Storage, batch: _Batch) -> _Batch:
    """Store a batch whose file name another process took meanwhile: retry until a name is free or nothing is new."""
    while True:
        batch = _batch(storage, batch.run, batch.result_folders, table.files(storage))
        if batch.path is None:
            return batch
        with storage.staged(batch.path, batch.content) as move:
            if move():
                return batch


def _run(result_folder: ResultFolder) -> RunKey:
    return result_folder.record.provenance.run_id, result_folder.record.provenance.attempt


def _keep(result_folder: ResultFolder, jobs: dict[str, ResultFolder]) -> None:
    earlier = jobs.setdefault(result_folder.record.job.id, result_folder)
    if earlier.sums_sha256 != result_folder.sums_sha256:
        _refuse_conflict(result_folder, "another folder of this ingest")


def _refuse_inconsistent(result_folder: ResultFolder) -> None:
    record = result_folder.record
    concs = [point.conc for point in result_folder.points]
    problems = {
        f"run id {record.provenance.run_id!r} cannot be part of a file name": not RUN_ID.fullmatch(
            record.provenance.run_id
        ),
        "the job's id is not the id of its recipe": record.job.id != record.job.recipe.id,
        "neither points nor failure, or both": bool(result_folder.points)
        == (result_folder.failure is not None),
        "the same conc twice": len(concs) != len(set(concs)),
    }
    for what, is_so in problems.items():
        if is_so:
            raise ArtifactError(
                what, where=result_folder.folder, hint="nothing was stored; leave the folder out"
            )


def _refuse_conflict(result_folder: ResultFolder, other: str) -> None:
    run_id, attempt = _run(result_folder)
    what = f"run {run_id} attempt {attempt} already has {result_folder.record.job.id} with other content ({other})"
    raise ArtifactError(
        what,
        where=result_folder.folder,
        hint="nothing was stored; use a new attempt for a retry, or retract the wrong run",
    )


def _batch(
    storage: Storage, run: RunKey, result_folders: Sequence[ResultFolder], stored: Sequence[str]
) -> _Batch:
    own = [path for path in stored if _run_of(path) == run]
    known = {key.recipe: key.sums_sha256 for path in own for key in table.keys(storage, path)}
    for result_folder in result_folders:
        if known.get(result_folder.record.job.id, result_folder.sums_sha256) != result_folder.sums_sha256:
            _refuse_conflict(result_folder, "in history")
    new = [result_folder for result_folder in result_folders if result_folder.record.job.id not in known]
    if not new:
        return _Batch(run, result_folders, len(result_folders), None, b"")
    folder = own[0].rpartition("/")[0] if own else f"{table.POINTS}/date={_first_day(new)}"
    part = max((_part_of(path) for path in own), default=0) + 1
    path = f"{folder}/{run[0]}-{run[1]}{f'+{part}' if part > 1 else ''}.parquet"
    date = folder.rpartition("=")[2]
    rows = [
        row
        for result_folder in sorted(new, key=lambda one: one.record.job.id)
        for row in _rows(result_folder, date)
    ]
    return _Batch(run, result_folders, len(result_folders) - len(new), path, table.pack(rows))


def _first_day(result_folders: Sequence[ResultFolder]) -> str:
    return (
        min(table.utc(one.record.provenance.started_at, where=one.folder) for one in result_folders)
        .date()
        .isoformat()
    )


def _rows(result_folder: ResultFolder, date: str) -> list[HistoryRow]:
    """Return one row per point; a failed job has one for each concurrency of its recipe."""
    points = {point.conc: point for point in result_folder.points} or dict.fromkeys(
        result_folder.record.job.recipe.conc
    )
    return [
        HistoryRow(
            date=date,
            folder=result_folder.folder,
            record=result_folder.record,
            conc=conc,
            point=point,
            failure=result_folder.failure,
            sums_sha256=result_folder.sums_sha256,
        )
        for conc, point in points.items()
    ]


def _run_of(path: str) -> RunKey | None:
    match = table.FILE.fullmatch(path)
    return (match["run"], int(match["attempt"])) if match else None


def _part_of(path: str) -> int:
    match = table.FILE.fullmatch(path)
    return int(match["part"] or 1) if match else 0
