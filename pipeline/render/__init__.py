"""From an analysis to pages. The same report gives the same bytes on any machine and at any time."""

from pipeline.render.as_tables import as_tables
from pipeline.render.csv_iso import iso_json, iso_text, left_out
from pipeline.render.iso_lint import lint_text
from pipeline.render.pages import headline, render
from pipeline.render.review import comment
from pipeline.render.show import fit_text, origins, recipe_text
from pipeline.render.side_by_side import side_by_side
from pipeline.render.terminal import moved_table, timing_text
from pipeline.render.upgrade import upgrade_text
from pipeline.render.words.lint import printed_lint
from pipeline.render.words.review import review_headline

__all__ = [
    "as_tables",
    "comment",
    "fit_text",
    "headline",
    "iso_json",
    "iso_text",
    "left_out",
    "lint_text",
    "moved_table",
    "origins",
    "printed_lint",
    "recipe_text",
    "render",
    "review_headline",
    "side_by_side",
    "timing_text",
    "upgrade_text",
]
