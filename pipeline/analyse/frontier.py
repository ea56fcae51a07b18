"""Pareto frontier of the points of one curve: by default, more is better on both axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, isfinite
from typing import Literal, TypeVar

T = TypeVar("T")
Way = Literal["more", "less"]
Better = tuple[Way, Way]  # of x, of y


def frontier(
    points: Iterable[T],
    *,
    x: Callable[[T], float | None],
    y: Callable[[T], float | None],
    better: Better = ("more", "more"),
) -> list[T]:
    """Return undominated points by strictly rising ``x``; plain dominance, no hull.

    ``better`` gives the better direction of each axis.

    A point stays when no other is at least as good on both axes: of equal ``x`` the larger ``y`` stays, of equal ``y`` the
    larger ``x``, of exact duplicates the first. Points with ``x`` <= 0 or an absent coordinate are not eligible.
    The mirrors: cost over interactivity is ("more", "less"), throughput over a latency ("less", "more").
    Source: Pareto dominance as the public InferenceX dashboard applies it; independent implementation.

    >>> frontier([(1, 5), (2, 4), (2, 3), (3, 4)], x=lambda p: p[0], y=lambda p: p[1])
    [(1, 5), (3, 4)]
    >>> frontier([(1, 5), (2, 6), (3, 6)], x=lambda p: p[0], y=lambda p: p[1], better=("less", "more"))
    [(1, 5), (2, 6)]
    """
    right, up = (1 if way == "more" else -1 for way in better)
    eligible = [
        (right * px, up * py, point)
        for point in points
        if (px := _finite(x(point))) > 0 and (py := _finite(y(point))) > -inf
    ]
    kept, best = [], -inf
    for _, height, point in sorted(eligible, key=lambda item: (-item[0], -item[1])):
        if height > best:
            kept.append(point)
            best = height
    return kept[::-right]


def _finite(value: float | None) -> float:
    """Return the value; minus infinity where it is absent or not finite."""
    return value if value is not None and isfinite(value) else -inf
