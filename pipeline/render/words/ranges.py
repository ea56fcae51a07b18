"""The words for what is outside of the range that timing was fitted to; not escaped for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.render.text import short_number
from pipeline.schema.timing import Extrapolation, Range


def extrapolated_text(found: Sequence[Extrapolation]) -> str:
    """Return each quantity with its value, the fitted range, and the factor between them.

    >>> span = Range(low=6553.6, high=8192.0)
    >>> extrapolated_text([Extrapolation(role="prefill", axis="input tokens", value=819.2, fitted=span)])
    'prefill input tokens 819 (fitted 6,554 to 8,192: factor 0.12)'
    """
    return ", ".join(
        f"{one.role} {one.axis} {short_number(one.value)} "
        f"(fitted {range_text(one.fitted)}: factor {one.factor:.2g})"
        for one in found
    )


def range_text(fitted: Range) -> str:
    """Return a range; one number where both ends are the same."""
    low, high = short_number(fitted.low), short_number(fitted.high)
    return low if low == high else f"{low} to {high}"
