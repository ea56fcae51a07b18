"""How a headline is kept short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LONGEST: Final = 110  # characters of a headline, its icon and its origin included


def fitted(variants: Sequence[str], longest: int = LONGEST) -> str:
    """Return the first variant that is short enough, else the last one, cut.

    >>> fitted(["GB300 NVL72 is faster", "gb300 is faster"], 15), fitted(["gb300 is faster"], 10)
    ('gb300 is faster', 'gb300 is …')
    """
    lines = [one_line(text) for text in variants]
    return next((text for text in lines if len(text) <= longest), cut(lines[-1], longest))


def extended(start: str, parts: Iterable[Sequence[str]], longest: int = LONGEST) -> str:
    """Return ``start`` with the first variant of each part for which there is room, on one line.

    >>> extended("slower", [(": a long reason", ": reason"), (" · 1 more",)], 14)
    'slower: reason'
    """
    text = start
    for variants in parts:
        text += next((one for one in variants if len(text) + len(one) <= longest), "")
    return one_line(text)


def one_line(text: str) -> str:
    """Return a text with each run of white space as one space."""
    return " ".join(text.split())


def cut(text: str, longest: int) -> str:
    """Return a text on one line that ends in an ellipsis where it was too long."""
    text = one_line(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
