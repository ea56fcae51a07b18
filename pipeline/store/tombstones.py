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
    """Retract a run, or one attempt of it, and return its tombstone; repeating it with the same reason changes nothing."""
    storage = storage_at(url)
    tombstone = Tombstone(run_id=run_id, attempt=attempt, reason=reason, who=who, at=at)
    if not any(_is_of(tombstone, path) for path in table.files(storage)):
        what = f"no run {run_id}{f' attempt {attempt}' if attempt else ''} in history"
        raise ArtifactError(what, where=storage.shown, hint="retract the run id that ingest reported")
    path = f"{FOLDER}/{run_id}{f'-{attempt}' if attempt else ''}.json"
    if path not in storage.files(FOLDER):
        with storage.staged(path, tombstone.to_json().encode()) as move:
            if move():
                return tombstone
    kept = _read(storage, path)
    if (kept.run_id, kept.attempt, kept.reason) != (run_id, attempt, reason):
        what = f"already retracted by {kept.who} at {kept.at}: {kept.reason}"
        raise ArtifactError(what, where=f"{storage.shown}/{path}", hint="tombstones are never changed")
    return kept


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


def _is_of(tombstone: Tombstone, path: str) -> bool:
    match = table.FILE.fullmatch(path)
    return (
        match is not None
        and match["run"] == tombstone.run_id
        and tombstone.attempt in {None, int(match["attempt"])}
    )
