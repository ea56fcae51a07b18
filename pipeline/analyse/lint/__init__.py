"""The linter of published tables. It is part of this room since it reads the same frontiers, costs and peaks as our own reports."""

from pipeline.analyse.lint.study import lint

__all__ = ["lint"]
