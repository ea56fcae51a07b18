"""Names and units of specifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.schema.sku_comparison import Bound, SpecKey


@dataclass(frozen=True, slots=True)
class SpecWords:
    """How a specification is printed.

    ``axis`` is its name on the radar, ``quantity`` the format of its figures.
    """

    label: str
    unit: str
    quantity: str
    axis: str = ""


SPECS: Final[dict[SpecKey, SpecWords]] = {
    "hbm": SpecWords("HBM as sold", "GB", "count", "HBM"),
    "hbm_visible": SpecWords("HBM that nvidia-smi shows", "GB", "gb"),
    "hbm_bandwidth": SpecWords("HBM bandwidth", "TB/s", "grid", "HBM bandwidth"),
    "fp4": SpecWords("dense FP4", "TFLOP/s", "count", "FP4"),
    "fp8": SpecWords("dense FP8", "TFLOP/s", "count", "FP8"),
    "bf16": SpecWords("dense BF16", "TFLOP/s", "count", "BF16"),
    "scaleup": SpecWords("scale-up bandwidth, one direction", "GB/s", "count", "scale-up bandwidth"),
    "domain_gpus": SpecWords("GPUs of one scale-up domain", "GPUs", "count"),
    "domain_hbm": SpecWords("HBM of one domain", "TB", "tb", "domain HBM"),
    "domain_bandwidth": SpecWords("HBM bandwidth of one domain", "TB/s", "grid", "domain bandwidth"),
    "power": SpecWords("power, all in", "kW", "grid"),
    "price": SpecWords("price", "USD/GPU-hour", "grid"),
}
BOUNDS: Final[dict[Bound, str]] = {
    "compute": "compute",
    "bandwidth": "bandwidth",
    "capacity": "capacity",
    "exchange": "exchange between GPUs",
}


def spec_label(spec: SpecKey, price_tier: str) -> str:
    """Return the name of a specification; a price carries its tier."""
    label = SPECS[spec].label
    return f"{label}, {price_tier} tier" if spec == "price" else label
