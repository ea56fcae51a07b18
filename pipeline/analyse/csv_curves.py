"""Curves of any CSV: which column makes the frontier, which points are on it, and what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.analyse.frontier import Better, Way, frontier
from pipeline.analyse.iso import Knots
from pipeline.analyse.readings import read_curves
from pipeline.errors import PipelineError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.claims import CostMode
from pipeline.schema.csv_iso import THROUGHPUT, CsvIso, NotOnFrontier


@dataclass(frozen=True, slots=True)
class IsoRequest:
    """Which columns are read at which positions; ``cost`` None = none, ``better`` None = by the names of the columns."""

    at: tuple[float, ...]
    x: str
    y: str
    cost: CostMode | None
    tier: str
    gap: float
    better: Better | None = None


@dataclass(frozen=True, slots=True)
class RankedPoint:
    """A point of a curve; ``rank`` is its ordinate on the frontier, which need not be the column that is read."""

    line: int
    sku: str
    x: float
    y: float
    rank: float


def ranking(request: IsoRequest, columns: Sequence[str]) -> tuple[str, Better]:
    """Return the column that makes the frontier with x, and which way each of the two is good.

    It is the throughput where the file has it and no direction is named: what a deployment costs, or how long it makes users wait, is
    read on the deployments that the throughput keeps.
    """
    if request.better or THROUGHPUT not in columns:
        return request.y, request.better or (way_of(request.x), way_of(request.y))
    return THROUGHPUT, (way_of(request.x), "more")


def way_of(column: str) -> Way:
    """Return which way a column is good, by its name: less is better of costs and times.

    >>> way_of("usd_per_mtok"), way_of("e2e_ms"), way_of("interactivity")
    ('less', 'less', 'more')
    """
    return "less" if column.startswith(("usd_", "ttft", "tpot")) or column.endswith("_ms") else "more"


def read_csv(
    request: IsoRequest, points: Iterable[RankedPoint], columns: Sequence[str], catalogue: Catalogue | None
) -> CsvIso:
    """Return the readings of every SKU; without a catalogue names stay as they are and nothing has a price."""
    is_throughput = request.y == THROUGHPUT
    if request.cost and not is_throughput:
        what = f"cost is derived from {THROUGHPUT}, not from {request.y}"
        raise PipelineError(what, hint=f"leave out --cost, or read --y {THROUGHPUT}")
    ranked_by, better = ranking(request, columns)
    left_out: list[NotOnFrontier] = []
    knots: dict[str, Knots] = {}
    for sku, found in by_sku(points, catalogue).items():
        positive = [one for one in found if one.y > 0 and one.rank > 0]  # nothing served is no knot
        kept = frontier(positive, x=lambda one: one.x, y=lambda one: one.rank, better=better)
        knots[sku] = Knots(tuple(one.x for one in kept), tuple(one.y for one in kept))
        left_out += not_on_frontier(sku, found, kept)
    prices = prices_of(knots, catalogue, request.tier) if is_throughput else {}
    return CsvIso(
        x=request.x,
        y=request.y,
        ranked_by=ranked_by,
        better=better,
        is_default=(request.x, request.y, request.better) == ("interactivity", THROUGHPUT, None),
        cost=request.cost,
        tier=request.tier,
        prices=prices,
        gap=request.gap,
        readings=read_curves(knots, request.at, prices, request.cost or "derived"),
        left_out=tuple(left_out),
    )


def by_sku(points: Iterable[RankedPoint], catalogue: Catalogue | None) -> dict[str, list[RankedPoint]]:
    """Return the points by SKU id; a name that the catalogue does not know is a curve of its own."""
    curves: dict[str, list[RankedPoint]] = {}
    for one in points:
        known = catalogue.sku(one.sku) if catalogue else None
        curves.setdefault(known.id if known else one.sku, []).append(one)
    return curves


def not_on_frontier(
    sku: str, found: Sequence[RankedPoint], kept: Sequence[RankedPoint]
) -> list[NotOnFrontier]:
    """Return the points that the frontier leaves out, in the order of the file."""
    places = {(one.x, one.rank) for one in kept}
    left_out = []
    for one in found:
        place = (one.x, one.rank)
        if not any(one is knot for knot in kept):
            left_out.append(NotOnFrontier(line=one.line, sku=sku, x=one.x, is_duplicate=place in places))
        places.add(place)
    return left_out


def prices_of(skus: Iterable[str], catalogue: Catalogue | None, tier: str) -> dict[str, float]:
    """Return the price per GPU-hour of each SKU that has one."""
    known = {sku: catalogue.skus[sku].price(tier) for sku in skus if catalogue and sku in catalogue.skus}
    return {sku: price.usd_per_gpu_hour for sku, price in known.items() if price}
