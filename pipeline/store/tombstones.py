"""Retraction of runs: append-only, honoured by every reader, deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import ArtifactError
from pipeline.schema.history import Tombstone
from pipeline.store import table
from pipeline.store.storage import Storage
from pipeline.store.storage import at as storage_at

FOLDER = "tombstones"


def retract(  # noqa: PLR0913  # what a tombstone says
    url: str | Storage, run_id: str, attempt: int | None = None, *, reason: str, who: str, at: str
) -> Tombstone:
    """Retract a run, or one attempt of it, and return its tombstone.

    Repeating it with the same reason changes nothing.
    """
    storage = storage_at(url)
    tombstone = Tombstone(run_id=run_id, attempt=attempt, reason=reason, who=who, at=at)
    if not attempts(storage, tombstone):
        what = f"no run {run_id}{f' attempt {attempt}' if attempt else ''} in history"
        raise ArtifactError(what, where=storage.shown, hint="retract the run id that ingest reported")
    kept = _of(storage, run_id, attempt)
    if kept is None:
        with storage.staged(_path(storage, tombstone), tombstone.to_json().encode()) as move:
            if move():
                return tombstone
        kept = _of(storage, run_id, attempt)
    if kept is None or kept.reason != reason:
        what = f"already retracted by {kept.who} at {kept.at}: {kept.reason}" if kept else "not retracted"
        raise ArtifactError(what, where=storage.shown, hint="tombstones are never changed")
    return kept


def attempts(url: str | Storage, tombstone: Tombstone) -> tuple[int, ...]:
    """Return the stored attempts that a tombstone retracts."""
    found = [table.FILE.fullmatch(path) for path in table.files(storage_at(url))]
    numbers = {int(one["attempt"]) for one in found if one and one["run"] == tombstone.run_id}
    return tuple(sorted(number for number in numbers if tombstone.attempt in {None, number}))


def retractions(url: str | Storage) -> tuple[Tombstone, ...]:
    """Return every tombstone of a history."""
    return tuple(_all(storage_at(url)))


def refuse_retracted(url: str | Storage, run_id: str | None) -> None:
    """Raise ArtifactError where a run is retracted as a whole, or in each of its attempts."""
    storage = storage_at(url)
    stones = [one for one in _all(storage) if one.run_id == run_id]
    left = {
        number for one in stones[:1] for number in attempts(storage, one.model_copy(update={"attempt": None}))
    }
    for one in stones:
        left -= set(attempts(storage, one))
    if stones and not left:
        newest = max(stones, key=lambda one: one.at)
        what = f"run {run_id} is retracted ({newest.reason}), by {newest.who} at {newest.at}"
        raise ArtifactError(what, where=storage.shown, hint="report another run")


def _of(storage: Storage, run_id: str, attempt: int | None) -> Tombstone | None:
    """Return the tombstone of exactly this run, or of exactly this attempt of it."""
    return next((one for one in _all(storage) if (one.run_id, one.attempt) == (run_id, attempt)), None)


def _path(storage: Storage, tombstone: Tombstone) -> str:
    """Return the name of a new tombstone: an attempt is behind a ``+``, which no run id has.

    Earlier versions wrote RUN-ATTEMPT.json, which may have the name of a run.
    """
    run_id, attempt = tombstone.run_id, tombstone.attempt
    path = f"{FOLDER}/{run_id}{f'+{attempt}' if attempt else ''}.json"
    return f"{FOLDER}/{run_id}+all.json" if path in storage.files(FOLDER) else path


class Retracted:
    """The runs and attempts that every reader leaves out."""

    def __init__(self, storage: Storage) -> None:
        self.tombstones = tuple(_all(storage))
        self._known = frozenset((tombstone.run_id, tombstone.attempt) for tombstone in self.tombstones)

    def __contains__(self, run: tuple[str, int]) -> bool:
        return run in self._known or (run[0], None) in self._known


def _all(storage: Storage) -> Iterator[Tombstone]:
    for path in storage.files(FOLDER):
        yield _read(storage, path)


def _read(storage: Storage, path: str) -> Tombstone:
    return Tombstone.from_json(storage.read(path), where=f"{storage.shown}/{path}")
