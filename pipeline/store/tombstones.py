"""Retraction: append-only, honoured by every reader, deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import ArtifactError
from pipeline.schema.history import Tombstone
from pipeline.store import table
from pipeline.store.place import Place
from pipeline.store.place import at as place_at

FOLDER = "tombstones"


def retract(
    url: str | Place, run_id: str, attempt: int | None = None, *, reason: str, who: str, at: str
) -> Tombstone:  # noqa: PLR0913  # what a tombstone says
    """Take back a run, or one attempt of it; gives the tombstone that stands. Again with the same reason changes nothing."""
    place = place_at(url)
    stone = Tombstone(run_id=run_id, attempt=attempt, reason=reason, who=who, at=at)
    if not any(_is_of(stone, path) for path in table.files(place)):
        what = f"no run {run_id}{f' attempt {attempt}' if attempt else ''} in history"
        raise ArtifactError(what, where=place.shown, hint="retract the run id that ingest reported")
    path = f"{FOLDER}/{run_id}{f'-{attempt}' if attempt else ''}.json"
    if path not in place.files(FOLDER):
        with place.staged(path, stone.to_json().encode()) as move:
            if move():
                return stone
    standing = _read(place, path)
    if (standing.run_id, standing.attempt, standing.reason) != (run_id, attempt, reason):
        what = f"already retracted by {standing.who} at {standing.at}: {standing.reason}"
        raise ArtifactError(what, where=f"{place.shown}/{path}", hint="tombstones are never changed")
    return standing


class Retracted:
    """Runs and attempts that no reader shows."""

    def __init__(self, place: Place) -> None:
        self.stones = tuple(_all(place))
        self._known = frozenset((stone.run_id, stone.attempt) for stone in self.stones)

    def __contains__(self, run: tuple[str, int]) -> bool:
        return run in self._known or (run[0], None) in self._known


def _all(place: Place) -> Iterator[Tombstone]:
    for path in place.files(FOLDER):
        yield _read(place, path)


def _read(place: Place, path: str) -> Tombstone:
    return Tombstone.from_json(place.read(path), where=f"{place.shown}/{path}")


def _is_of(stone: Tombstone, path: str) -> bool:
    match = table.FILE.fullmatch(path)
    return (
        match is not None and match["run"] == stone.run_id and stone.attempt in {None, int(match["attempt"])}
    )
