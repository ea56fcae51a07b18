"""Reading a curve between its knots; outside of them there is no reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.analyse.cost import usd_per_mtok
from pipeline.analyse.frontier import frontier
from pipeline.schema.claims import CostMode

Floats = npt.NDArray[np.float64]

SAME_X = 1e-6  # tok/s/user: a lone knot answers only for itself


def tangents(knots_x: Sequence[float], knots_y: Sequence[float]) -> Floats:
    """Return slopes at three or more knots for a monotone cubic, in units of y per x.

    With secants s and steps h: inside, twice the smallest of the two neighbouring |s| and half the parabola's slope
    (s₋·h₊ + s₊·h₋)/(h₋ + h₊), signed by both secants and so zero at a turning point; at an end, (3·s − neighbour's slope)/2.
    Source: the monotone-X rule of d3-shape (after Steffen 1990, with other ends), in our own words.
    """
    return _slopes(np.asarray(knots_x, dtype=np.float64), np.asarray(knots_y, dtype=np.float64))


def _slopes(x: Floats, y: Floats) -> Floats:
    h = np.diff(x)
    s = np.diff(y) / h
    parabola = (s[:-1] * h[1:] + s[1:] * h[:-1]) / (h[:-1] + h[1:])
    sign = np.where(s < 0, -1.0, 1.0)
    inner = (sign[:-1] + sign[1:]) * np.minimum(
        np.minimum(np.abs(s[:-1]), np.abs(s[1:])), np.abs(parabola) / 2
    )
    first, last = (3 * s[0] - inner[0]) / 2, (3 * s[-1] - inner[-1]) / 2
    return np.concatenate(([first], inner, [last]))


def read_at(knots_x: Sequence[float], knots_y: Sequence[float], t: float) -> float | None:
    """Return the value of the curve at ``t``; see ``readings``.

    >>> read_at([10, 20], [4.0, 2.0], 15), read_at([10, 20], [4.0, 2.0], 21)
    (3.0, None)
    """
    return readings(knots_x, knots_y, [t])[0]


def readings(knots_x: Sequence[float], knots_y: Sequence[float], at: Sequence[float]) -> list[float | None]:
    """Return values of the curve at each of ``at``, linear axes; None outside [first, last] knot, never extrapolated.

    One knot answers only within 1e-6 of itself, two are joined by a straight line, more by a cubic Hermite spline with
    ``tangents``, clamped to the range of the knots. ``knots_x`` must rise strictly.
    """
    if len(knots_x) != len(knots_y) or any(left >= right for left, right in pairwise(knots_x)):
        raise ValueError("knots must rise strictly and have one value each")
    if not knots_x:
        return [None] * len(at)
    if len(knots_x) == 1:
        return [knots_y[0] if abs(t - knots_x[0]) < SAME_X else None for t in at]
    inside = [t for t in at if knots_x[0] <= t <= knots_x[-1]]
    values = iter(_inside(knots_x, knots_y, inside))
    return [next(values) if knots_x[0] <= t <= knots_x[-1] else None for t in at]


def _inside(knots_x: Sequence[float], knots_y: Sequence[float], at: Sequence[float]) -> list[float]:
    if len(knots_x) > 2:
        return _hermite(
            np.asarray(knots_x, dtype=np.float64),
            np.asarray(knots_y, dtype=np.float64),
            np.asarray(at, dtype=np.float64),
        )
    shares = [(t - knots_x[0]) / (knots_x[1] - knots_x[0]) for t in at]
    return [(1 - share) * knots_y[0] + share * knots_y[1] for share in shares]


def bracket(knots_x: Sequence[float], t: float) -> tuple[int, int] | None:
    """Return the indices of the knots around ``t``, twice the same when ``t`` is a knot.

    None where ``read_at`` has no answer.
    """
    if len(knots_x) == 1:
        return (0, 0) if abs(t - knots_x[0]) < SAME_X else None
    if not knots_x or not knots_x[0] <= t <= knots_x[-1]:
        return None
    at = next((index for index, x in enumerate(knots_x) if abs(x - t) < SAME_X), None)
    right = next(index for index, x in enumerate(knots_x) if x >= t)
    return (right - 1, right) if at is None else (at, at)


def _hermite(x: Floats, y: Floats, t: Floats) -> list[float]:
    i = np.minimum(np.searchsorted(x, t, side="right") - 1, len(x) - 2)
    m = _slopes(x, y)
    h = x[i + 1] - x[i]
    u = (t - x[i]) / h
    value = (2 * u**3 - 3 * u**2 + 1) * y[i] + (u**3 - 2 * u**2 + u) * h * m[i]
    value += (3 * u**2 - 2 * u**3) * y[i + 1] + (u**3 - u**2) * h * m[i + 1]
    read: list[float] = np.clip(value, y.min(), y.max()).tolist()
    return read


@dataclass(frozen=True, slots=True)
class Knots:
    """A frontier as figures: ``x`` rises strictly (tok/s/user).

    ``y`` (tok/s/GPU) falls strictly where it makes the frontier.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float | None, float | None]]) -> Self:
        """Return the frontier of points (x, y); a point without throughput is no knot."""
        positive = [pair for pair in pairs if (pair[1] or 0.0) > 0]
        kept = frontier(positive, x=lambda pair: pair[0], y=lambda pair: pair[1])
        return cls(tuple(pair[0] or 0.0 for pair in kept), tuple(pair[1] or 0.0 for pair in kept))

    def read(self, at: Sequence[float]) -> list[float | None]:
        """Return tok/s/GPU at each of ``at``; None = unreachable."""
        return readings(self.x, self.y, at)

    def cost(
        self, at: Sequence[float], usd_per_gpu_hour: float | None, mode: CostMode = "derived"
    ) -> list[float | None]:
        """Return USD per million tokens at each of ``at``; None = unreachable, or no price.

        ``derived``: from the throughput that is read. ``article``: the cost of each knot with a spline of its own, as in the
        published study; between knots it differs from the cost of the throughput that is read.
        """
        if mode == "derived":
            return [usd_per_mtok(usd_per_gpu_hour, throughput) for throughput in self.read(at)]
        costs = [usd_per_mtok(usd_per_gpu_hour, y) for y in self.y]
        known = [cost for cost in costs if cost is not None]
        return readings(self.x, known, at) if len(known) == len(costs) else [None] * len(at)

    def gap(self, at: float) -> float | None:
        """Return the distance of the knots around ``at``, tok/s/user; 0 at a knot, None = unreachable."""
        around = bracket(self.x, at)
        return None if around is None else self.x[around[1]] - self.x[around[0]]
