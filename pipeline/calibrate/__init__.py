"""Timing parameters of simulated workers, fitted to measured or published points."""

from pipeline.calibrate.fitting import Fit, Row, rate, sku_timing
from pipeline.calibrate.points import Given, read_points
from pipeline.calibrate.surrogate import Lengths, closed_loop

__all__ = ["Fit", "Given", "Lengths", "Row", "closed_loop", "rate", "read_points", "sku_timing"]
