"""Room: from an analysis to pages. The same report gives the same bytes, on any machine and at any time."""

from pipeline.render.pages import headline, render
from pipeline.render.review import comment, review_headline
from pipeline.render.terminal import fit_table, moved_table, timing_text

__all__ = ["comment", "fit_table", "headline", "moved_table", "render", "review_headline", "timing_text"]
