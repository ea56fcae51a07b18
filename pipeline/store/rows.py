"""Reading history: keys first, then only the documents that are needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pipeline.schema.history import HistoryRow
from pipeline.store import table
from pipeline.store.storage import Storage, at
from pipeline.store.table import Key
from pipeline.store.tombstones import Retracted

PRECEDENCE = (
    "failed",
    "invalid",
    "extrapolated",
    "ok",
)  # an attempt replaces attempts of an earlier status in this list
READERS = 4  # files whose keys are read at once: an object store answers many requests, each slowly

RowPair = tuple[tuple[HistoryRow, ...], tuple[HistoryRow, ...]]


@dataclass(frozen=True, slots=True)
class _Found:
    """A row whose key is read, and its document not yet."""

    path: str
    index: int
    key: Key


def rows(
    url: str | Storage, *, select: str = "*", date_from: str | None = None, run_id: str | None = None
) -> tuple[HistoryRow, ...]:
    """Return the rows (of ``run_id``) of recipes whose id matches the glob, without retracted runs, by time.

    Of several attempts of a run, each recipe and concurrency has the row of the newest attempt with a valid point,
    else of the newest with an invalid one, else of the newest.
    """
    storage = at(url)
    found = _scan(
        storage, lambda key: run_id in {None, key.run_id} and fnmatchcase(key.recipe, select), date_from
    )
    return _load(storage, _without_superseded(found))


def latest(url: str | Storage, recipes: Mapping[str, Sequence[str]], *, run_id: str | None = None) -> RowPair:
    """Return ``current_and_previous`` of a history; only the documents that it returns are read."""
    storage = at(url)
    if not recipes:
        return (), ()
    wanted = {*recipes, *(name for former in recipes.values() for name in former)}
    found = _scan(storage, lambda key: key.recipe in wanted or not wanted.isdisjoint(key.was), None)
    current, previous = _current_and_previous(_without_superseded(found), recipes, run_id)
    return _load(storage, current), _load(storage, previous)


def current_and_previous(
    rows: Sequence[HistoryRow], recipes: Mapping[str, Sequence[str]], *, run_id: str | None = None
) -> RowPair:
    """Return the rows of each recipe's newest run (or of ``run_id``), and of the newest comparable run before it.

    ``recipes``: recipe id -> former ids. A run is comparable if it has the same settings and at least one valid point;
    the deployment may differ. A point that is missing or not valid in that run is taken from the newest comparable run
    in which it is valid. Without a comparable run, the newest one of the same origin and the same requests per
    concurrency is returned, so that the difference in settings can be reported.
    """
    found = _without_superseded(_Found("", index, Key.of(row)) for index, row in enumerate(rows))
    current, previous = _current_and_previous(found, recipes, run_id)
    return tuple(rows[one.index] for one in current), tuple(rows[one.index] for one in previous)


def _scan(storage: Storage, is_wanted: Callable[[Key], bool], date_from: str | None) -> list[_Found]:
    retracted = Retracted(storage)
    paths = table.files(storage, date_from=date_from)
    with ThreadPoolExecutor(max_workers=READERS) as readers:
        keys = zip(paths, readers.map(lambda path: table.keys(storage, path), paths), strict=True)
        found = [_Found(path, index, key) for path, of_file in keys for index, key in enumerate(of_file)]
    return [one for one in found if is_wanted(one.key) and (one.key.run_id, one.key.attempt) not in retracted]


def _without_superseded(found: Iterable[_Found]) -> list[_Found]:
    # An invalid point enters no baseline or verdict, so an invalid retry must not hide a valid point of an earlier attempt.
    # Of two valid ones the newer counts, never the faster; an attempt that is no longer trusted is to be retracted.
    best: dict[tuple[str, str, int], _Found] = {}
    for one in sorted(found, key=lambda one: (PRECEDENCE.index(one.key.status), one.key.attempt)):
        best[one.key.run_id, one.key.recipe, one.key.conc] = one
    return sorted(best.values(), key=lambda one: (one.key.order, one.key.recipe, one.key.conc))


def _current_and_previous(
    found: Sequence[_Found], recipes: Mapping[str, Sequence[str]], run_id: str | None
) -> tuple[list[_Found], list[_Found]]:
    current: list[_Found] = []
    previous: list[_Found] = []
    for recipe, former in recipes.items():
        family = {recipe, *former}
        runs = _runs(one for one in found if one.key.recipe in family)
        runs = [
            run for run in runs if run_id or run[0].key.origin != "published"
        ] or runs  # published figures never replace a run of our own
        newest = next(
            (index for index in range(len(runs) - 1, -1, -1) if run_id in {None, runs[index][0].key.run_id}),
            None,
        )
        if newest is not None:
            current += runs[newest]
            previous += _before(runs[newest], runs[:newest])
    return current, previous


def _runs(found: Iterable[_Found]) -> list[list[_Found]]:
    """Return the rows by run, oldest run first."""
    by_run: defaultdict[str, list[_Found]] = defaultdict(list)
    for one in found:
        by_run[one.key.run_id].append(one)
    return sorted(by_run.values(), key=lambda run: max(one.key.order for one in run))


def _before(current: Sequence[_Found], earlier: Sequence[list[_Found]]) -> list[_Found]:
    """Return the newest of the ``earlier`` runs (oldest first) with the same settings, else the newest of all.

    Points are chosen one by one: a point that is not valid or missing does not replace an earlier valid one.
    """
    like = [run for run in reversed(earlier) if _is_like(run, current)]
    settings = {one.key.settings_key for one in current}
    same = [run for run in like if {one.key.settings_key for one in run} == settings]
    if not same:
        return like[0] if like else []
    newest = {one.key.conc: one for one in same[0]}
    wanted = newest.keys() | {one.key.conc for one in current}
    valid = {
        one.key.conc: one
        for run in reversed(same)
        for one in run
        if one.key.is_trusted and one.key.conc in wanted
    }
    return [*(newest | valid).values()]


def _is_like(run: Sequence[_Found], current: Sequence[_Found]) -> bool:
    settings = {(one.key.origin, one.key.requests_per_conc) for one in current}
    return any(one.key.has_figures for one in run) and settings == {
        (one.key.origin, one.key.requests_per_conc) for one in run
    }


def _load(storage: Storage, found: Sequence[_Found]) -> tuple[HistoryRow, ...]:
    """Return the documents of these rows, in their order."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for one in found:
        wanted[one.path].add(one.index)
    read = {
        (path, index): row
        for path, indices in wanted.items()
        for index, row in table.documents(storage, path, indices)
    }
    return tuple(read[one.path, one.index] for one in found)
