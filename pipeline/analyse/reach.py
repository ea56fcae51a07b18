"""How far a reading may be off since its knots are printed figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.analyse.iso import Knots

STEP = 1e-5  # small against any knot distance, large against rounding of doubles


def reach(
    curve: Knots, read: Callable[[Knots], float | None], *, half_x: float, half_y: float
) -> float | None:
    """Return Σ |∂F/∂x| · half_x + |∂F/∂y| · half_y over the knots; None where ``read`` is unreachable.

    Of both one-sided derivatives the steeper counts.

    ``read`` takes a curve to a figure: a throughput, a cost, a ratio with another curve.
    """
    at_face = read(curve)
    if at_face is None:
        return None
    total = 0.0
    for index in range(len(curve.x)):
        moved = [
            [replace(curve, **{axis: _moved(getattr(curve, axis), index, step)}) for step in (-STEP, STEP)]
            for axis in ("x", "y")
        ]
        for half, sides in zip((half_x, half_y), moved, strict=True):
            total += half * max(
                (abs(value - at_face) / STEP for side in sides if (value := read(side)) is not None),
                default=0.0,
            )
    return total


def _moved(values: tuple[float, ...], index: int, step: float) -> tuple[float, ...]:
    return (*values[:index], values[index] + step, *values[index + 1 :])
