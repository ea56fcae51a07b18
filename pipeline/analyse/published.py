"""Curves of a published study, read on either of its axes."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyse.curves import UNREACHABLE, with_ratios
from pipeline.analyse.iso import Knots
from pipeline.analyse.peak import CurvePair, peak
from pipeline.schema.claims import Axis, CostMode, Quantity
from pipeline.schema.compare import Peak
from pipeline.schema.published import PublishedRow, Tables
from pipeline.schema.report import IsoCell, IsoRow


def knots(study: Tables, sku: str, axis: Axis) -> Knots:
    """Return the frontier of a SKU's published rows on either axis."""
    return Knots.of((_x(row, axis), row.total_tok_s_gpu) for row in study.rows if row.sku == sku)


def skus(study: Tables) -> tuple[str, ...]:
    """Return the SKUs in the order of the study's own ratios."""
    return study.iso.skus if study.iso else tuple(dict.fromkeys(row.sku for row in study.rows))


def peak_of(study: Tables, *, axis: Axis, quantity: Quantity, cost: CostMode = "derived") -> Peak | None:
    """Return the peak of the study's ratio, last over first SKU, on the grid of its own iso table."""
    order, rates = skus(study), study.usd_per_gpu_hour
    if len(order) < 2:
        return None
    grid = tuple(float(row.label) for row in study.iso.rows) if study.iso else ()
    pair = CurvePair(
        knots(study, order[0], axis), knots(study, order[-1], axis), rates.get(order[0]), rates.get(order[-1])
    )
    return peak(pair, grid, quantity, cost)


def published_iso(
    study: Tables, at: Sequence[float], *, axis: Axis, cost: CostMode, gap: float
) -> tuple[IsoRow, ...]:
    """Return the study's SKUs at each interactivity, at its own prices; TTFT and shape are not stated, so None."""
    curves = [(knots(study, sku, axis), study.usd_per_gpu_hour.get(sku)) for sku in skus(study)]
    return tuple(with_ratios(t, tuple(_cell(curve, usd, t, cost, gap) for curve, usd in curves)) for t in at)


def _cell(curve: Knots, usd: float | None, t: float, cost: CostMode, gap: float) -> IsoCell:
    between = curve.gap(t)
    if between is None:
        return UNREACHABLE
    throughput, costs = curve.read([t])[0], curve.cost([t], usd, cost)[0]
    return IsoCell(
        total_tok_s_gpu=throughput,
        usd_per_mtok=costs,
        ttft_p50_ms=None,
        shape=None,
        directional=between > gap,
    )


def _x(row: PublishedRow, axis: Axis) -> float | None:
    return row.interactivity_as_printed if axis == "interactivity_as_printed" else row.interactivity
