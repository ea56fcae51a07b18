"""Findings of a report: numbers and enums. ``render.words`` turns each of them into a sentence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.claims import Axis, CostMode, Quantity
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.recipe import Text
from pipeline.schema.result import Origin
from pipeline.schema.sku_comparison import WorkerShape
from pipeline.schema.timing import RangeAxis

Winner = Literal["first", "last", "level", "direction_only", "only_first", "only_last"]


class PointName(Document):
    """A point by what identifies it for a reader."""

    sku: Text
    shape: Text
    conc: int


class AnswerRange(Document):
    """A range of the grid, tok/s/user, in which one SKU wins per dollar, or none does.

    ``level``: the costs are nearer than the threshold. ``direction_only``: both readings are directional.
    ``only_first`` and ``only_last``: the other SKU has no reading there.
    """

    winner: Winner
    low: float
    high: float
    ratio: float | None = Field(
        default=None,
        description="largest ratio of tokens per dollar, winner over the other; null = no winner",
    )
    at: float | None = Field(default=None, description="interactivity of that ratio")
    directional: bool = False
    deployments: tuple[str, str] | None = Field(
        default=None, description="winner and other, where the ratio is of two points; null = of two readings"
    )


class UncoveredRange(Document):
    """A range of tok/s/user in which a SKU has no point within a limit.

    ``low`` null = from the start of the grid.
    """

    sku: Text
    low: float | None
    high: float


class Answer(Document):
    """Which SKU gives more tokens per dollar in which range of interactivity; the largest win first."""

    skus: tuple[str, str] = Field(description="first and last SKU of the report")
    ranges: tuple[AnswerRange, ...]
    level_within: float = Field(description="relative difference of cost below which both are level")
    origin: Origin
    ttft_limit_s: float | None = Field(
        default=None, description="limit on the median TTFT that every point meets; null = none"
    )
    uncovered: tuple[UncoveredRange, ...] = Field(
        default=(), description="what the limit leaves without a point"
    )

    @property
    def best(self) -> AnswerRange | None:
        """The range with the largest win; None where no SKU wins."""
        return next((one for one in self.ranges if one.winner in ("first", "last")), None)


class ReadRatio(Document):
    """A ratio of two curves at one interactivity, last SKU over first."""

    at: float
    ratio: float
    directional: bool


class LargestRatio(Document):
    """The largest throughput ratio on the grid, and what lies between and beyond the points of the grid."""

    skus: tuple[str, str]
    origin: Origin
    throughput: ReadRatio
    cost_ratio: float | None = Field(description="tokens per dollar at the same place; null = no price")
    ends: tuple[ReadRatio, ReadRatio] = Field(
        description="throughput ratio at both ends of the readable grid"
    )
    local_peak: ReadRatio | None = Field(
        default=None, description="highest maximum between the ends of both curves"
    )
    range_end: ReadRatio | None = Field(
        default=None, description="where the common range of both curves ends; null = they have none"
    )


class LongWaits(Document):
    """Points whose median TTFT is longer than a reader of interactivity would expect."""

    limit_ms: float
    count: int
    points: int = Field(description="trusted points in all")
    longest_ms: float
    longest: PointName


class CeilingFinding(Document):
    """The largest ratio of tokens per dollar on paper beside the largest that the curves read."""

    ceiling: float
    read: ReadRatio
    origin: Origin

    @property
    def above(self) -> float:
        """The reading over the ceiling."""
        return self.read.ratio / self.ceiling


class ShapeFinding(Document):
    """Which worker shapes fit the memory of one SKU."""

    sku: Text
    gpus: int | None = Field(description="GPUs of the smallest worker that fits; null = none fits")
    smallest: tuple[WorkerShape, ...] = Field(description="shapes of that size")
    not_fitting: tuple[WorkerShape, ...]
    weights_share: float | None = Field(
        description="smallest share of HBM that the weights of a shape that does not fit take; null = all fit"
    )


class ExchangeFinding(Document):
    """The all-to-all of the fastest decode step of the widest expert parallelism that ran."""

    layers: int
    ep: int
    tokens_per_rank: float = Field(description="upper bound")
    step_ms: float
    scaleup_ms: float | None = Field(description="null = wider than the scale-up domain of every SKU")
    scaleout_ms: float

    @property
    def collectives(self) -> int:
        """Dispatch and combine of each layer."""
        return 2 * self.layers


class PointsWithin(Document):
    """How many trusted points of a SKU are within a limit."""

    sku: Text
    within: int
    points: int


class Disagreement(Document):
    """An interactivity at which a study and this report favour different SKUs per dollar.

    Ratios are last over first.
    """

    at: float
    ours: ReadRatio
    theirs: ReadRatio


class StudyFinding(Document):
    """Readings of a study where this report's throughput ratio is largest, and where both disagree per dollar."""

    skus: tuple[str, str]
    origin: Origin = Field(description="of this report's readings")
    ours: ReadRatio
    theirs: ReadRatio
    disagreements: tuple[Disagreement, ...]


class StudyPeak(Document):
    """Where the ratio of a study's curves peaks between their ends, and where it is exceeded again."""

    quantity: Quantity
    cost: CostMode
    axis: Axis
    peak: ReadRatio
    again_from: float | None
    end: ReadRatio = Field(description="where the common range ends")


class LintCounts(Document):
    """How many findings of each sort the linter has about a study."""

    wrong_figures: int
    wrong_claims: int
    right_claims: int
    edges: int
    notes: int


class Calibration(Document):
    """What the timing of simulated figures was fitted to, and how well."""

    points: Text = Field(description="name of the file")
    points_origin: Origin
    points_sha256: Text
    fitted_on: Text
    requests_per_conc: int
    versions: dict[str, str]
    count: int = Field(description="points that were fitted")
    median_error: float | None = Field(description="relative, of tok/s/GPU and TPOT; null = not recorded")
    largest_error: float | None


class ExtrapolatedPoints(Document):
    """How many points are outside of the range that their timing was fitted to, and in which quantities."""

    count: int
    points: int = Field(description="shown in all")
    axes: tuple[RangeAxis, ...]


class Caveats(Document):
    """What a reader must know before reading a number."""

    simulated: CurveKind | None = Field(
        description="first kind of simulated curves; null = none is simulated"
    )
    has_published: bool
    reduced: tuple[CurveKind, ...] = Field(description="kinds with fewer requests than their recipes ask for")
    extrapolated: ExtrapolatedPoints | None = Field(default=None, description="null = no point is")
    incomplete: int = Field(description="planned deployments without all of their points")
    deployments: int
    has_curves: bool
    kinds: tuple[CurveKind, ...] = Field(description="all that are shown, the one that the tables read first")
    left_out: tuple[str, ...] = Field(
        default=(), description="recipes in the plans of the run that the definition does not select"
    )


class GapCount(Document):
    """Planned deployments in one state other than complete."""

    state: Literal["invalid", "failed", "missing"]
    count: int
    recipe: Text = Field(description="the first of them")


class Completeness(Document):
    """What arrived of what was planned."""

    complete: int
    deployments: int
    points: int
    planned_points: int
    is_lower_bound: bool = Field(description="the plan of a deployment without any result is not known")
    gaps: tuple[GapCount, ...]
