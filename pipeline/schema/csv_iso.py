"""The answer of ``iso``: the curves of a CSV, read at given positions."""

from __future__ import annotations

from typing import Literal

from pipeline.schema.base import Document
from pipeline.schema.claims import CostMode
from pipeline.schema.compare import Reading
from pipeline.schema.recipe import Text

THROUGHPUT = "total_tok_s_gpu"
Direction = Literal["more", "less"]


class NotOnFrontier(Document):
    """A point that was left out: another one is as good in both columns, or is the same point."""

    line: int
    sku: Text
    x: float
    is_duplicate: bool


class CsvIso(Document):
    """Readings of column ``y`` along column ``x`` on the frontier of ``x`` and ``ranked_by``; ``better`` says which way each is good.

    ``is_default``: no column and no direction was named. ``cost`` null = no cost was asked for; ``prices`` are $/GPU-hour by SKU.
    """

    x: Text
    y: Text
    ranked_by: Text
    better: tuple[Direction, Direction]
    is_default: bool
    cost: CostMode | None
    tier: Text
    prices: dict[str, float]
    gap: float
    readings: tuple[Reading, ...]
    left_out: tuple[NotOnFrontier, ...]
