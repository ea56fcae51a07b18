"""The linter of published tables; it reads the same frontiers, costs and peaks as the reports of this project."""

from pipeline.analyse.lint.study import lint

__all__ = ["lint"]
