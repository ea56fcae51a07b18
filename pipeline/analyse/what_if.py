"""The same curves under other assumptions: another price, all GPUs held paid for, a limit on TTFT."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import inf

from pipeline.analyse.cost import ratio
from pipeline.analyse.curves import UNREACHABLE, iso_table, with_ratios
from pipeline.analyse.frontier import frontier
from pipeline.schema.catalogue import Sku
from pipeline.schema.findings import PointsWithin, UncoveredRange
from pipeline.schema.report import Curve, CurvePoint, Definition, IsoCell, IsoRow
from pipeline.schema.sku_comparison import WhatIf


def what_if(
    curves: Sequence[Curve],
    iso: Sequence[IsoRow],
    *,
    skus: dict[str, Sku],
    definition: Definition,
    span: float,
) -> tuple[WhatIf, ...]:
    """Return tokens per dollar, last SKU over first, under other assumptions; None where a side is unreachable.

    ``span``: relative change of the last SKU's price, both ways. ``iso``: the curves as given.
    """
    held = iso_table([_rebuilt(curve, _as_held) for curve in curves], skus=skus, definition=definition)
    return tuple(
        WhatIf(
            interactivity=row.interactivity,
            as_given=row.cost_ratio,
            dearer=ratio(row.cost_ratio, 1 + span),
            cheaper=ratio(row.cost_ratio, 1 - span),
            held=when_held.cost_ratio,
            break_even=row.throughput_ratio,
            directional=row.directional,
            held_directional=when_held.directional,
        )
        for row, when_held in zip(iso, held, strict=True)
    )


def attainable(curves: Sequence[Curve], *, definition: Definition, limit_ms: float) -> tuple[IsoRow, ...]:
    """Return each SKU's best point at each interactivity or above with a median TTFT of at most ``limit_ms``.

    Nothing is interpolated: between two points within the limit no deployment is known to be within it.
    """
    by_sku = {curve.sku: _rebuilt(curve, lambda point: _if_within(point, limit_ms)) for curve in curves}
    rows = []
    for at in definition.interactivity:
        cells = tuple(_best(by_sku[sku], at) if sku in by_sku else UNREACHABLE for sku in definition.skus)
        rows.append(with_ratios(at, cells))
    return tuple(rows)


def uncovered(
    curves: Iterable[Curve], *, definition: Definition, limit_ms: float
) -> tuple[UncoveredRange, ...]:
    """Return ranges, wider than the directional gap, in which a SKU has no point within the limit."""
    start, end, found = definition.interactivity[0], definition.interactivity[-1], []
    for curve in curves:
        knots = [
            knot.interactivity or 0.0
            for knot in _rebuilt(curve, lambda point: _if_within(point, limit_ms)).knots
        ]
        if knots and knots[0] - start > definition.directional_gap:
            found.append(UncoveredRange(sku=curve.sku, low=None, high=knots[0]))
        found += [
            UncoveredRange(sku=curve.sku, low=low, high=high)
            for low, high in pairwise(knots)
            if high - low > definition.directional_gap and low < end and high > start
        ]
    return tuple(found)


def _best(curve: Curve, at: float) -> IsoCell:
    """Return the first knot that is fast enough: of all such knots it has the highest throughput."""
    knot = next((knot for knot in curve.knots if (knot.interactivity or 0.0) >= at), None)
    if knot is None:
        return UNREACHABLE
    return IsoCell(
        total_tok_s_gpu=knot.total_tok_s_gpu,
        usd_per_mtok=knot.usd_per_mtok,
        ttft_p50_ms=knot.ttft_p50_ms,
        shape=f"{knot.shape} c{knot.conc}",
    )


def points_within(curves: Iterable[Curve], limit_ms: float) -> tuple[PointsWithin, ...]:
    """Return how many trusted points of each curve are within the limit."""
    found = []
    for curve in curves:
        trusted = [point for point in curve.points if point.status == "ok"]
        within = sum(_if_within(point, limit_ms) is not None for point in trusted)
        found.append(PointsWithin(sku=curve.sku, within=within, points=len(trusted)))
    return tuple(found)


def _as_held(point: CurvePoint) -> CurvePoint:
    """Return the point with its throughput per GPU held instead of per GPU counted."""
    return point.model_copy(
        update={"total_tok_s_gpu": point.total_tok_s_gpu * point.gpus_counted / point.gpus_held}
    )


def _if_within(point: CurvePoint, limit_ms: float) -> CurvePoint | None:
    return point if point.ttft_p50_ms is not None and point.ttft_p50_ms <= limit_ms else None


def _rebuilt(curve: Curve, change: Callable[[CurvePoint], CurvePoint | None]) -> Curve:
    """Return the curve with its trusted points changed or left out, and the frontier of what remains."""
    points = [
        changed for point in curve.points if point.status == "ok" and (changed := change(point)) is not None
    ]
    points.sort(key=lambda point: (point.interactivity or inf, point.recipe, point.conc))
    knots = frontier(points, x=lambda point: point.interactivity, y=lambda point: point.total_tok_s_gpu)
    marked = (point.model_copy(update={"is_knot": any(point is knot for knot in knots)}) for point in points)
    return curve.model_copy(update={"points": tuple(marked)})
