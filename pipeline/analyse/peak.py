"""Where the ratio of two curves peaks: on a declared grid, and anywhere in their common range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.analyse.cost import ratio
from pipeline.analyse.iso import Floats, Knots
from pipeline.schema.claims import CostMode, Quantity
from pipeline.schema.compare import Peak, RatioAt

SAMPLES = 400  # a stretch between two knots; a ratio of two cubics turns a few times there at most
ZOOMS = 4  # each narrows a place by 200


@dataclass(frozen=True, slots=True)
class CurvePair:
    """Two frontiers and their prices. Throughput ratio is second over first, cost ratio first over second."""

    first: Knots
    second: Knots
    usd_first: float | None = None
    usd_second: float | None = None

    def ratios(
        self, at: Sequence[float], quantity: Quantity, cost: CostMode = "derived"
    ) -> list[float | None]:
        """Return the ratio at each of ``at``; None where a side is unreachable or has no price."""
        if quantity == "total_tok_s_gpu":
            return [
                ratio(second, first)
                for first, second in zip(self.first.read(at), self.second.read(at), strict=True)
            ]
        costs = self.first.cost(at, self.usd_first, cost), self.second.cost(at, self.usd_second, cost)
        return [ratio(first, second) for first, second in zip(*costs, strict=True)]

    def gap(self, at: float) -> float:
        """Return the wider of both distances between the knots around ``at``, tok/s/user.

        0 where nothing can be read.
        """
        return max(self.first.gap(at) or 0.0, self.second.gap(at) or 0.0)


def peak(
    pair: CurvePair, grid: Sequence[float], quantity: Quantity, cost: CostMode = "derived"
) -> Peak | None:
    """Return the largest ratio and its kind; None where the curves have no range in common, or no price.

    Each stretch between neighbouring knots is sampled, and every maximum inside is narrowed down to about 1e-9 of it.
    """
    if len(pair.first.x) < 2 or len(pair.second.x) < 2:
        return None
    low, high = max(pair.first.x[0], pair.second.x[0]), min(pair.first.x[-1], pair.second.x[-1])
    if low >= high or pair.ratios([low], quantity, cost) == [None]:
        return None

    def ratios(at: Floats) -> Floats:
        return np.asarray(pair.ratios(at.tolist(), quantity, cost), dtype=np.float64)

    stops = sorted(
        {low, high, *(x for knots in (pair.first, pair.second) for x in knots.x if low < x < high)}
    )
    at = np.concatenate(
        [np.linspace(left, right, SAMPLES, endpoint=False) for left, right in pairwise(stops)]
        + [np.asarray([high])]
    )
    values = ratios(at)
    local = sorted(_maxima(at, values, ratios), key=lambda place: -place.ratio)
    low_end, high_end = RatioAt(at=low, ratio=float(values[0])), RatioAt(at=high, ratio=float(values[-1]))
    return Peak(
        quantity=quantity,
        cost=cost,
        grid=tuple(grid),
        on_grid=_on_grid(pair, grid, quantity, cost),
        low=_with_gap(low_end, pair),
        high=_with_gap(high_end, pair),
        local=tuple(_with_gap(place, pair) for place in local),
        passed_again_from=_passed_again(at, values, local[0], ratios) if local else None,
    )


def _with_gap(place: RatioAt, pair: CurvePair) -> RatioAt:
    return place.model_copy(update={"gap": pair.gap(place.at)})


def _on_grid(pair: CurvePair, grid: Sequence[float], quantity: Quantity, cost: CostMode) -> RatioAt | None:
    read = zip(grid, pair.ratios(grid, quantity, cost), strict=True)
    return max(
        (RatioAt(at=at, ratio=value, gap=pair.gap(at)) for at, value in read if value is not None),
        key=lambda place: place.ratio,
        default=None,
    )


def _maxima(at: Floats, values: Floats, ratios: Callable[[Floats], Floats]) -> list[RatioAt]:
    inside = [i for i in range(1, len(at) - 1) if values[i - 1] < values[i] >= values[i + 1]]
    return [_narrowed(float(at[i - 1]), float(at[i + 1]), ratios) for i in inside]


def _narrowed(left: float, right: float, ratios: Callable[[Floats], Floats]) -> RatioAt:
    for _ in range(ZOOMS):
        at = np.linspace(left, right, SAMPLES + 1)
        values = ratios(at)
        best = int(values.argmax())
        left, right = float(at[max(best - 1, 0)]), float(at[min(best + 1, SAMPLES)])
    return RatioAt(at=float(at[best]), ratio=float(values[best]))


def _passed_again(
    at: Floats, values: Floats, top: RatioAt, ratios: Callable[[Floats], Floats]
) -> float | None:
    """Return where the ratio exceeds its highest local maximum again; found by zooming in between two samples."""
    above = np.flatnonzero((at > top.at) & (values > top.ratio))
    after = [int(i) for i in above if at[i - 1] > top.at and values[i - 1] <= top.ratio]
    if not after:
        return None
    left, right = float(at[after[0] - 1]), float(at[after[0]])
    for _ in range(ZOOMS):
        zoomed = np.linspace(left, right, SAMPLES + 1)
        first = int(np.flatnonzero(ratios(zoomed) > top.ratio)[0])
        left, right = float(zoomed[max(first - 1, 0)]), float(zoomed[first])
    return right
