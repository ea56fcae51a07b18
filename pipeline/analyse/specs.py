"""The specifications of a SKU that reports and comparisons show, each with how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.analyse.cost import ratio
from pipeline.schema.catalogue import Sku
from pipeline.schema.sku_comparison import SpecKey, SpecRow

SpecReader = Callable[[Sku], float | None]

SPECS: Final[dict[SpecKey, SpecReader]] = {
    "hbm": lambda sku: sku.hbm_gb,
    "hbm_visible": lambda sku: None if sku.hbm_bytes is None else sku.hbm_bytes / 1e9,
    "hbm_bandwidth": lambda sku: sku.hbm_tb_s,
    "fp4": lambda sku: sku.fp4_tflops,
    "fp8": lambda sku: sku.fp8_tflops,
    "bf16": lambda sku: sku.bf16_tflops,
    "scaleup": lambda sku: sku.scaleup_gb_s,
    "domain_gpus": lambda sku: sku.domain_gpus,
    "domain_hbm": lambda sku: sku.hbm_gb * sku.domain_gpus / 1000,
    "domain_bandwidth": lambda sku: sku.hbm_tb_s * sku.domain_gpus,
    "power": lambda sku: sku.kw_per_gpu,
}


def specs(skus: Sequence[Sku], tier: str) -> tuple[SpecRow, ...]:
    """Return every specification of the SKUs per GPU, then the price of a GPU-hour.

    Ratios are last over first.
    """
    rows = [_row(spec, [read(sku) for sku in skus]) for spec, read in SPECS.items()]
    prices = [price.usd_per_gpu_hour if (price := sku.price(tier)) else None for sku in skus]
    return (*rows, _row("price", prices))


def _row(spec: SpecKey, values: list[float | None]) -> SpecRow:
    return SpecRow(spec=spec, values=tuple(values), ratio=ratio(values[-1], values[0]))
