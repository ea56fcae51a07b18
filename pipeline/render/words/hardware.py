"""What specifications, memory and expert exchange tell, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.render.text import about, number
from pipeline.render.words.figures import Titles, at_grid, ratio, sku
from pipeline.schema.findings import CeilingFinding, ExchangeFinding, PointsWithin, ShapeFinding
from pipeline.schema.sku_comparison import WorkerShape


def ceiling(found: CeilingFinding) -> str:
    """Return the limit on paper, the reading, and where a reading above the limit comes from."""
    text = f"On paper no single resource gives more than {number(found.ceiling, 'ratio')} the tokens per "
    text += "dollar. "
    text += f"The curves give {ratio(found.read)} at {at_grid(found.read.at)} tok/s/user ({found.origin})"
    if found.above <= 1:
        return f"{text}."
    above = about(number(found.above, "ratio"), directional=found.read.directional)
    return (
        f"{text}, {above} that limit. The excess comes from the worker shapes that fit, the deployments that "
        "were run, and their settings."
    )


def shapes(found: ShapeFinding, titles: Titles) -> str:
    """Return the smallest worker that fits, and why others do not."""
    name = sku(titles, found.sku)
    if found.gpus is None:
        return f"{name}: none of these workers fits."
    text = f"{name}: the smallest worker that fits has {found.gpus} GPUs ({_codes(found.smallest)})."
    if not found.not_fitting or found.weights_share is None:
        return text
    share = f"the weights alone take {number(found.weights_share, 'percent')} of its HBM or more"
    why = share if found.weights_share > 1 else "no memory is left for KV cache"
    do = "does" if len(found.not_fitting) == 1 else "do"
    return f"{text} {_codes(found.not_fitting)} {do} not fit: {why}."


def _codes(shapes_: Iterable[WorkerShape]) -> str:
    return ", ".join(shape.code for shape in shapes_)


def exchange(found: ExchangeFinding) -> str:
    """Return how many exchanges a decode step has, and what share of the fastest step they take."""
    step = f"The fastest EP{found.ep} step took {number(found.step_ms, 'ms')} ms"
    held = f"with at most {number(found.tokens_per_rank, 'grid')} tokens per rank"
    inside = (
        ""
        if found.scaleup_ms is None
        else f"{_part(found.scaleup_ms, found.step_ms)} inside the scale-up domain, "
    )
    outside = f"{_part(found.scaleout_ms, found.step_ms)} over scale-out"
    return (
        f"A decode step has {found.collectives} exchanges ({found.layers} layers, dispatch and combine). "
        f"{step} {held}; their exchange takes {inside}{outside}."
    )


def _part(milliseconds: float, step_ms: float) -> str:
    return f"{number(milliseconds, 'ms')} ms ({number(milliseconds / step_ms, 'percent')})"


def points_within(found: Iterable[PointsWithin], titles: Titles) -> str:
    """Return how many points of each SKU are within a limit."""
    return "; ".join(f"{sku(titles, one.sku)} {one.within} of {one.points} points" for one in found)
