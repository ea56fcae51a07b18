"""Result folders into history: all are checked before anything is written, and none is stored twice.

The same folders give the same history, in whatever order and in however many calls they arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow, RunSummary
from pipeline.schema.result import RUN_ID, ResultFolder
from pipeline.store import table
from pipeline.store.storage import Storage, at

RunKey = tuple[str, int]
DayKey = tuple[str, int, str]  # with the UTC day on which jobs started


@dataclass(frozen=True, slots=True)
class _Batch:
    """The new jobs of one day of a run attempt, and their file; ``path`` is None if nothing is new."""

    run: DayKey
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
    """Store the new jobs, one file per run attempt and day, and return a summary of each.

    ArtifactError when a known job has other content now; nothing is written then.
    """
    storage = at(url)
    stored = table.files(storage)
    good, refused = sorted_out(storage, result_folders, stored)
    if refused:
        raise refused[0]
    runs: dict[DayKey, list[ResultFolder]] = {}
    for result_folder in good:
        runs.setdefault((*_run(result_folder), _day(result_folder)), []).append(result_folder)
    batches = [_batch(storage, run, jobs, stored) for run, jobs in sorted(runs.items())]
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
            raise ArtifactError(what, where=result_folder.folder, hint="it was not stored; leave it out")
    _day(result_folder)


def sorted_out(
    url: str | Storage, result_folders: Sequence[ResultFolder], stored: Sequence[str] | None = None
) -> tuple[list[ResultFolder], list[ArtifactError]]:
    """Return the folders that can be stored, each job once, and the error of each other one.

    Two folders of one job and attempt with different content are both refused: neither is known to be right.
    """
    storage = at(url)
    paths = table.files(storage) if stored is None else stored
    jobs: dict[tuple[str, int, str], dict[str, ResultFolder]] = {}
    refused: list[ArtifactError] = []
    for one in result_folders:
        try:
            _refuse_inconsistent(one)
        except ArtifactError as error:
            refused.append(error)
            continue
        jobs.setdefault((*_run(one), one.record.job.id), {}).setdefault(one.sums_sha256, one)
    known = _known(storage, {(run, attempt) for run, attempt, _ in jobs}, paths)
    good: list[ResultFolder] = []
    for key, folders in jobs.items():
        content = {known[key]} if key in known else set(folders)
        other = "in history" if key in known else "another folder of this ingest"
        refused += [_conflict(one, other) for sums, one in folders.items() if content != {sums}]
        good += [one for sums, one in folders.items() if content == {sums}]
    return good, refused


def _known(
    storage: Storage, runs: Collection[RunKey], paths: Sequence[str]
) -> dict[tuple[str, int, str], str]:
    """Return the identity of the content of each stored job of these run attempts."""
    return {
        (*run, key.recipe): key.sums_sha256
        for path in paths
        if (run := _run_of(path)) in runs and run is not None
        for key in table.keys(storage, path)
    }


def _conflict(result_folder: ResultFolder, other: str) -> ArtifactError:
    run_id, attempt = _run(result_folder)
    what = f"run {run_id} attempt {attempt} already has {result_folder.record.job.id} with other content ({other})"
    hint = "it was not stored; use a new attempt for a retry, or retract the wrong run"
    return ArtifactError(what, where=result_folder.folder, hint=hint)


def _batch(
    storage: Storage, run: DayKey, result_folders: Sequence[ResultFolder], stored: Sequence[str]
) -> _Batch:
    run_id, attempt, date = run
    own = [path for path in stored if _run_of(path) == (run_id, attempt)]
    known = _known(storage, {(run_id, attempt)}, own)
    for one in result_folders:
        if known.get((run_id, attempt, one.record.job.id), one.sums_sha256) != one.sums_sha256:
            raise _conflict(one, "in history")  # another process stored it meanwhile
    new = [one for one in result_folders if (run_id, attempt, one.record.job.id) not in known]
    if not new:
        return _Batch(run, result_folders, len(result_folders), None, b"")
    folder = f"{table.POINTS}/date={date}/"
    part = max((_part_of(path) for path in own if path.startswith(folder)), default=0) + 1
    path = f"{folder}{run_id}-{attempt}{f'+{part}' if part > 1 else ''}.parquet"
    rows = [
        row
        for result_folder in sorted(new, key=lambda one: one.record.job.id)
        for row in _rows(result_folder, date)
    ]
    return _Batch(run, result_folders, len(result_folders) - len(new), path, table.pack(rows))


def _day(result_folder: ResultFolder) -> str:
    """Return the UTC day on which a job started."""
    moment = table.utc(result_folder.record.provenance.started_at, where=result_folder.folder)
    return moment.date().isoformat()


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
