"""Pareto frontier of points of one curve: more is better on both axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, isfinite
from typing import TypeVar

T = TypeVar("T")


def frontier(points: Iterable[T], *, x: Callable[[T], float | None], y: Callable[[T], float | None]) -> list[T]:
    """Undominated points by strictly rising ``x``, so strictly falling ``y``; plain dominance, no hull.

    A point stays when no other is at least as good on both axes: of equal ``x`` the larger ``y`` stays, of equal ``y`` the
    larger ``x``, of exact duplicates the first. Points with ``x`` <= 0 or an absent coordinate are not eligible.
    Source: Pareto dominance as the public InferenceX dashboard applies it, in our own words.

    >>> frontier([(1, 5), (2, 4), (2, 3), (3, 4)], x=lambda p: p[0], y=lambda p: p[1])
    [(1, 5), (3, 4)]
    """
    eligible = [(px, py, point) for point in points if (px := _finite(x(point))) > 0 and (py := _finite(y(point))) > -inf]
    kept, best = [], -inf
    for _, height, point in sorted(eligible, key=lambda item: (-item[0], -item[1])):
        if height > best:
            kept.append(point)
            best = height
    return kept[::-1]


def _finite(value: float | None) -> float:
    """The value, or the least there is where it is absent or no finite number."""
    return value if value is not None and isfinite(value) else -inf
