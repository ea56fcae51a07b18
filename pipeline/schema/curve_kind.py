"""What the points of a curve have in common apart from their SKU: two kinds never share a table, a frontier or a verdict."""

from __future__ import annotations

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.recipe import Text
from pipeline.schema.result import Measure, Origin


class CurveKind(Document):
    """Origin, measure and load of a curve."""

    origin: Origin
    measure: Measure
    requests_per_conc: int
    reduced_from: int | None = Field(
        default=None, description="requests per conc that the recipe asks for, where fewer were sent"
    )
    time_scale: float | None = Field(
        default=None, description="simulated engines ran this many times as slow as calibrated; null = as is"
    )
    run_id: Text | None = Field(default=None, description="run of a published study; null = our own runs")

    @property
    def is_virtual_time(self) -> bool:
        """Whether no request crossed a network: the scheduler was replayed."""
        return self.measure == "replay"

    @property
    def order(self) -> tuple[str, str, int, int, float, str]:
        """A key to sort kinds by."""
        reduced, slowed = self.reduced_from or 0, self.time_scale or 0.0
        return self.origin, self.measure, self.requests_per_conc, reduced, slowed, self.run_id or ""
