"""From an analysis to pages. The same report gives the same bytes on any machine and at any time."""

from pipeline.render.as_tables import as_tables
from pipeline.render.iso_lint import iso_readings, lint_text
from pipeline.render.pages import headline, render
from pipeline.render.review import comment
from pipeline.render.side_by_side import side_by_side
from pipeline.render.terminal import fit_table, moved_table, timing_text
from pipeline.render.words.lint import printed_lint
from pipeline.render.words.review import review_headline

__all__ = [
    "as_tables",
    "comment",
    "fit_table",
    "headline",
    "iso_readings",
    "lint_text",
    "moved_table",
    "printed_lint",
    "render",
    "review_headline",
    "side_by_side",
    "timing_text",
]
