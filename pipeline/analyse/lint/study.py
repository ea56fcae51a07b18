"""lint: every table rule and every claim of one document."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyse.lint.claims import claims
from pipeline.analyse.lint.tables import iso_findings, point_findings
from pipeline.schema.lint import Finding, FindingPlace, LintReport, UnreadColumn
from pipeline.schema.published import Tables


def lint(study: Tables, unread: Sequence[str] = ()) -> LintReport:
    """Return the findings in the order of the document: unread columns, point table, iso table, claims."""
    found = (*map(_not_read, unread), *point_findings(study), *iso_findings(study), *claims(study))
    return LintReport(title=study.title, findings=found)


def _not_read(column: str) -> Finding:
    place = FindingPlace(table="header")
    return Finding(severity="note", place=place, check=UnreadColumn(column=column))
