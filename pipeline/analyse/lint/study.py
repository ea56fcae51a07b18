"""lint: every table rule and every claim of one document."""

from __future__ import annotations

from pipeline.analyse.lint.claims import claims
from pipeline.analyse.lint.tables import iso_findings, point_findings
from pipeline.schema.lint import Linted
from pipeline.schema.published import Tables


def lint(study: Tables) -> Linted:
    """Findings in the order of the document: point tables, iso table, claims; those that hold are said too."""
    return Linted(title=study.title, findings=(*point_findings(study), *iso_findings(study), *claims(study)))
