"""review: what a pull request changes in the recipes, checked, compared and predicted; the recipes of both commits are folders."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import analyse, load, render
from pipeline import plan as planning
from pipeline.analyse import review_scope
from pipeline.deployment import layout
from pipeline.edge.git import Git
from pipeline.errors import Problem
from pipeline.flow import recipes, replaying
from pipeline.flow.context import Context, write
from pipeline.flow.planning import survey
from pipeline.launch import dynamo
from pipeline.load import RecipeSet
from pipeline.schema.history import HistoryRow
from pipeline.schema.publication import Review
from pipeline.schema.recipe import Recipe
from pipeline.schema.review import ReviewData, ReviewFindings


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """What the command line asked for; ``whole_curve``: the SKU's unchanged recipes are replayed too, to compare at equal interactivity."""

    base: str
    out: Path
    cluster: str
    repository: str
    quick: bool
    whole_curve: bool
    workers: int


@dataclass(frozen=True, slots=True)
class RevisionRecipes:
    """The recipes of one commit: the folder, what is valid in it, and each recipe as a job."""

    context: Context
    recipe_set: RecipeSet
    sides: Mapping[str, analyse.RecipeVersion]


def review(context: Context, options: ReviewOptions) -> ReviewData:
    """Write review.json and comment.md into ``options.out``, whatever the verdict."""
    git = Git(context.shell, context.recipes)
    head, base = git.commit("HEAD"), git.merge_base(options.base)
    with tempfile.TemporaryDirectory(prefix="rackbench-review-") as scratch:
        before = replace(context, recipes=_export(context, base, Path(scratch) / "base" / "recipes"))
        known = recipes.validate(before, [])
        found_here = _located(recipes.validate(context, []), context)
        new = review_scope.new_problems(found_here, _located(known, before))
        problems = tuple(map(review_scope.annotation, new))
        found = ReviewFindings(
            problems=problems,
            base=base,
            head=head,
            base_problems=sum(one.severity == "error" for one in known),
        )
        if not any(one.severity == "error" for one in problems):
            found = _compared(
                found,
                _revision(before, options.cluster),
                _revision(context, options.cluster),
                options,
                Path(scratch),
            )
    data = analyse.with_verdict(found, review_scope.RELEVANT_CHANGE)
    line = render.review_headline(data)
    published = Review(
        verdict=data.verdict,
        headline=line,
        head_sha=head,
        repository=options.repository,
        annotations=problems,
    )
    write(options.out / "review.json", published.to_json())
    write(options.out / "comment.md", render.comment(data))
    return data


def _located(problems: Iterable[Problem], context: Context) -> list[tuple[str, Problem]]:
    """Return the problems, each with its path below the recipes folder."""
    root = context.recipes.resolve()
    return [(Path(one.path).resolve().relative_to(root).as_posix(), one) for one in problems]


def _export(context: Context, commit: str, folder: Path) -> Path:
    """The YAML and JSON files below recipes/ as a commit has them."""
    folder.mkdir(parents=True)
    for name, text in Git(context.shell, context.recipes).files_at(commit, load.SUFFIXES).items():
        write(folder / name, text)
    return folder


def _revision(context: Context, cluster: str) -> RevisionRecipes:
    recipe_set, jobs = survey(context, cluster)
    sides = {
        name: analyse.RecipeVersion(job, _settings(recipe_set, job.recipe), planning.identity(job))
        for name, job in jobs.items()
    }
    return RevisionRecipes(context, recipe_set, sides)


def _settings(recipe_set: RecipeSet, recipe: Recipe) -> analyse.Settings:
    placed = layout.place(recipe, recipe_set.catalogue.skus[recipe.sku].gpus_per_tray)
    served = recipe_set.catalogue.llms[recipe.model].served_name
    return dynamo.alike(dynamo.commands(recipe, served_name=served, model_path="/model", layout=placed))


def _compared(
    found: ReviewFindings,
    before: RevisionRecipes,
    after: RevisionRecipes,
    options: ReviewOptions,
    folder: Path,
) -> ReviewFindings:
    """Recipes side by side, and both sides of what changed replayed."""
    diffs = analyse.differences(before.sides, after.sides)

    def replay(names: Collection[str], name: str, revision: RevisionRecipes) -> list[HistoryRow]:
        return replaying.replay(revision.context, names, settings, folder / name)

    settings = replaying.ReplayOptions(options.cluster, options.quick, options.workers)
    old = replay(analyse.names_before(diffs, before.sides, after.sides), "before", before)
    new = replay([one.recipe for one in diffs if one.state != "removed"], "after", after)
    named = {one.recipe for one in diffs}
    changes = analyse.compare(
        new, old, planned=named, relevant_change=review_scope.RELEVANT_CHANGE, even_without_past=True
    )
    kinds = analyse.kinds_of([*old, *new])
    found = found.model_copy(update={"recipes": diffs, "changes": changes, "kinds": kinds})
    if not options.whole_curve or not diffs:
        return found
    recipes_after = {name: side.job.recipe for name, side in after.sides.items()}
    rest = replay(review_scope.rest_of_curves(named, recipes_after), "rest", after)
    skus = [after.recipe_set.catalogue.skus[sku] for sku in sorted({one.sku for one in diffs})]
    curves = [review_scope.read_curves(skus, [*rows, *rest]) for rows in (old, new)]
    return found.model_copy(update={"iso": analyse.iso_pairs(*curves)})
