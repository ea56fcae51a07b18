"""The words for the kind of a curve."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.schema.curve_kind import CurveKind

NOTHING_RAN = "nothing ran"


def kind_text(kind: CurveKind | None) -> str:
    """Return origin, measure and load in words, not escaped for Markdown.

    >>> kind_text(CurveKind(origin="simulated", measure="replay", requests_per_conc=2, reduced_from=10))
    'simulated (replay, 2 × conc requests, reduced from 10)'
    """
    if kind is None:
        return NOTHING_RAN
    run = "" if kind.run_id is None else f"run {kind.run_id}, "
    reduced = "" if kind.reduced_from is None else f", reduced from {kind.reduced_from}"
    slowed = "" if kind.time_scale is None else f", engines slowed {kind.time_scale:g} times"
    load = f"{kind.requests_per_conc} × conc requests{reduced}{slowed}"
    return f"{kind.origin} ({kind.measure}, {run}{load})"


def kind_texts(kinds: Iterable[CurveKind]) -> list[str]:
    """Return the words of each distinct kind, in the order in which they occur."""
    return [kind_text(kind) for kind in dict.fromkeys(kinds)]
