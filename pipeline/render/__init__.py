"""Room: from an analysis to pages. The same report gives the same bytes, on any machine and at any time."""

from pipeline.render.pages import headline, render

__all__ = ["headline", "render"]
