"""Report documents: the definition a person writes, the data a report keeps, and the analysis that render prints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import Document, Stored, schema
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.history import HistoryRow
from pipeline.schema.lint import LintReport
from pipeline.schema.plan import Hbm
from pipeline.schema.published import PublishedIsoRow, Study
from pipeline.schema.recipe import Text
from pipeline.schema.result import Origin
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
from pipeline.schema.timing import PointError, SkuTiming, Timing

Verdict = Literal["better", "worse", "same", "unknown"]


class Definition(Document):
    """reports/NAME.yaml: what to tell."""

    title: Text
    select: Text = Field(description="glob over recipe ids")
    skus: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="in the order of the columns; ratios are last over first"
    )
    interactivity: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        description="grid of the iso table, tok/s/user"
    )
    price_tier: Literal["hyperscaler", "neocloud", "rental-3y"]
    relevant_change: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="smallest relative change worth a person's time"
    )
    directional_gap: Annotated[float, Field(gt=0)] = Field(
        description="a reading between knots farther apart than this, tok/s/user, is directional"
    )
    comparison: SkuComparisonDefinition | None = Field(
        default=None, description="sections that compare the SKUs beyond their curves"
    )


class ReportData(Stored):
    """data.json: everything that a report is rendered from. ``previous`` holds each recipe's run before ``rows``."""

    schema_version: int = schema(2)
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
        description="those that the told run's own plans name: a gap there is a failure",
    )
    studies: tuple[Study, ...] = Field(default=(), description="published studies, as printed")
    fits: tuple[ShapeFit, ...] = Field(
        default=(), description="memory of the definition's worker shapes on its SKUs"
    )


class Sentence(Document):
    """Words around values that are not rounded yet: ``{name:quantity}`` is filled by render, ``{name}`` is a string as it is."""

    words: Text
    values: dict[str, float | str] = Field(default_factory=dict)


class CurvePoint(Document):
    """A point as reports show it. Rates in tok/s/GPU, times in ms, cost in USD per million tokens (input + output)."""

    recipe: Text
    sku: Text
    shape: Text
    conc: int
    status: Literal["ok", "invalid"]
    reasons: tuple[str, ...]
    not_evaluated: tuple[str, ...] = Field(default=(), description="what could not be judged of it, and why")
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
    raw: tuple[str, ...]


class Curve(Document):
    """Points of one SKU x LLM x workload x engine x origin; knots are those on the Pareto frontier."""

    sku: Text
    title: Text
    origin: Origin
    points: tuple[CurvePoint, ...] = Field(description="by rising interactivity")
    kind: Text = Field(description="origin, measure and requests per conc, in words: what may not be mixed")

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


class FieldDiff(Document):
    """A field of the resolved recipe, image, versions, client or environment that differs."""

    field: Text
    before: str
    after: str


class Change(Document):
    """One recipe at one concurrency, now against its previous run. Relative changes: 0.01 = +1 %."""

    recipe: Text
    sku: Text
    shape: Text
    conc: int
    verdict: Verdict
    reason: str = Field(description="why the verdict is unknown; empty otherwise")
    before_run: str
    before_tok_s_gpu: float | None
    after_tok_s_gpu: float | None
    before_interactivity: float | None
    after_interactivity: float | None
    tok_s_gpu_change: float | None
    interactivity_change: float | None
    ttft_p50_change: float | None
    differs: tuple[FieldDiff, ...]


class CoverageRow(Document):
    """What became of one planned recipe."""

    recipe: Text
    sku: Text
    state: Literal["ran", "invalid", "failed", "missing", "not in plan"]
    points: int
    planned_points: int | None
    reason: str
    gpus_counted: int | None
    gpus_held: int | None
    gpu_hours: float | None = Field(
        default=None, description="GPUs held times wall clock of the points that arrived; null = none did"
    )

    @property
    def is_gap(self) -> bool:
        """It was planned and did not bring every point."""
        return self.state not in ("ran", "not in plan")


