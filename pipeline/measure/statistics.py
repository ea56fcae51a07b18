"""Statistics of per-request figures, as in the published client."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pipeline.deployment.invariants import ENOUGH_FOR_P99
from pipeline.schema.result import Statistics


def summarise(values: ArrayLike) -> Statistics:
    """Return mean and linearly interpolated quantiles.

    Below 662 requests p99 is null, without any everything is.
    """
    array = np.asarray(values, dtype=np.float64)
    n = int(array.size)
    if n == 0:
        return Statistics(n=0, mean=None, p50=None, p90=None, p99=None)
    p50, p90, p99 = (float(q) for q in np.percentile(array, [50, 90, 99]))
    return Statistics(
        n=n, mean=float(array.mean()), p50=p50, p90=p90, p99=p99 if n >= ENOUGH_FOR_P99 else None
    )


def slope(values: Sequence[float]) -> tuple[float, float]:
    """Return the change of equally spaced values from first to last by least squares, and its standard error.

    At least three values are required.

    The error of autocorrelated values grows by sqrt((1 + r) / (1 - r)), where r is the correlation of
    neighbours.
    """
    x = np.linspace(-0.5, 0.5, len(values))
    y = np.asarray(values, dtype=np.float64)
    change = float(x @ (y - y.mean()) / (x @ x))
    rest = y - y.mean() - change * x
    autocorrelation = max(0.0, float(rest[1:] @ rest[:-1] / (rest @ rest))) if rest.any() else 0.0
    error = np.sqrt((rest @ rest) / (len(y) - 2) / (x @ x))
    return change, float(error * np.sqrt((1 + autocorrelation) / (1 - autocorrelation)))
