"""The ratio of two SKUs over all interactivities that both reach."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.analyse.curves import Family, iso_table
from pipeline.schema.catalogue import Sku
from pipeline.schema.report import Definition
from pipeline.schema.sku_comparison import RatioCurve, RatioPoint

STEPS = 120  # enough for a line to look smooth


def ratio_curves(
    kinds: Iterable[Family], *, skus: dict[str, Sku], definition: Definition
) -> tuple[RatioCurve, ...]:
    """Return one curve for each family with knots of the first and the last SKU, over their common range."""
    curves = ((family.kind, _points(family, skus, definition)) for family in kinds)
    return tuple(RatioCurve(kind=kind, points=points) for kind, points in curves if points)


def _points(family: Family, skus: dict[str, Sku], definition: Definition) -> tuple[RatioPoint, ...]:
    ends = {curve.sku: [knot.interactivity or 0.0 for knot in curve.knots] for curve in family.curves}
    first, last = (ends.get(sku, []) for sku in (definition.skus[0], definition.skus[-1]))
    if not first or not last or definition.skus[0] == definition.skus[-1]:
        return ()
    low, high = max(first[0], last[0]), min(first[-1], last[-1])
    grid = tuple(low + (high - low) * step / STEPS for step in range(1, STEPS))
    rows = iso_table(
        family.curves, skus=skus, definition=definition.model_copy(update={"interactivity": grid})
    )
    return tuple(
        RatioPoint(interactivity=row.interactivity, throughput=row.throughput_ratio, cost=row.cost_ratio)
        for row in rows
        if row.throughput_ratio is not None
    )
