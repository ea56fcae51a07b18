"""Published figures: a study as printed, and one of its rows as history stores it.

What the source does not state is null.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import DISTINCT, Document, Stored, schema
from pipeline.schema.claims import Assertion, Axis, CostMode, Positive, Printed, Quantity
from pipeline.schema.recipe import Count, Text, WorkerPool

__all__ = ("Axis", "CostMode", "Quantity")  # words of claims that readers of studies say too

Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
Statistic = Literal["median", "mean", "mean of reciprocals", "p99", "not stated"]
Column = Literal["total_tok_s_gpu", "interactivity_as_printed", "tpot_p50_ms", "usd_per_mtok"]


class StatedStatistics(Document):
    """What a source states of one quantity over its requests."""

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


class StatedPoint(Document):
    """One published row: rates and times as stated.

    There are no token counts, so nothing is derived from them.
    """

    conc: Count
    gpus_prefill: Count
    gpus_decode: Count
    gpus_held: Count
    total_tok_s_gpu: Positive
    interactivity_as_printed: Positive | None = Field(
        default=None, description="the source's own tok/s/user, of its own statistic"
    )
    tpot_ms: StatedStatistics
    ttft_ms: StatedStatistics = StatedStatistics()
    e2e_ms: StatedStatistics = StatedStatistics()
    usd_per_mtok_as_printed: Positive | None = None

    @property
    def status(self) -> Literal["ok"]:
        """A printed row counts as valid."""
        return "ok"

    @property
    def reasons(self) -> tuple[str, ...]:
        """A published row is never invalid, so there are none."""
        return ()

    @property
    def extrapolated(self) -> tuple[()]:
        """Nothing is simulated."""
        return ()

    @property
    def raw(self) -> tuple[()]:
        """The source publishes no raw files."""
        return ()

    @property
    def requests(self) -> None:
        """Not stated per row."""
        return

    @property
    def completed(self) -> None:
        """Not stated."""
        return

    @property
    def output_tok_s_gpu(self) -> None:
        """Not stated."""
        return

    @property
    def interactivity(self) -> float | None:
        """tok/s/user = 1000 / median TPOT."""
        return 1000 / self.tpot_ms.p50 if self.tpot_ms.p50 else None

    @property
    def gpus_counted(self) -> int:
        """Denominator of ``total_tok_s_gpu``."""
        return self.gpus_prefill + self.gpus_decode


class PublishedRow(Document):
    """One row of a point table, as printed. ``prefill`` and ``decode`` are the workers that ran.

    Null = unknown.
    """

    recipe: str | None = Field(
        default=None, description="id of the recipe here that deploys it; null = none does"
    )
    sku: Text
    conc: Count
    gpus_prefill: Count
    gpus_decode: Count
    gpus_held: Count | None = None
    prefill: WorkerPool | None = None
    decode: WorkerPool | None = None
    total_tok_s_gpu: Positive
    interactivity_as_printed: Positive | None = None
    tpot_p50_ms: Positive | None = None
    ttft_p50_ms: Positive | None = Field(
        default=None, description="median TTFT, queueing included; null = not published"
    )
    usd_per_mtok: Positive | None = None

    @property
    def interactivity(self) -> float | None:
        """1000 / median TPOT."""
        return 1000 / self.tpot_p50_ms if self.tpot_p50_ms else None

    @property
    def name(self) -> str:
        """The row in messages: SKU, concurrency and GPUs."""
        return f"{self.sku} conc {self.conc} {self.gpus_prefill}+{self.gpus_decode} GPUs"


class PointTable(Document):
    """Rows of points; ``decimals`` is how many digits each column prints, so how far a figure may be off."""

    decimals: dict[Column, int]
    rows: Annotated[tuple[PublishedRow, ...], Field(min_length=1)]

    def digits(self, column: str) -> int | None:
        """Return how many decimals a column prints; None = exact."""
        return next((count for name, count in self.decimals.items() if name == column), None)


class PublishedIsoRow(Document):
    """One row of an iso-interactivity table as printed; lists in the order of ``skus``.

    Null = printed unreachable.
    """

    label: Printed
    at: Positive | None = Field(
        default=None, description="where it was really read, when that is not what the label says"
    )
    total_tok_s_gpu: tuple[Positive | None, ...]
    throughput_ratio: Positive | None = None
    usd_per_mtok: tuple[Positive | None, ...] = ()
    cost_ratio: Positive | None = None

    @property
    def interactivity(self) -> float:
        """tok/s/user of the row."""
        return self.at if self.at is not None else float(self.label)


class PublishedIso(Document):
    """An iso-interactivity table. Ratios: throughput last over first SKU, cost first over last."""

    axis: Axis
    skus: Annotated[tuple[str, ...], Field(min_length=1), DISTINCT]
    decimals: dict[Literal["total_tok_s_gpu", "usd_per_mtok", "ratio"], int]
    rows: Annotated[tuple[PublishedIsoRow, ...], Field(min_length=1)]

    def digits(self, column: str) -> int | None:
        """Return how many decimals a column prints; None = exact."""
        return next((count for name, count in self.decimals.items() if name == column), None)


class Lengths(Document):
    """Nominal lengths in tokens, and the mean length of a request over the nominal one."""

    isl: Count
    osl: Count
    mean: Annotated[float, Field(gt=0, le=1)]


class Tables(Document):
    """Tables as printed and claims about them: what the linter reads."""

    title: Text
    lengths: Lengths | None = Field(default=None, description="null = unknown, so no wait can be implied")
    statistics: dict[Literal["interactivity_as_printed", "tpot_p50_ms"], Statistic] = Field(
        default_factory=dict
    )
    usd_per_gpu_hour: dict[str, Positive] = Field(
        default_factory=dict, description="SKU id -> the exact rate behind the printed cost"
    )
    points: PointTable | None = None
    iso: PublishedIso | None = None
    assertions: tuple[Assertion, ...] = ()

    @property
    def rows(self) -> tuple[PublishedRow, ...]:
        """Rows of the point table; none without one."""
        return self.points.rows if self.points else ()


class Study(Stored, Tables):
    """A published study: where it comes from, its tables as printed, what its text claims."""

    schema_version: int = schema(2)
    source: Text
    url: Text
    measured_on: Day = Field(description="day of the run, as the source states it")
    published_on: Day | None = Field(description="day of publication; null = not recorded")
    run_id: Text
    requests_per_conc: Count
    model: Text
    precision: Text
    versions: dict[str, str] = Field(default_factory=dict)
    notes: str = ""
