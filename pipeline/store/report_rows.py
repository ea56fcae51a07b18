"""Rows of a report: those of one run where its plans name the recipes, the newest ones of all other recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pipeline.schema.recipe import Recipe
from pipeline.store.rows import RowPair, latest, rows
from pipeline.store.tombstones import refuse_retracted


def recipes_of_run(
    history: str | None, run_id: str | None, select: str, planned: Mapping[str, Recipe]
) -> list[Recipe]:
    """Return the recipes of a run as it had ``planned`` or measured them: a branch adds and renames recipes."""
    if not (history and run_id):
        return []
    found = rows(history, select=select, run_id=run_id)
    return list({**planned, **{row.record.job.recipe.id: row.record.job.recipe for row in found}}.values())


def rows_of_run(
    history: str, recipes: Sequence[Recipe], run_id: str | None, awaited: Collection[str] | None
) -> RowPair:
    """Return the current rows and the rows before; ``awaited`` are the recipes that the run had to measure, None without plans.

    An awaited recipe that the run did not measure has no current row, and its newest row of any run as the one before.
    """
    refuse_retracted(history, run_id)
    if awaited is None:
        return latest(history, _former_ids(recipes), run_id=run_id)
    theirs = [recipe for recipe in recipes if recipe.id in awaited]
    current, previous = latest(history, _former_ids(theirs), run_id=run_id)
    others, before = latest(history, _former_ids([one for one in recipes if one.id not in awaited]))
    measured = {row.record.job.recipe.id for row in current}
    stale, _ = latest(history, _former_ids([one for one in theirs if one.id not in measured]))
    return current + others, previous + before + stale


def _former_ids(recipes: Sequence[Recipe]) -> dict[str, Sequence[str]]:
    return {recipe.id: recipe.was for recipe in recipes}
