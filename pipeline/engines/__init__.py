"""Engine sources to catalogue entries: what a wheel says about its options, without importing it."""

from pipeline.engines.extract import Wheel, extract, is_read

__all__ = ["Wheel", "extract", "is_read"]