class ProvenanceRow(Document):
    """One run folder behind the report."""

    recipe: Text
    run_id: Text
    attempt: int
    folder: Text
    started_at: Text
    deployment_digest: Text
    git_sha: str
    seed: int
    versions: str
    host: str
    seconds: float
    measured_share: float | None = Field(
        default=None, description="of the seconds of a live run that were measurement; null = a replay"
    )
    raw: tuple[str, ...] = Field(description="path and first 12 digits of the SHA-256 of each raw file")


class HbmRow(Document):
    """HBM of one role of one recipe."""

    recipe: Text
    sku: Text
    hbm: Hbm


class DriftedFigure(Document):
    """A figure of a kept report that a new run does not reproduce; None where one of them has no such point."""

    recipe: Text
    conc: int
    figure: Text
    kept: float | None
    new: float | None


class SkuComparison(Document):
    """What the report says of its SKUs beyond their curves; ``slo`` holds the best points within the TTFT limit."""

    definition: SkuComparisonDefinition
    specs: tuple[SpecRow, ...]
    radar: tuple[RadarAxis, ...]
    ceilings: tuple[Ceiling, ...]
    ceiling_finding: Sentence | None
    shapes: tuple[ShapeRow, ...]
    shape_titles: tuple[str, ...] = Field(
        description="SKUs whose usable memory is known, in the order of the cells of ``shapes``"
    )
    capacity_gb: tuple[float, ...] = Field(description="usable HBM of one GPU of each of them")
    shape_findings: tuple[Sentence, ...]
    exchange: tuple[ExchangeRow, ...]
    exchange_finding: Sentence | None
    ratios: tuple[RatioCurve, ...] = Field(
        description="of every kind that has both SKUs, the one that the tables read first"
    )
    confounders: tuple[Confounder, ...]
    what_if: tuple[WhatIf, ...]
    slo: tuple[IsoRow, ...]
    slo_answer: Sentence | None
    slo_left: tuple[str, ...] = Field(description="points within the limit of each SKU, in words")


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
    ours_tok_s_gpu: float | None = Field(description="of the curves that the tables read; null = none")
    ours_interactivity: float | None
    ours_ttft_p50_ms: float | None


class ComparedCurves(Document):
    """A kind of figures of ours at the grid of the report."""

    kind: Text
    origin: Origin
    rows: tuple[IsoRow, ...]


class StudyPeak(Document):
    """Where the ratio of a study's curves peaks between their ends, and where it is above that once more."""

    name: Text
    axis: Text
    ratio: float
    at: float
    again_from: float | None
    end_ratio: float
    end: float
    directional: bool = False
    end_directional: bool = False


class StudySection(Document):
    """A published study beside our figures, and checked. ``iso`` reads it on the median axis, at our prices."""

    study: Study
    kind: Text = Field(description="of its curves in the report")
    points: tuple[StudyPoint, ...]
    iso: tuple[IsoRow, ...]
    beside: tuple[ComparedCurves, ...]
    printed: tuple[PublishedIsoRow, ...]
    again: tuple[IsoRow, ...] = Field(
        description="the printed table, read again from the printed points the way the study did"
    )
    peaks: tuple[StudyPeak, ...]
    summary: Sentence
    linted: LintReport


class Report(Document):
    """The analysis, unrounded: what render turns into pages."""

    name: Text
    definition: Definition
    verdict: Verdict
    headline: Sentence
    answer: Sentence | None = Field(
        description="which SKU is cheaper where; null without two readable curves"
    )
    rule: Sentence = Field(description="what made the verdict")
    findings: tuple[Sentence, ...] = Field(description="what a reader who stops here should know")
    banners: tuple[Sentence, ...]
    origin: Origin | None = Field(description="of the curves that the tables read; null = nothing ran")
    run: str
    sku_titles: dict[str, str] = Field(description="SKU id -> name, in the order of the columns")
    curves: tuple[Curve, ...]
    iso: tuple[IsoRow, ...]
    changes: tuple[Change, ...]
    coverage: tuple[CoverageRow, ...]
    hbm: tuple[HbmRow, ...]
    timing: tuple[SkuTiming, ...]
    timing_errors: tuple[PointError, ...]
    timing_source: str
    prices: dict[str, str] = Field(description="SKU id -> the price used, with date and source, in words")
    provenance: tuple[ProvenanceRow, ...]
    comparison: SkuComparison | None
    studies: tuple[StudySection, ...]
