"""The prediction of a review: the recipes of two revisions side by side, and replays of those that differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import analyse
from pipeline import plan as planning
from pipeline.analyse import review_scope
from pipeline.flow import replaying
from pipeline.flow.context import Context
from pipeline.flow.recipe_jobs import survey
from pipeline.flow.recipes import commands_of
from pipeline.launch import dynamo
from pipeline.load import RecipeSet
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe
from pipeline.schema.review import ReviewFindings

if TYPE_CHECKING:
    from pipeline.flow.reviewing import ReviewOptions


@dataclass(frozen=True, slots=True)
class RevisionRecipes:
    """The recipes of one revision: its folder, the valid recipes, and each recipe as a job."""

    context: Context
    recipe_set: RecipeSet
    versions: Mapping[str, analyse.RecipeVersion]


def compare(
    found: ReviewFindings, before: Context, after: Context, options: ReviewOptions, folder: Path
) -> ReviewFindings:
    """Return the findings with the differences of the recipes and, from replays, of their points and curves."""
    old, new = (_revision(context, options.cluster) for context in (before, after))
    diffs = analyse.differences(old.versions, new.versions)
    settings = replaying.ReplayOptions(options.cluster, options.quick, options.workers)

    def replay(revision: RevisionRecipes, names: Collection[str], name: str) -> list[HistoryRow]:
        return replaying.replay(revision.context, names, settings, folder / name)

    names = analyse.names_before(diffs, old.versions, new.versions)
    rows_before = replay(old, names, "before")
    rows_after = replay(new, review_scope.names_after(diffs), "after")
    found = review_scope.with_changes(found, diffs, rows_before, rows_after)
    if not options.whole_curve or not diffs:
        return found
    unchanged = review_scope.rest_of_curves({one.recipe for one in diffs}, _recipes(new))
    rest = replay(new, unchanged, "rest")
    skus = [new.recipe_set.catalogue.skus[sku] for sku in sorted({one.sku for one in diffs})]
    return review_scope.with_curves(found, skus, [*rows_before, *rest], [*rows_after, *rest])


def _revision(context: Context, cluster: str) -> RevisionRecipes:
    recipe_set, jobs = survey(context, cluster)
    versions = {
        name: analyse.RecipeVersion(
            job, dynamo.alike(commands_of(recipe_set, job.recipe)), planning.identity(job)
        )
        for name, job in jobs.items()
    }
    return RevisionRecipes(context, recipe_set, versions)


def _recipes(revision: RevisionRecipes) -> dict[str, Recipe]:
    return {name: version.job.recipe for name, version in revision.versions.items()}
