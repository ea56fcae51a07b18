"""Readings of the curves of any table at the same interactivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.analyse.iso import Knots
from pipeline.schema.claims import CostMode
from pipeline.schema.compare import Reading


def read_curves(
    curves: Mapping[str, Knots], at: Sequence[float], prices: Mapping[str, float], cost: CostMode
) -> tuple[Reading, ...]:
    """Return one reading per curve and interactivity, with a cost where there is a price per GPU-hour."""
    found = []
    for sku, knots in curves.items():
        costs = knots.cost(at, prices.get(sku), cost)
        for t, throughput, usd in zip(at, knots.read(at), costs, strict=True):
            found.append(
                Reading(
                    sku=sku, interactivity=t, total_tok_s_gpu=throughput, usd_per_mtok=usd, gap=knots.gap(t)
                )
            )
    return tuple(found)
