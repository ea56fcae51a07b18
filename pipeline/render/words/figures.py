"""Figures and names as they stand in a sentence."""

from __future__ import annotations

from pipeline.render.text import about, number, plain
from pipeline.schema.findings import ReadRatio

Titles = dict[str, str]  # SKU id -> its name


def ratio(found: ReadRatio) -> str:
    """Return a ratio, marked where it is directional.

    >>> ratio(ReadRatio(at=27.0, ratio=2.581, directional=True))
    '≈ 2.58×'
    """
    return about(number(found.ratio, "ratio"), directional=found.directional)


def at_grid(value: float) -> str:
    """Return an interactivity as the definition writes it."""
    return number(value, "grid")


def span(low: float, high: float) -> str:
    """Return a range of the grid, without its unit.

    >>> span(16.0, 20.0), span(27.0, 27.0)
    ('from 16 to 20', 'at 27')
    """
    return f"at {at_grid(low)}" if low == high else f"from {at_grid(low)} to {at_grid(high)}"


def sku(titles: Titles, name: str) -> str:
    """Return the name of a SKU as Markdown."""
    return plain(titles.get(name, name))
