"""lint: every table rule and every claim of one document."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyse.lint.claims import claims
from pipeline.analyse.lint.tables import iso_findings, point_findings
from pipeline.schema.lint import Finding, LintReport
from pipeline.schema.published import Tables


def lint(study: Tables, unread: Sequence[str] = ()) -> LintReport:
    """Findings in the order of the document: ``unread`` columns, point tables, iso table, claims; those that hold are said too."""
    found = (*map(_not_checked, unread), *point_findings(study), *iso_findings(study), *claims(study))
    return LintReport(title=study.title, findings=found)


def _not_checked(column: str) -> Finding:
    why = f"column `{column}` not checked"
    return Finding(
        rule="column not read",
        severity="note",
        place="header",
        printed="",
        computed="",
        corrected="",
        why=why,
    )
