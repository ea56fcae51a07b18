"""Reading a curve at an abscissa between its knots; outside them there is no number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAME_X = 1e-6  # tok/s/user: a lone knot answers only for itself


def tangents(knots_x: Sequence[float], knots_y: Sequence[float]) -> Floats:
    """Slopes at three or more knots for a monotone cubic, in units of y per x.

    With secants s and steps h: inside, twice the smallest of the two neighbouring |s| and half the parabola's slope
    (s₋·h₊ + s₊·h₋)/(h₋ + h₊), signed by both secants and so zero at a turning point; at an end, (3·s − neighbour's slope)/2.
    Source: the monotone-X rule of d3-shape (after Steffen 1990, with other ends), in our own words.
    """
    h = np.diff(np.asarray(knots_x, dtype=np.float64))
    s = np.diff(np.asarray(knots_y, dtype=np.float64)) / h
    parabola = (s[:-1] * h[1:] + s[1:] * h[:-1]) / (h[:-1] + h[1:])
    sign = np.where(s < 0, -1.0, 1.0)
    inner = (sign[:-1] + sign[1:]) * np.minimum(np.minimum(np.abs(s[:-1]), np.abs(s[1:])), np.abs(parabola) / 2)
    first, last = (3 * s[0] - inner[0]) / 2, (3 * s[-1] - inner[-1]) / 2
    return np.concatenate(([first], inner, [last]))


def read_at(knots_x: Sequence[float], knots_y: Sequence[float], t: float) -> float | None:
    """Value of the curve at ``t``, linear axes; None outside [first, last] knot, never extrapolated.

    One knot answers only within 1e-6 of itself, two are joined by a straight line, more by a cubic Hermite spline with
    ``tangents``, clamped to the range of the knots. ``knots_x`` must rise strictly.

    >>> read_at([10, 20], [4.0, 2.0], 15), read_at([10, 20], [4.0, 2.0], 21)
    (3.0, None)
    """
    if len(knots_x) != len(knots_y) or any(left >= right for left, right in pairwise(knots_x)):
        raise ValueError("knots must rise strictly and have one value each")
    if not knots_x:
        return None
    if len(knots_x) == 1:
        return knots_y[0] if abs(t - knots_x[0]) < SAME_X else None
    if not knots_x[0] <= t <= knots_x[-1]:
        return None
    if len(knots_x) == 2:
        share = (t - knots_x[0]) / (knots_x[1] - knots_x[0])
        return (1 - share) * knots_y[0] + share * knots_y[1]
    return _hermite(np.asarray(knots_x, dtype=np.float64), np.asarray(knots_y, dtype=np.float64), t)


def bracket(knots_x: Sequence[float], t: float) -> tuple[int, int] | None:
    """Indices of the knots around ``t``, twice the same when ``t`` is a knot; None where ``read_at`` has no answer."""
    if len(knots_x) == 1:
        return (0, 0) if abs(t - knots_x[0]) < SAME_X else None
    if not knots_x or not knots_x[0] <= t <= knots_x[-1]:
        return None
    at = next((index for index, x in enumerate(knots_x) if abs(x - t) < SAME_X), None)
    right = next(index for index, x in enumerate(knots_x) if x >= t)
    return (right - 1, right) if at is None else (at, at)


def _hermite(x: Floats, y: Floats, t: float) -> float:
    i = min(int(np.searchsorted(x, t, side="right")) - 1, len(x) - 2)
    m = tangents(x.tolist(), y.tolist())
    h = x[i + 1] - x[i]
    u = (t - x[i]) / h
    value = (2 * u**3 - 3 * u**2 + 1) * y[i] + (u**3 - 2 * u**2 + u) * h * m[i]
    value += (3 * u**2 - 2 * u**3) * y[i + 1] + (u**3 - u**2) * h * m[i + 1]
    return float(np.clip(value, y.min(), y.max()))
