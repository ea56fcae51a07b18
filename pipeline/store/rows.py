"""Reading history: keys first, then only the documents that are wanted."""

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

STANDING = ("failed", "refused", "ok")  # an attempt stands over those of an earlier status here
READERS = 4  # files whose keys are read at once; an object store answers slowly, not seldom

RowPair = tuple[tuple[HistoryRow, ...], tuple[HistoryRow, ...]]


@dataclass(frozen=True, slots=True)
class _Found:
    """A row that is known by its key and not read yet."""

    path: str
    index: int
    key: Key


def rows(
    url: str | Storage, *, select: str = "*", date_from: str | None = None, run_id: str | None = None
) -> tuple[HistoryRow, ...]:
    """Rows (of ``run_id``) of recipes whose id matches the glob, without retracted runs, by time.

    Of several attempts of a run the newest with a good point stands for a recipe and concurrency, else the newest refused, else the newest.
    """
    storage = at(url)
    found = _scan(
        storage, lambda key: run_id in {None, key.run_id} and fnmatchcase(key.recipe, select), date_from
    )
    return _load(storage, _standing(found))


def latest(url: str | Storage, recipes: Mapping[str, Sequence[str]], *, run_id: str | None = None) -> RowPair:
    """``current_and_previous`` of a history, of which only those rows are read that it gives."""
    storage = at(url)
    if not recipes:
        return (), ()
    wanted = {*recipes, *(name for former in recipes.values() for name in former)}
    found = _scan(storage, lambda key: key.recipe in wanted or not wanted.isdisjoint(key.was), None)
    current, previous = _current_and_previous(_standing(found), recipes, run_id)
    return _load(storage, current), _load(storage, previous)


def current_and_previous(
    rows: Sequence[HistoryRow], recipes: Mapping[str, Sequence[str]], *, run_id: str | None = None
) -> RowPair:
    """Rows of each recipe's newest run (or of ``run_id``), and of the newest run before it that it can be compared with.

    ``recipes``: recipe id -> former ids. Comparable is a run of the same settings with at least one good point; the deployment may differ.
    A point that is not good there, or not there, is that of the newest such run in which it is good.
    Where no run is, it is the newest of the same origin and as many requests per concurrency: then what differs in settings can be told.
    """
    found = _standing(_Found("", index, Key.of(row)) for index, row in enumerate(rows))
    current, previous = _current_and_previous(found, recipes, run_id)
    return tuple(rows[one.index] for one in current), tuple(rows[one.index] for one in previous)


def _scan(storage: Storage, is_wanted: Callable[[Key], bool], date_from: str | None) -> list[_Found]:
    retracted = Retracted(storage)
    paths = table.files(storage, date_from=date_from)
    with ThreadPoolExecutor(max_workers=READERS) as readers:
        keys = zip(paths, readers.map(lambda path: table.keys(storage, path), paths), strict=True)
        found = [_Found(path, index, key) for path, of_file in keys for index, key in enumerate(of_file)]
    return [one for one in found if is_wanted(one.key) and (one.key.run_id, one.key.attempt) not in retracted]


def _standing(found: Iterable[_Found]) -> list[_Found]:
    # A refused point enters no baseline or verdict, so a retry that was refused would only keep an older good point of its run out of them.
    # Among good ones the newer stands, never the faster; who no longer trusts an attempt retracts it.
    best: dict[tuple[str, str, int], _Found] = {}
    for one in sorted(found, key=lambda one: (STANDING.index(one.key.status), one.key.attempt)):
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
        ] or runs  # figures of others displace no night of ours
        newest = next(
            (index for index in range(len(runs) - 1, -1, -1) if run_id in {None, runs[index][0].key.run_id}),
            None,
        )
        if newest is not None:
            current += runs[newest]
            previous += _before(runs[newest], runs[:newest])
    return current, previous


def _runs(found: Iterable[_Found]) -> list[list[_Found]]:
    """Rows by run, oldest run first."""
    by_run: defaultdict[str, list[_Found]] = defaultdict(list)
    for one in found:
        by_run[one.key.run_id].append(one)
    return sorted(by_run.values(), key=lambda run: max(one.key.order for one in run))


def _before(current: Sequence[_Found], earlier: Sequence[list[_Found]]) -> list[_Found]:
    """Of ``earlier`` runs, oldest first: the newest of the same settings, or where there is none the newest, so that it is said why.

    Each point for itself: one that is not to be trusted, or was not measured, takes no earlier good one's place.
    """
    like = [run for run in reversed(earlier) if _is_like(run, current)]
    settings = {one.key.settings_key for one in current}
    same = [run for run in like if {one.key.settings_key for one in run} == settings]
    if not same:
        return like[0] if like else []
    newest = {one.key.conc: one for one in same[0]}
    wanted = newest.keys() | {one.key.conc for one in current}
    good = {
        one.key.conc: one
        for run in reversed(same)
        for one in run
        if one.key.is_trusted and one.key.conc in wanted
    }
    return [*(newest | good).values()]


def _is_like(run: Sequence[_Found], current: Sequence[_Found]) -> bool:
    settings = {(one.key.origin, one.key.requests_per_conc) for one in current}
    return any(one.key.is_trusted for one in run) and settings == {
        (one.key.origin, one.key.requests_per_conc) for one in run
    }


def _load(storage: Storage, found: Sequence[_Found]) -> tuple[HistoryRow, ...]:
    """The documents of these rows, in their order."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for one in found:
        wanted[one.path].add(one.index)
    read = {
        (path, index): row
        for path, indices in wanted.items()
        for index, row in table.documents(storage, path, indices)
    }
    return tuple(read[one.path, one.index] for one in found)
