"""Timing parameters of simulated workers, fitted to measured or published points."""

from pipeline.calibrate.fitting import Fit, rate, sku_timing
from pipeline.calibrate.matching import match
from pipeline.calibrate.points import COLUMNS, GivenPoint, given_points, read_points
from pipeline.calibrate.ranges import with_ranges
from pipeline.calibrate.rows import Row
from pipeline.deployment.closed_loop import RequestLengths, closed_loop

__all__ = [
    "COLUMNS",
    "Fit",
    "GivenPoint",
    "RequestLengths",
    "Row",
    "closed_loop",
    "given_points",
    "match",
    "rate",
    "read_points",
    "sku_timing",
    "with_ranges",
]
