"""Report documents: the definition in YAML, the data that a report keeps, and the analysis that render prints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import DISTINCT, Document, Stored, schema
from pipeline.schema.catalogue import Llm, Price, PriceTier, Sku
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.findings import (
    Answer,
    Calibration,
    Caveats,
    CeilingFinding,
    Completeness,
    ExchangeFinding,
    LargestRatio,
    LintCounts,
    LongWaits,
    PointsWithin,
    ShapeFinding,
    StudyFinding,
    StudyPeak,
)
from pipeline.schema.hbm import Hbm
from pipeline.schema.history import HistoryRow
from pipeline.schema.lint import LintReport
from pipeline.schema.published import PublishedIsoRow, Study
from pipeline.schema.reasons import ChangeReason, CoverageProblem, FieldDiff
from pipeline.schema.recipe import Text
from pipeline.schema.result import Host, Origin, PointStatus, RawFile
from pipeline.schema.sku_comparison import (
    Ceiling,
    Confounder,
    ExchangeRow,
    RadarAxis,
    RatioCurve,
    ShapeFit,
    ShapeRow,
    SkuComparisonDefinition,
    SpecRow,
    WhatIf,
)
from pipeline.schema.timing import Extrapolation, PointError, SkuTiming, Timing

Verdict = Literal["better", "worse", "same", "unknown"]


class Definition(Document):
    """reports/NAME.yaml: what a report covers."""

    title: Text
    select: Text = Field(description="glob over recipe ids")
    skus: Annotated[tuple[str, ...], Field(min_length=1), DISTINCT] = Field(
        description="in the order of the columns; ratios are last over first"
    )
    interactivity: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), DISTINCT] = (
        Field(description="grid of the iso table, tok/s/user")
    )
    price_tier: PriceTier
    relevant_change: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="smallest relative change worth a person's time"
    )
    directional_gap: Annotated[float, Field(gt=0)] = Field(
        description="a reading between knots farther apart than this, tok/s/user, is directional"
    )
    comparison: SkuComparisonDefinition | None = Field(
        default=None, description="sections that compare the SKUs beyond their curves"
    )

    @property
    def level_within(self) -> float:
        """Relative difference of cost below which two SKUs are level."""
        return self.comparison.level_within if self.comparison else self.relevant_change


class ReportData(Stored):
    """data.json: everything that a report is rendered from.

    ``previous`` holds each recipe's run before ``rows``.
    """

    schema_version: int = schema(3)
    name: Text
    definition: Definition
    skus: dict[str, Sku]
    llms: dict[str, Llm]
    timing: Timing | None
    planned: tuple[str, ...] = Field(
        description="recipe ids that the definition selects and that should have run"
    )
    rows: tuple[HistoryRow, ...]
    previous: tuple[HistoryRow, ...]
    peers: dict[str, Sku] = Field(
        default_factory=dict, description="every other known SKU: what the radar is normalised to"
    )
    awaited: tuple[str, ...] = Field(
        default=(),
        exclude_if=lambda awaited: not awaited,
        description="recipe ids in the plans of the reported run: a missing one is a failure",
    )
    left_out: tuple[str, ...] = Field(
        default=(),
        exclude_if=lambda left_out: not left_out,
        description="recipe ids in the plans of the reported run that the definition does not select",
    )
    planned_skus: dict[str, str] = Field(
        default_factory=dict,
        exclude_if=lambda skus: not skus,
        description="SKU of each planned recipe that has no row",
    )
    studies: tuple[Study, ...] = Field(default=(), description="published studies, as printed")
    fits: tuple[ShapeFit, ...] = Field(
        default=(), description="memory of the definition's worker shapes on its SKUs"
    )


class CurvePoint(Document):
    """A point as reports show it.

    Rates in tok/s/GPU, times in ms, cost in USD per million tokens (input + output).
    """

    recipe: Text
    sku: Text
    shape: Text
    conc: int
    status: PointStatus
    reasons: tuple[str, ...]
    extrapolated: tuple[Extrapolation, ...] = ()
    not_evaluated: tuple[str, ...] = Field(
        default=(), description="checks that could not be evaluated, and why"
    )
    total_tok_s_gpu: float
    output_tok_s_gpu: float | None = Field(description="null = the source does not state it")
    interactivity: float | None = Field(description="null = no request had two output tokens")
    interactivity_as_printed: float | None = Field(
        default=None, description="published points: the source's own tok/s/user"
    )
    tpot_p50_ms: float | None
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    usd_per_mtok: float | None
    usd_per_mtok_held: float | None = Field(description="the same with every GPU that the scheduler gave")
    gpus_counted: int
    gpus_held: int
    requests: int | None = Field(description="null = the source does not state it")
    is_knot: bool
    folder: Text
    raw: tuple[RawFile, ...]


class Curve(Document):
    """Points of one SKU x LLM x workload x engine x origin; knots are the points on the Pareto frontier."""

    sku: Text
    title: Text
    origin: Origin
    points: tuple[CurvePoint, ...] = Field(description="by rising interactivity")
    kind: CurveKind

    @property
    def knots(self) -> tuple[CurvePoint, ...]:
        """The frontier, by rising interactivity."""
        return tuple(point for point in self.points if point.is_knot)


class IsoCell(Document):
    """One SKU read at one interactivity; all None = unreachable. ``shape`` is the nearest knot's."""

    total_tok_s_gpu: float | None
    usd_per_mtok: float | None
    ttft_p50_ms: float | None
    shape: str | None
    directional: bool = False


