"""Results of comparing: readings of a CSV, peaks of a ratio, and two sides with their tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.claims import CostMode, Quantity
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.reasons import FieldDiff
from pipeline.schema.recipe import Text
from pipeline.schema.report import Change, Curve, IsoRow
from pipeline.schema.sku_comparison import SpecRow


class Reading(Document):
    """One SKU at one interactivity; null = unreachable.

    ``gap``: distance of the knots around it in tok/s/user, 0 at a knot.
    """

    sku: Text
    interactivity: float
    total_tok_s_gpu: float | None
    usd_per_mtok: float | None = None
    gap: float | None = None

    def is_directional(self, gap: float) -> bool:
        """Return whether it was read between knots over ``gap`` apart: a direction, not a figure."""
        return self.gap is not None and self.gap > gap


class RatioAt(Document):
    """A ratio at an interactivity.

    ``gap``: distance of the knots around it in tok/s/user, the larger one of both sides.
    """

    at: float
    ratio: float
    gap: float = 0.0


class Peak(Document):
    """The largest ratio of two curves: on a declared grid, and anywhere in the range that both cover.

    ``local``: maxima inside, the highest first. ``low`` and ``high``: the ends of the common range, which are maxima of
    the range only. ``passed_again_from``: where the ratio is above the highest local maximum once more.
    """

    quantity: Quantity
    cost: CostMode
    grid: tuple[float, ...]
    on_grid: RatioAt | None
    low: RatioAt
    high: RatioAt
    local: tuple[RatioAt, ...]
    passed_again_from: float | None

    @property
    def highest(self) -> RatioAt:
        """The largest ratio of all."""
        return max((self.low, self.high, *self.local), key=lambda place: place.ratio)

    @property
    def kind(self) -> Literal["local peak", "edge"]:
        """Whether the largest ratio lies inside or where the measurements end."""
        return "edge" if self.highest in (self.low, self.high) else "local peak"


class PairedCurves(Document):
    """Two curves of one kind (origin, measure, load) at the same interactivities; null = no curve, so unreachable."""

    kind: CurveKind
    about: str = Field(description="the SKU of both curves where sides are runs or images; empty otherwise")
    curves: tuple[Curve | None, Curve | None]
    iso: tuple[IsoRow, ...] = Field(description="interactivities that at least one side reaches")
    throughput_peak: Peak | None
    cost_peak: Peak | None


class CompareNote(Document):
    """What could not be compared: ``side`` has no points, or no kind of figures has curves of both sides."""

    kind: Literal["no points", "no common kind"]
    side: Text | None = None


class SideBySide(Document):
    """``compare A B``. Ratios: throughput B over A, cost A over B, so above 1 favours B. Changes are from A to B."""

    kind: Literal["SKUs", "runs", "recipes", "images"]
    names: tuple[str, str]
    specs: tuple[SpecRow, ...]
    price_tier: Text = Field(description="of every price")
    together: tuple[PairedCurves, ...]
    changes: tuple[Change, ...]
    differs: tuple[FieldDiff, ...]
    gap: float = Field(description="readings between knots farther apart are directional, tok/s/user")
    notes: tuple[CompareNote, ...] = Field(description="what could not be compared")
