"""The same curves under other assumptions: another price, every GPU held paid, a limit on the wait for the first token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.analyse.curves import UNREACHABLE, Assumption, Frontier, iso_table, with_ratios
from pipeline.schema.catalogue import Sku
from pipeline.schema.comparison import WhatIf
from pipeline.schema.report import Curve, Definition, IsoCell, IsoRow


def what_if(curves: Sequence[Curve], *, skus: dict[str, Sku], definition: Definition, span: float) -> tuple[WhatIf, ...]:
    """Tokens per dollar of the last SKU over the first where an assumption is another; None where a side is unreachable.

    ``span``: relative change of the last SKU's price, both ways.
    """
    last = definition.skus[-1]
    assumed = (
        Assumption(),
        Assumption(price_factor={last: 1 + span}),
        Assumption(price_factor={last: 1 - span}),
        Assumption(pays_held=True),
    )
    tables = [iso_table(curves, skus=skus, definition=definition, assuming=one) for one in assumed]
    return tuple(
        WhatIf(
            interactivity=given.interactivity,
            as_given=given.cost_ratio,
            dearer=dearer.cost_ratio,
            cheaper=cheaper.cost_ratio,
            held=held.cost_ratio,
            break_even=given.throughput_ratio,
        )
        for given, dearer, cheaper, held in zip(*tables, strict=True)
    )


def attainable(curves: Iterable[Curve], *, definition: Definition, limit_ms: float) -> tuple[IsoRow, ...]:
    """The best point of each SKU that is at least as interactive and whose median TTFT is known and at most ``limit_ms``.

    No interpolation: between two points that keep a promise, no deployment is known that keeps it too.
    """
    kept = {curve.sku: Frontier.of(curve, Assumption(ttft_p50_limit_ms=limit_ms)) for curve in curves}
    return tuple(
        with_ratios(at, tuple(_best(kept[sku], at) if sku in kept else UNREACHABLE for sku in definition.skus))
        for at in definition.interactivity
    )


def _best(kept: Frontier, at: float) -> IsoCell:
    """The first knot that is fast enough has the most throughput of all that are."""
    knot = next((knot for knot in kept.points if (knot.interactivity or 0.0) >= at), None)
    if knot is None:
        return UNREACHABLE
    return IsoCell(
        total_tok_s_gpu=knot.total_tok_s_gpu,
        usd_per_mtok=knot.usd_per_mtok,
        ttft_p50_ms=knot.ttft_p50_ms,
        shape=f"{knot.shape} c{knot.conc}",
    )


def left_within(curves: Iterable[Curve], limit_ms: float) -> tuple[str, ...]:
    """How many trusted points of each curve the limit leaves, in words."""
    assumed, said = Assumption(ttft_p50_limit_ms=limit_ms), []
    for curve in curves:
        trusted = [point for point in curve.points if point.status == "ok"]
        said.append(f"{curve.title} {sum(map(assumed.admits, trusted))} of {len(trusted)} points")
    return tuple(said)