class IsoRow(Document):
    """All SKUs at one interactivity. Ratios: throughput last over first SKU, cost first over last."""

    interactivity: float
    cells: tuple[IsoCell, ...]
    throughput_ratio: float | None
    cost_ratio: float | None

    @property
    def directional(self) -> bool:
        """Whether a side of the ratios is a direction only, so that they are too."""
        return self.cells[0].directional or self.cells[-1].directional

    @property
    def has_direction_only(self) -> bool:
        """Whether both sides are: such a row names no winner."""
        return self.cells[0].directional and self.cells[-1].directional


class Change(Document):
    """One recipe at one concurrency, now against its previous run. Relative changes: 0.01 = +1 %."""

    recipe: Text
    sku: Text
    shape: Text
    conc: int
    verdict: Verdict
    reason: ChangeReason | None = Field(description="why the verdict is unknown; null = it is known")
    before_run: str | None = Field(description="run of the earlier point; null = there is none")
    before_tok_s_gpu: float | None
    after_tok_s_gpu: float | None
    before_interactivity: float | None
    after_interactivity: float | None
    tok_s_gpu_change: float | None
    interactivity_change: float | None
    ttft_p50_change: float | None
    differs: tuple[FieldDiff, ...]
    unseen: tuple[FieldDiff, ...] = Field(
        default=(), description="of simulated figures: those of `differs` whose effect is not simulated"
    )

    @property
    def is_new(self) -> bool:
        """Whether there is no earlier run of this point."""
        return self.reason is not None and self.reason.kind == "no-earlier-run"

    @property
    def is_verdict_due(self) -> bool:
        """Whether the point counts towards a verdict: both sides were to have it."""
        return self.reason is None or self.reason.is_gap


class CoverageRow(Document):
    """The state of one planned recipe."""

    recipe: Text
    sku: Text
    state: Literal["ran", "invalid", "failed", "missing", "not-planned"]
    points: int
    planned_points: int | None
    problems: tuple[CoverageProblem, ...] = Field(description="points without figures, by concurrency")
    gpus_counted: int | None
    gpus_held: int | None
    gpu_hours: float | None = Field(
        default=None, description="GPUs held times wall clock of the points that arrived; null = none did"
    )

    @property
    def is_gap(self) -> bool:
        """Whether it was planned and points are absent or invalid."""
        return self.state not in ("ran", "not-planned")


class ProvenanceRow(Document):
    """One run folder behind the report."""

    recipe: Text
    sku: Text
    run_id: Text
    attempt: int
    folder: Text
    started_at: Text
    deployment_digest: Text
    git_sha: str | None = Field(description="null = unknown")
    git_dirty: bool = Field(description="the working tree had changes that are not in the commit")
    seed: int
    versions: dict[str, str]
    host: Host | None = Field(description="null = unknown")
    seconds: float
    measured_share: float | None = Field(
        default=None, description="of the seconds of a live run that were measurement; null = a replay"
    )
    raw: tuple[RawFile, ...]


class HeldRow(Document):
    """GPUs of one live job over the time that the scheduler gave them to it."""

    recipe: Text
    sku: Text
    run_id: Text
    gpus_held: int
    gpus_counted: int
    queue_s: float = Field(description="wait in the queue, which holds no GPU")
    stages_s: dict[str, float] = Field(description="seconds with GPUs held, by stage")

    @property
    def held_gpu_s(self) -> float:
        """GPU-seconds of all stages."""
        return self.gpus_held * sum(self.stages_s.values())

    def share(self, stage: str) -> float:
        """Return the part of the held GPU time that a stage took."""
        return self.stages_s.get(stage, 0.0) / sum(self.stages_s.values())

    @property
    def measured_share(self) -> float:
        """Part of the held GPU time in which counted GPUs were measured: idle and infra GPUs are not part of it."""
        return self.share("measure") * self.gpus_counted / self.gpus_held


class HbmRow(Document):
    """HBM of one role of one recipe."""

    recipe: Text
    sku: Text
    hbm: Hbm


class DriftedFigure(Document):
    """A figure of a kept report that a new run does not reproduce.

    None where one of them has no such point.
    """

    recipe: Text
    conc: int
    figure: Text
    kept: float | None
    new: float | None


