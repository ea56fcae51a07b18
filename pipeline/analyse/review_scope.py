"""What a review looks at: problems that are new, recipes on the same curve as a changed one, and the curves that are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.analyse.changes import compare
from pipeline.analyse.curves import kinds_of
from pipeline.analyse.report import analyse
from pipeline.analyse.review import iso_pairs
from pipeline.errors import Problem
from pipeline.schema.catalogue import Sku
from pipeline.schema.history import HistoryRow
from pipeline.schema.publication import Annotation
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, Report, ReportData
from pipeline.schema.review import RecipeDiff, ReviewFindings

GRID: Final = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0)  # tok/s/user
RELEVANT_CHANGE: Final = 0.01


def new_problems(found: Iterable[tuple[str, Problem]], known: Iterable[tuple[str, Problem]]) -> list[Problem]:
    """Return every error, and the warnings that are not ``known``; each problem comes with its path below the recipes folder."""
    old = {(path, one.what) for path, one in known}
    return [one for path, one in found if one.severity == "error" or (path, one.what) not in old]


def as_annotations(
    found: Iterable[tuple[str, Problem]], known: Iterable[tuple[str, Problem]]
) -> tuple[Annotation, ...]:
    """Return the new problems as annotations of lines."""
    return tuple(map(annotation, new_problems(found, known)))


def error_count(problems: Iterable[tuple[str, Problem]]) -> int:
    """Return how many of the problems are errors."""
    return sum(one.severity == "error" for _, one in problems)


def annotation(one: Problem) -> Annotation:
    """Return a problem as an annotation of a line."""
    return Annotation(path=one.path, line=one.line, severity=one.severity, message=one.message)


def names_after(diffs: Iterable[RecipeDiff]) -> list[str]:
    """Return the changed and added recipes."""
    return [one.recipe for one in diffs if one.state != "removed"]


def with_changes(
    found: ReviewFindings,
    diffs: tuple[RecipeDiff, ...],
    before: Sequence[HistoryRow],
    after: Sequence[HistoryRow],
) -> ReviewFindings:
    """Return the findings with the differing recipes and the changes of their points at equal concurrency."""
    changes = compare(
        after,
        before,
        planned={one.recipe for one in diffs},
        relevant_change=RELEVANT_CHANGE,
        even_without_past=True,
    )
    kinds = kinds_of([*before, *after])
    return found.model_copy(update={"recipes": diffs, "changes": changes, "kinds": kinds})


def with_curves(
    found: ReviewFindings, skus: Sequence[Sku], before: Sequence[HistoryRow], after: Sequence[HistoryRow]
) -> ReviewFindings:
    """Return the findings with both curves of each SKU at equal interactivity."""
    return found.model_copy(update={"iso": iso_pairs(read_curves(skus, before), read_curves(skus, after))})


def rest_of_curves(changed: Iterable[str], recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the unchanged recipes on a curve with a changed one: same LLM, precision, SKU and workload."""
    names = set(changed)
    curves = {_curve(recipe) for name, recipe in recipes.items() if name in names}
    return [name for name, recipe in recipes.items() if name not in names and _curve(recipe) in curves]


def read_curves(skus: Sequence[Sku], rows: Sequence[HistoryRow]) -> Report:
    """Return the frontier of each SKU, read at ``GRID``."""
    names = tuple(sku.id for sku in skus)
    definition = Definition(
        title="Pull request",
        select="*",
        skus=names,
        interactivity=GRID,
        price_tier="hyperscaler",
        relevant_change=RELEVANT_CHANGE,
        directional_gap=10.0,
    )
    data = ReportData(
        name="review",
        definition=definition,
        skus=dict(zip(names, skus, strict=True)),
        llms={},
        timing=None,
        planned=(),
        rows=tuple(rows),
        previous=(),
    )
    return analyse(data)


def _curve(recipe: Recipe) -> tuple[str, str, str, int, int]:
    return recipe.model, recipe.precision, recipe.sku, recipe.workload.isl, recipe.workload.osl
