"""Room: from stored rows to an analysis. Nothing here rounds, and nothing here knows where rows come from."""

from pipeline.analyse.drift import drift
from pipeline.analyse.lint import lint
from pipeline.analyse.report import analyse

__all__ = ["analyse", "drift", "lint"]
