"""What other assumptions would change: price, GPUs paid, a limit on the wait for the first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.analyse.curves import Assumption, Frontier, iso_table
from pipeline.analyse.peak import Pair, peak
from pipeline.schema.catalogue import Sku
from pipeline.schema.comparing import Scenario
from pipeline.schema.report import Curve, Definition

TTFT_LIMIT_MS = 10_000.0
PRICE_SHIFT = 0.2


def scenarios(curves: Sequence[Curve], *, skus: dict[str, Sku], definition: Definition) -> tuple[Scenario, ...]:
    """The iso table as it is, and under each other assumption; curves of one family."""
    last = skus[definition.skus[-1]]
    assumed = {
        "as stated": ("measured points, stated price, GPUs counted", Assumption()),
        "price −20 %": (f"{last.title} 20 % cheaper than stated", Assumption(price_factor={last.id: 1 - PRICE_SHIFT})),
        "price +20 %": (f"{last.title} 20 % dearer than stated", Assumption(price_factor={last.id: 1 + PRICE_SHIFT})),
        "held GPUs": ("every GPU that the scheduler gave, trays of NATS and etcd included", Assumption(pays_held=True)),
        "TTFT ≤ 10 s": (
            "only points whose median TTFT is 10 s or less; a point of unknown TTFT keeps no promise",
            Assumption(ttft_p50_limit_ms=TTFT_LIMIT_MS),
        ),
    }
    return tuple(scenario(name, words, assuming, curves, skus, definition) for name, (words, assuming) in assumed.items())


def scenario(  # noqa: PLR0913, PLR0917  # a name and words for an assumption, and the three documents that it is applied to
    name: str, words: str, assuming: Assumption, curves: Sequence[Curve], skus: dict[str, Sku], definition: Definition
) -> Scenario:
    """The iso table and both peaks under one assumption."""
    pair = _pair(curves, assuming, skus, definition)
    grid = definition.interactivity
    return Scenario(
        name=name,
        words=words,
        iso=iso_table(curves, skus=skus, definition=definition, assuming=assuming),
        throughput_peak=peak(pair, grid, "total_tok_s_gpu") if pair else None,
        cost_peak=peak(pair, grid, "usd_per_mtok", assuming.cost) if pair else None,
    )


def _pair(curves: Sequence[Curve], assuming: Assumption, skus: Mapping[str, Sku], definition: Definition) -> Pair | None:
    """First and last SKU of the definition; None where one of them has no curve, or they are the same."""
    by_sku = {curve.sku: curve for curve in curves}
    first, last = definition.skus[0], definition.skus[-1]
    if first == last or not {first, last} <= by_sku.keys():
        return None
    knots = [Frontier.of(by_sku[sku], assuming).knots for sku in (first, last)]
    prices = [assuming.usd_per_gpu_hour(skus[sku], definition.price_tier) for sku in (first, last)]
    return Pair(knots[0], knots[1], prices[0], prices[1])
