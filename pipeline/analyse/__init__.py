"""From stored rows to an analysis: numbers and enumerated values, unrounded; no sentences."""

from pipeline.analyse.changes import compare
from pipeline.analyse.coverage import skus_without_rows
from pipeline.analyse.curves import kinds_of
from pipeline.analyse.drift import drift
from pipeline.analyse.lint import lint
from pipeline.analyse.report import analyse
from pipeline.analyse.review import (
    RecipeVersion,
    Settings,
    differences,
    iso_pairs,
    names_before,
    with_verdict,
)
from pipeline.analyse.sides import newest, side_by_side

__all__ = [
    "RecipeVersion",
    "Settings",
    "analyse",
    "compare",
    "differences",
    "drift",
    "iso_pairs",
    "kinds_of",
    "lint",
    "names_before",
    "newest",
    "side_by_side",
    "skus_without_rows",
    "with_verdict",
]
