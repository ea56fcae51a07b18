"""What the linter of published tables says."""

from __future__ import annotations

from typing import Literal

from pipeline.schema.base import Document
from pipeline.schema.recipe import Text

Rule = Literal[
    "ratio vs operands",
    "cost vs rate",
    "cost ratio vs throughput",
    "interactivity vs TPOT",
    "GPUs vs shape",
    "Little's law",
    "dominated row",
    "column not read",
    "assertion",
]
Severity = Literal["wrong", "edge", "note", "holds"]


class Finding(Document):
    """One check.

    ``wrong``: no unrounded values could print this; ``edge``: only values at the edge of rounding could; ``note``: nothing is
    wrong, but a reader should know; ``holds``: a claim that was checked and stands.
    """

    rule: Rule
    severity: Severity
    place: Text
    printed: str
    computed: str
    corrected: str
    why: Text
    evidence: str = ""


class LintReport(Document):
    """Everything that was found in one document."""

    title: Text
    findings: tuple[Finding, ...]

    def of(self, *severities: Severity) -> tuple[Finding, ...]:
        """Findings of these severities, in the order of the document."""
        return tuple(finding for finding in self.findings if finding.severity in severities)

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What cannot be: only these make a failure."""
        return self.of("wrong")

    @property
    def table_findings(self) -> tuple[Finding, ...]:
        """What is wrong by the rules of tables alone, without assertions."""
        return tuple(finding for finding in self.wrong if finding.rule != "assertion")
