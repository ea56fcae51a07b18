"""Colours of the pictures: safe for colour-blind readers, one set for light and one for dark pages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

SHAPES: Final = ("circle", "diamond", "triangle-up", "square", "cross")


@dataclass(frozen=True, slots=True)
class Theme:
    """Hues after Okabe and Ito's palette.

    ``palette``: SKUs in order. ``labels``: the same hues with the contrast that small text needs. ``parts``: bars.
    """

    name: str
    paper: str
    ink: str
    faint: str
    grid: str
    palette: tuple[str, ...]
    labels: tuple[str, ...]
    parts: tuple[str, ...]
    is_narrow: bool = False

    def narrow(self) -> Theme:
        """The same for a page as wide as a phone."""
        return replace(self, is_narrow=True)

    def heading(self, text: str, subtitle: Sequence[str] = ()) -> dict[str, Any]:
        """Vega-Lite's ``title``; wrapped on a narrow page, where it would be wider than the picture."""
        if not self.is_narrow:
            return {"text": text, "subtitle": list(subtitle)}
        return {
            "text": textwrap.wrap(text, 40),
            "subtitle": [line for one in subtitle for line in textwrap.wrap(one, 52)],
        }

    @property
    def config(self) -> dict[str, Any]:
        """Vega-Lite's ``config``; no font is named, because bytes must not depend on the machine."""
        axis = {
            "labelColor": self.ink,
            "titleColor": self.ink,
            "gridColor": self.grid,
            "domainColor": self.faint,
            "tickColor": self.faint,
        }
        title = {
            "color": self.ink,
            "subtitleColor": self.faint,
            "anchor": "start",
            "fontSize": 15,
            "subtitleFontSize": 11.5,
            "offset": 12,
        }
        legend = {"labelColor": self.ink, "titleColor": self.ink, "labelFontSize": 12}
        return {
            "background": self.paper,
            "view": {"stroke": None},
            "axis": {**axis, "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"},
            "title": title,
            "legend": legend,
        }


LIGHT: Final = Theme(
    name="light",
    paper="#ffffff",
    ink="#1f2328",
    faint="#6a737d",
    grid="#e4e7eb",
    palette=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"),
    labels=("#00588a", "#a54800", "#00664a", "#8f3f6d", "#7d5600"),
    parts=("#0072b2", "#56b4e9", "#9aa0a6", "#e69f00"),
)
DARK: Final = Theme(
    name="dark",
    paper="#0d1117",
    ink="#e6edf3",
    faint="#9198a1",
    grid="#262c34",
    palette=("#56b4e9", "#ff8a4c", "#2fc79a", "#e29cc6", "#f0c246"),
    labels=("#7cc7f0", "#ffa673", "#5bd9b4", "#edb7d5", "#f5d272"),
    parts=("#3d9fd8", "#a6d8f5", "#7d8590", "#f0a93b"),
)
