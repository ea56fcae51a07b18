"""What comparing curves gives: readings of any CSV, and where a ratio peaks."""

from __future__ import annotations

from typing import Literal

from pipeline.schema.base import Document
from pipeline.schema.published import CostMode, Quantity
from pipeline.schema.recipe import Text


class Reading(Document):
    """One SKU at one interactivity; null = unreachable. ``gap``: distance of the knots around it, 0 at a knot, tok/s/user."""

    sku: Text
    interactivity: float
    total_tok_s_gpu: float | None
    usd_per_mtok: float | None = None
    gap: float | None = None


class Place(Document):
    """A ratio at an interactivity."""

    at: float
    ratio: float


class Peak(Document):
    """Where the ratio of two curves is largest: on a declared grid, and anywhere between the ends of what both measured.

    ``local``: maxima inside, the highest first. ``low`` and ``high``: the ends of the common range, which are no maxima of
    anything but the range. ``passed_again_from``: where the ratio is above the highest local maximum once more.
    """

    quantity: Quantity
    cost: CostMode
    grid: tuple[float, ...]
    on_grid: Place | None
    low: Place
    high: Place
    local: tuple[Place, ...]
    passed_again_from: float | None

    @property
    def highest(self) -> Place:
        """The largest ratio of all."""
        return max((self.low, self.high, *self.local), key=lambda place: place.ratio)

    @property
    def kind(self) -> Literal["local peak", "edge"]:
        """Whether the largest ratio lies inside or where the measurements end."""
        return "edge" if self.highest in (self.low, self.high) else "local peak"
