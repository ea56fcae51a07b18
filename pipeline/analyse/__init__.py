"""Room: from stored rows to an analysis. Nothing here rounds, and nothing here knows where rows come from."""

from pipeline.analyse.drift import drift
from pipeline.analyse.lint import lint
from pipeline.analyse.report import analyse
from pipeline.analyse.sides import newest, side_by_side

__all__ = ["analyse", "drift", "lint", "newest", "side_by_side"]