class SkuComparison(Document):
    """What the report says of its SKUs beyond their curves.

    ``slo`` holds the best points within the TTFT limit.
    """

    definition: SkuComparisonDefinition
    specs: tuple[SpecRow, ...]
    radar: tuple[RadarAxis, ...]
    ceilings: tuple[Ceiling, ...]
    ceiling_finding: CeilingFinding | None
    shapes: tuple[ShapeRow, ...]
    shape_skus: tuple[str, ...] = Field(
        description="SKUs whose usable memory is known, in the order of the cells of ``shapes``"
    )
    capacity_gb: tuple[float, ...] = Field(description="usable HBM of one GPU of each of them")
    shape_findings: tuple[ShapeFinding, ...]
    exchange: tuple[ExchangeRow, ...]
    exchange_finding: ExchangeFinding | None
    ratios: tuple[RatioCurve, ...] = Field(
        description="of every kind that has both SKUs, the one that the tables read first"
    )
    confounders: tuple[Confounder, ...]
    what_if: tuple[WhatIf, ...]
    slo: tuple[IsoRow, ...]
    slo_answer: Answer | None
    slo_points: tuple[PointsWithin, ...] = Field(description="points within the limit, one entry a SKU")


class StudyPoint(Document):
    """One published row as printed, what follows from it, and our point of the same recipe and concurrency."""

    sku: Text
    shape: Text
    conc: int
    total_tok_s_gpu: float
    interactivity_as_printed: float | None
    interactivity: float | None = Field(description="1000 / printed median TPOT")
    usd_per_mtok_as_printed: float | None
    implied_wait_s: float | None = Field(
        description="TTFT and queue that Little's law implies, at the mean length"
    )
    ttft_p50_ms: float | None = Field(description="as published; null = not published")
    ours_tok_s_gpu: float | None = Field(description="of the curves that the tables read; null = none")
    ours_interactivity: float | None
    ours_ttft_p50_ms: float | None


class ComparedCurves(Document):
    """A kind of figures of ours at the grid of the report."""

    kind: CurveKind
    origin: Origin
    rows: tuple[IsoRow, ...]


class StudySection(Document):
    """A published study beside our figures, and checked.

    ``iso`` reads it on the median axis, at our prices.
    """

    study: Study
    kind: CurveKind = Field(description="of its curves in the report")
    points: tuple[StudyPoint, ...]
    iso: tuple[IsoRow, ...]
    beside: tuple[ComparedCurves, ...]
    printed: tuple[PublishedIsoRow, ...]
    again: tuple[IsoRow, ...] = Field(
        description="the printed table, read again from the printed points the way the study did"
    )
    peaks: tuple[StudyPeak, ...]
    finding: StudyFinding | None = Field(description="null without two readings to compare")
    counts: LintCounts
    linted: LintReport


class ComparedPoints(Document):
    """How many points have a verdict against their previous run, and why the others have none."""

    points: int = Field(description="in all; 0 = there is no earlier run")
    same: int
    new: int = Field(description="without an earlier run")
    unknown: int = Field(description="with an earlier run and without a verdict")
    runs: tuple[str, ...] = Field(description="earlier runs of the points that are the same")
    example: Change | None = Field(description="a point with the most frequent reason of no verdict")


class RunFinding(Document):
    """The run against the one before."""

    moved: Change | None = Field(description="the largest change for the worse, else for the better")
    others_moved: int = Field(description="further changes in the same direction")
    completeness: Completeness
    compared: ComparedPoints


class Report(Document):
    """The analysis, unrounded: what render turns into pages."""

    name: Text
    definition: Definition
    verdict: Verdict
    run: RunFinding
    answer: Answer | None = Field(description="which SKU is cheaper where; null without two readable curves")
    largest_ratio: LargestRatio | None
    long_waits: LongWaits | None
    caveats: Caveats
    origin: Origin | None = Field(description="of the curves that the tables read; null = nothing ran")
    runs: tuple[str, ...] = Field(description="runs behind the rows, sorted")
    sku_titles: dict[str, str] = Field(description="SKU id -> name, in the order of the columns")
    curves: tuple[Curve, ...]
    iso: tuple[IsoRow, ...]
    changes: tuple[Change, ...]
    coverage: tuple[CoverageRow, ...]
    hbm: tuple[HbmRow, ...]
    timing: tuple[SkuTiming, ...]
    timing_errors: tuple[PointError, ...]
    calibration: Calibration | None
    prices: dict[str, Price | None] = Field(description="SKU id -> the price used; null = none is known")
    provenance: tuple[ProvenanceRow, ...]
    held: tuple[HeldRow, ...] = Field(description="live jobs; empty where nothing was deployed")
    comparison: SkuComparison | None
    studies: tuple[StudySection, ...]
