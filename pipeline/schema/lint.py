"""Findings of the linter of published tables: numbers and enums, and the document that ``lint --json`` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.published import Statistic
from pipeline.schema.recipe import Text, WorkerPool

Rule = Literal[
    "ratio vs operands",
    "cost vs rate",
    "cost ratio vs throughput",
    "interactivity vs TPOT",
    "GPUs vs shape",
    "Little's law",
    "dominated row",
    "repeated row",
    "unit",
    "column not read",
    "assertion",
]
Severity = Literal["wrong", "edge", "note", "holds"]
TableName = Literal["points", "iso", "header", "text"]
ColumnName = Literal[
    "usd_per_mtok",
    "prefill GPUs",
    "decode GPUs",
    "ttft",
    "interactivity",
    "throughput_ratio",
    "cost_ratio",
]


class Figure(Document):
    """A printed number with its decimals; null = taken as exact."""

    value: float
    decimals: int | None = None


class FindingPlace(Document):
    """Where a finding is: a table, its row and its column; of a claim, its id and where the text makes it."""

    table: TableName
    row: str = Field(default="", description="name or label of the row, or id of the claim; empty = all rows")
    sku: str = Field(default="", description="where the table has one such column per SKU")
    column: ColumnName | None = None
    where: str = Field(default="", description="of a claim")


class CostCheck(Document):
    """USD per million tokens against the price of a GPU-hour over the throughput."""

    rule: Literal["cost vs rate"] = "cost vs rate"
    printed: Figure
    computed: float
    usd_per_gpu_hour: float
    throughput: Figure


class RatioCheck(Document):
    """A throughput ratio, last over first SKU, against its operands."""

    rule: Literal["ratio vs operands"] = "ratio vs operands"
    printed: Figure
    computed: float
    first: Figure
    last: Figure


class CostRatioCheck(Document):
    """A cost ratio, first over last SKU, against the throughputs and the prices."""

    rule: Literal["cost ratio vs throughput"] = "cost ratio vs throughput"
    printed: Figure
    computed: float
    first: Figure
    last: Figure
    usd_first: float
    usd_last: float


class InteractivityCheck(Document):
    """tok/s/user against 1000 / TPOT of the same statistic."""

    rule: Literal["interactivity vs TPOT"] = "interactivity vs TPOT"
    printed: Figure
    computed: float
    tpot_ms: Figure
    statistic: Statistic


class StatisticsNote(Document):
    """tok/s/user that is not 1000 / TPOT since the statistics differ or are not stated."""

    rule: Literal["interactivity vs TPOT"] = "interactivity vs TPOT"
    interactivity_statistic: Statistic
    tpot_statistic: Statistic
    lowest: float = Field(description="relative deviation from 1000 / TPOT")
    highest: float
    rows_off: int
    rows: int


class ShapeCheck(Document):
    """GPUs of a role against its workers."""

    rule: Literal["GPUs vs shape"] = "GPUs vs shape"
    printed: int
    pool: WorkerPool


class WaitCheck(Document):
    """TTFT and queue that Little's law implies, an upper bound; negative = decoding alone takes too long."""

    rule: Literal["Little's law"] = "Little's law"
    wait_s: float


class DominatedRow(Document):
    """A row that another row of the SKU exceeds on both axes."""

    rule: Literal["dominated row"] = "dominated row"
    tok_s_gpu: float
    interactivity: float
    better_conc: int
    better_tok_s_gpu: float
    better_interactivity: float


class RepeatedRow(Document):
    """A row with the same deployment and figures as an earlier one; ``first`` counts from 1."""

    rule: Literal["repeated row"] = "repeated row"
    first: int


class UnitCheck(Document):
    """tok/s/user that is 1000 / TPOT but for a factor that is a unit: 1000, 1024 or 60."""

    rule: Literal["unit"] = "unit"
    printed: Figure
    computed: float
    tpot_ms: Figure
    factor: float


class UnreadColumn(Document):
    """A column that no rule reads."""

    rule: Literal["column not read"] = "column not read"
    column: str


class PlacedRatio(Document):
    """A ratio at an interactivity, tok/s/user."""

    ratio: float
    at: float


class FigureOutcome(Document):
    """A claimed figure against the computed one; null = unreachable."""

    says: str
    computed: float | None


class WholeOutcome(Document):
    """GPUs against GPUs per worker."""

    of: int
    per: int


class PeakOutcome(Document):
    """A claimed peak against the largest ratio; ``highest`` null = the curves have no range in common."""

    says: str
    at: str
    on_grid: PlacedRatio | None = None
    local: PlacedRatio | None = Field(default=None, description="the highest local peak")
    highest: PlacedRatio | None = None
    is_edge: bool = Field(default=False, description="the highest lies where the measurements end")
    passed_again_from: float | None = None


class KnotOutcome(Document):
    """A claimed figure against the nearest knot; null = the SKU has no knots."""

    says: str
    knot_tok_s_gpu: float | None = None
    knot_interactivity: float | None = None


class RangeOutcome(Document):
    """A claimed range of a column against its rows; null = there are no such rows."""

    least: str
    most: str
    lowest: float | None = None
    highest: float | None = None


Outcome = FigureOutcome | WholeOutcome | PeakOutcome | KnotOutcome | RangeOutcome


class ClaimCheck(Document):
    """A claim of the text; ``outcome`` null = judged by the evidence alone."""

    rule: Literal["assertion"] = "assertion"
    claim: Text
    evidence: str
    corrected: str = Field(
        default="", description="the author's correction; empty = it follows from the outcome"
    )
    outcome: Outcome | None


Check = (
    CostCheck
    | RatioCheck
    | CostRatioCheck
    | InteractivityCheck
    | StatisticsNote
    | ShapeCheck
    | WaitCheck
    | DominatedRow
    | RepeatedRow
    | UnitCheck
    | UnreadColumn
    | ClaimCheck
)


class Finding(Document):
    """One check.

    ``wrong``: no unrounded values could print this; ``edge``: only values at the edge of rounding could; ``note``: not wrong,
    but relevant for a reader; ``holds``: a claim that was checked and is right.
    """

    severity: Severity
    place: FindingPlace
    check: Check

    @property
    def rule(self) -> Rule:
        """The rule that was checked."""
        return self.check.rule


class LintReport(Document):
    """All findings in one document."""

    title: Text
    findings: tuple[Finding, ...]

    def of(self, *severities: Severity) -> tuple[Finding, ...]:
        """Return the findings of these severities, in the order of the document."""
        return tuple(finding for finding in self.findings if finding.severity in severities)

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """Findings that fail a lint."""
        return self.of("wrong")

    @property
    def table_findings(self) -> tuple[Finding, ...]:
        """Wrong figures by the rules of tables, without claims."""
        return tuple(finding for finding in self.wrong if finding.rule != "assertion")


class PrintedFinding(Document):
    """A finding as text, as ``lint`` prints it."""

    rule: Rule
    severity: Severity
    place: Text
    printed: str
    computed: str
    corrected: str
    why: Text
    evidence: str = ""


class PrintedLint(Document):
    """All findings in one document, as text."""

    title: Text
    findings: tuple[PrintedFinding, ...]
