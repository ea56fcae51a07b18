"""What follows from specifications: shares of the best SKU, limits of tokens per dollar, expert traffic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.analyse.cost import ratio
from pipeline.analyse.specs import SPECS
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.findings import CeilingFinding, ExchangeFinding, ReadRatio
from pipeline.schema.recipe import WorkerPool
from pipeline.schema.report import CurvePoint, IsoRow
from pipeline.schema.result import Origin
from pipeline.schema.sku_comparison import (
    Bound,
    Ceiling,
    ExchangeAssumptions,
    ExchangeRow,
    RadarAxis,
    SpecKey,
    SpecRow,
)

RADAR: Final[tuple[SpecKey, ...]] = (
    "hbm",
    "hbm_bandwidth",
    "fp4",
    "fp8",
    "bf16",
    "scaleup",
    "domain_hbm",
    "domain_bandwidth",
)
BOUNDS: Final[dict[Bound, SpecKey]] = {
    "compute": "fp4",
    "bandwidth": "hbm_bandwidth",
    "capacity": "hbm",
    "exchange": "scaleup",
}


def radar(skus: Sequence[Sku], peers: Iterable[Sku]) -> tuple[RadarAxis, ...]:
    """Return each stated specification as a share of the maximum over the SKUs and their peers."""
    known = [*skus, *peers]
    return tuple(
        _axis(spec, skus, known) for spec in RADAR if any(SPECS[spec](sku) is not None for sku in known)
    )


def _axis(spec: SpecKey, skus: Sequence[Sku], known: Sequence[Sku]) -> RadarAxis:
    read = SPECS[spec]
    best = max(value for sku in known if (value := read(sku)) is not None)
    shares = tuple(ratio(read(sku), best) for sku in skus)
    return RadarAxis(spec=spec, best=tuple(sku.title for sku in known if read(sku) == best), shares=shares)


def ceilings(rows: Sequence[SpecRow]) -> tuple[Ceiling, ...]:
    """Return the ratio of each resource over that of prices: the limit of tokens per dollar if it alone limits."""
    ratios = {row.spec: row.ratio for row in rows}
    return tuple(
        Ceiling(
            bound=bound,
            spec=spec,
            spec_ratio=ratios[spec],
            price_ratio=ratios["price"],
            tokens_per_dollar_ratio=ratio(ratios[spec], ratios["price"]),
        )
        for bound, spec in BOUNDS.items()
    )


def ceiling_finding(
    rows: Sequence[Ceiling], iso: Sequence[IsoRow], origin: Origin | None
) -> CeilingFinding | None:
    """Return the highest ceiling on paper and the highest ratio that the curves read; None without both."""
    known = [ceiling for row in rows if (ceiling := row.tokens_per_dollar_ratio) is not None]
    read = [
        ReadRatio(at=row.interactivity, ratio=row.cost_ratio, directional=row.directional)
        for row in iso
        if row.cost_ratio is not None
    ]
    if not known or not read or origin is None:
        return None
    return CeilingFinding(ceiling=max(known), read=max(read, key=lambda one: one.ratio), origin=origin)


def exchange(
    skus: Sequence[Sku], llm: Llm, assumed: ExchangeAssumptions, ran: Sequence[tuple[CurvePoint, WorkerPool]]
) -> tuple[ExchangeRow, ...]:
    """Return the all-to-all traffic of one decode step, for even routing with no two experts of a token on one GPU.

    A rank sends ``layers · experts per token · hidden · (dispatch + combine bytes) · (EP − 1)/EP`` bytes per token.
    ``ran``: points with the decode workers behind them; a rank of these holds ``conc / ranks`` requests at most,
    never more than is assumed.
    """
    rows = []
    for ep in assumed.ep if llm.experts else ():
        per_token = (
            llm.layers
            * llm.experts_per_token
            * llm.hidden
            * (assumed.dispatch_bytes + assumed.combine_bytes)
            * (ep - 1)
            / ep
        )
        gigabytes = per_token * assumed.tokens_per_rank / 1e9
        step_ms, held = _fastest(ep, assumed, ran)
        rows.append(
            ExchangeRow(
                ep=ep,
                experts_per_gpu=llm.experts / ep,
                mb_per_token=per_token / 1e6,
                scaleup_ms=tuple(
                    1000 * gigabytes / sku.scaleup_gb_s if ep <= sku.domain_gpus else None for sku in skus
                ),
                scaleout_ms=1000 * gigabytes / assumed.scaleout_gb_s,
                step_ms=step_ms,
                step_tokens=held,
            )
        )
    return tuple(rows)


def _fastest(
    ep: int, assumed: ExchangeAssumptions, ran: Sequence[tuple[CurvePoint, WorkerPool]]
) -> tuple[float | None, float | None]:
    """Return the fastest step, ms, of a DEP decode worker of this width, and the most tokens that a rank decodes."""
    steps = [
        (point.tpot_p50_ms, min(point.conc / (pool.workers * pool.dp), assumed.tokens_per_rank))
        for point, pool in ran
        if _is_dep(pool, ep) and point.tpot_p50_ms and point.status == "ok"
    ]
    return min(steps, default=(None, None))


def _is_dep(pool: WorkerPool, width: int) -> bool:
    """Whether attention is data-parallel over all GPUs of a worker, and experts are spread over them."""
    return (pool.tp, pool.pp, pool.dp) == (1, 1, width) and width > 1 and pool.ep > 1


def exchange_finding(
    rows: Sequence[ExchangeRow], llm: Llm, assumed: ExchangeAssumptions
) -> ExchangeFinding | None:
    """Return the exchange of the fastest step of the widest EP that ran, for the tokens that it held."""
    ran = [row for row in rows if row.step_ms is not None]
    if not ran:
        return None
    widest = ran[-1]
    held = widest.step_tokens or 0.0
    share = held / assumed.tokens_per_rank
    return ExchangeFinding(
        layers=llm.layers,
        ep=widest.ep,
        tokens_per_rank=held,
        step_ms=widest.step_ms or 1.0,
        scaleup_ms=max((share * one for one in widest.scaleup_ms if one is not None), default=None),
        scaleout_ms=share * widest.scaleout_ms,
    )
