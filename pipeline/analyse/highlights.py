"""What the first page shows beside the answer: the largest ratio, and long waits for the first token."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyse.curves import Family, Frontier
from pipeline.analyse.peak import CurvePair, peak
from pipeline.schema.compare import Peak, RatioAt
from pipeline.schema.findings import LargestRatio, LongWaits, PointName, ReadRatio
from pipeline.schema.report import Curve, Definition, IsoRow

LONG_TTFT_MS = 10_000.0  # a reader of interactivity alone would not expect to wait longer for the first token


def largest_ratio(
    iso: Sequence[IsoRow], curves: Sequence[Curve], definition: Definition
) -> LargestRatio | None:
    """Return the largest throughput ratio on the grid with its surroundings.

    None without two readable curves.
    """
    rows = [row for row in iso if row.throughput_ratio is not None and len(row.cells) > 1]
    if not rows:
        return None
    largest = max(rows, key=lambda row: row.throughput_ratio or 0.0)
    found = _peak(curves, definition)
    gap = definition.directional_gap
    return LargestRatio(
        skus=(definition.skus[0], definition.skus[-1]),
        origin=curves[0].origin,
        throughput=_throughput(largest),
        cost_ratio=largest.cost_ratio,
        ends=(_throughput(rows[0]), _throughput(rows[-1])),
        local_peak=read_ratio(found.local[0], gap) if found and found.local else None,
        range_end=read_ratio(found.high, gap) if found else None,
    )


def _throughput(row: IsoRow) -> ReadRatio:
    return ReadRatio(at=row.interactivity, ratio=row.throughput_ratio or 0.0, directional=row.directional)


def _peak(curves: Sequence[Curve], definition: Definition) -> Peak | None:
    """Return where the ratio of the first and the last curve peaks on the continuum."""
    knots = {curve.sku: Frontier.of(curve).knots for curve in curves}
    first, last = (knots.get(sku) for sku in (definition.skus[0], definition.skus[-1]))
    return (
        peak(CurvePair(first, last), definition.interactivity, "total_tok_s_gpu") if first and last else None
    )


def read_ratio(place: RatioAt, gap: float) -> ReadRatio:
    """Return a ratio of two curves; directional where its knots are over ``gap`` tok/s/user apart."""
    return ReadRatio(at=place.at, ratio=place.ratio, directional=place.gap > gap)


def long_waits(family: Family | None) -> LongWaits | None:
    """Return how many trusted points wait long for the first token, and the longest wait.

    None where none does.
    """
    points = [point for curve in family.curves for point in curve.points] if family else []
    trusted = [point for point in points if point.status == "ok"]
    slow = [(wait, point) for point in trusted if (wait := point.ttft_p50_ms or 0.0) > LONG_TTFT_MS]
    if not slow:
        return None
    longest_ms, longest = max(slow, key=lambda one: one[0])
    return LongWaits(
        limit_ms=LONG_TTFT_MS,
        count=len(slow),
        points=len(trusted),
        longest_ms=longest_ms,
        longest=PointName(sku=longest.sku, shape=longest.shape, conc=longest.conc),
    )
