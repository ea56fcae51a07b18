"""Everything that a report shows of its SKUs beyond their curves."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyse import paper, shapes, what_if
from pipeline.analyse.answer import Limit, answer
from pipeline.analyse.confounders import confounders
from pipeline.analyse.curves import Family
from pipeline.analyse.ratios import ratio_curves
from pipeline.analyse.specs import specs
from pipeline.schema.report import IsoRow, ReportData, SkuComparison


def comparison(data: ReportData, kinds: Sequence[Family], iso: Sequence[IsoRow]) -> SkuComparison | None:
    """Return the sections that the definition asks for; each is empty where its inputs are absent.

    ``kinds``: every family of curves, the one that the tables read first.
    """
    asked, definition = data.definition.comparison, data.definition
    if asked is None:
        return None
    curves = kinds[0].curves if kinds else ()
    origin = curves[0].origin if curves else None
    skus, limit_ms = [data.skus[sku] for sku in definition.skus], 1000 * asked.ttft_limit_s
    table = specs(skus, definition.price_tier)
    rows = shapes.shape_rows(data.fits, definition.skus)
    shape_skus = shapes.known_skus(data.fits, definition.skus)
    llm = next(iter(data.llms.values()), None)
    pools = {row.record.job.recipe.id: row.record.job.recipe.decode for row in data.rows}
    steps = [(point, pools[point.recipe]) for curve in curves for point in curve.points]
    exchanged = paper.exchange(skus, llm, asked.exchange, steps) if llm else ()
    ceilings = paper.ceilings(table)
    slo = what_if.attainable(curves, definition=definition, limit_ms=limit_ms)
    limit = Limit(asked.ttft_limit_s, what_if.uncovered(curves, definition=definition, limit_ms=limit_ms))
    return SkuComparison(
        definition=asked,
        specs=table,
        radar=paper.radar(skus, data.peers.values()),
        ceilings=ceilings,
        ceiling_finding=paper.ceiling_finding(ceilings, iso, origin),
        shapes=rows,
        shape_skus=shape_skus,
        capacity_gb=shapes.capacities(data.fits, definition.skus),
        shape_findings=shapes.shape_findings(rows, shape_skus),
        exchange=exchanged,
        exchange_finding=paper.exchange_finding(exchanged, llm, asked.exchange) if llm else None,
        ratios=ratio_curves(kinds, skus=data.skus, definition=definition),
        confounders=confounders(data.rows, definition.skus),
        what_if=what_if.what_if(curves, iso, skus=data.skus, definition=definition, span=asked.price_span),
        slo=slo,
        slo_answer=answer(slo, definition.skus, bar=asked.level_within, origin=origin, limit=limit),
        slo_points=what_if.points_within(curves, limit_ms),
    )
