"""review: what a pull request changes in the recipes, checked, compared and predicted; the recipes of both commits are folders."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline import analyse, load, render, store
from pipeline import plan as planning
from pipeline.deployment import layout
from pipeline.edge.git import Git
from pipeline.errors import PipelineError, PlanError, Problem
from pipeline.flow import measuring, recipes
from pipeline.flow.context import Context, write
from pipeline.flow.ingesting import ingest
from pipeline.flow.planning import PlanOptions, make, survey
from pipeline.launch import dynamo
from pipeline.load import RecipeSet
from pipeline.schema.history import HistoryRow
from pipeline.schema.publication import Annotation, Review
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, Report, ReportData
from pipeline.schema.review import RecipeDiff, ReviewData, ReviewFindings

GRID: Final = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0)  # tok/s/user
BAR: Final = 0.01


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
    """The recipes of one commit: the folder, what is sound in it, and each recipe as a job."""

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
        problems = tuple(
            _annotation(one) for one in _new(recipes.validate(context, []), known, context, before)
        )
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
    data = analyse.with_verdict(found, BAR)
    line = render.review_headline(data)
    told = Review(
        verdict=data.verdict,
        headline=line,
        head_sha=head,
        repository=options.repository,
        annotations=problems,
    )
    write(options.out / "review.json", told.to_json())
    write(options.out / "comment.md", render.comment(data))
    return data


def _new(
    found: Iterable[Problem], known: Iterable[Problem], context: Context, before: Context
) -> list[Problem]:
    """Every error, and the warnings that were not there before."""
    old = {(_below(one, before), one.what) for one in known}
    return [one for one in found if one.severity == "error" or (_below(one, context), one.what) not in old]


def _below(problem: Problem, context: Context) -> str:
    return Path(problem.path).resolve().relative_to(context.recipes.resolve()).as_posix()


def _annotation(one: Problem) -> Annotation:
    message = f"{one.what} — {one.hint}" if one.hint else one.what
    return Annotation(path=one.path, line=one.line, severity=one.severity, message=message)


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
    old = _replay(before, analyse.names_before(diffs, before.sides, after.sides), options, folder / "before")
    new = _replay(after, [one.recipe for one in diffs if one.state != "removed"], options, folder / "after")
    named = {one.recipe for one in diffs}
    changes = analyse.compare(new, old, planned=named, relevant_change=BAR, even_without_past=True)
    kinds = sorted({analyse.kind(row.record) for row in [*old, *new]})
    found = found.model_copy(update={"recipes": diffs, "changes": changes, "kind": "; ".join(kinds)})
    if not options.whole_curve or not diffs:
        return found
    rest = _replay(after, _rest_of_curves(diffs, after), options, folder / "rest")
    skus = tuple(sorted({one.sku for one in diffs}))
    curves = [_read_curves(after, skus, [*rows, *rest]) for rows in (old, new)]
    return found.model_copy(update={"iso": analyse.iso_pairs(*curves)})


def _rest_of_curves(diffs: Sequence[RecipeDiff], revision: RevisionRecipes) -> list[str]:
    """Unchanged recipes that stand on a curve with a changed one: same LLM, precision, SKU and workload."""
    changed = {one.recipe for one in diffs}
    curves = {_curve(side.job.recipe) for name, side in revision.sides.items() if name in changed}
    return [
        name
        for name, side in revision.sides.items()
        if name not in changed and _curve(side.job.recipe) in curves
    ]


def _curve(recipe: Recipe) -> tuple[str, str, str, int, int]:
    return recipe.model, recipe.precision, recipe.sku, recipe.workload.isl, recipe.workload.osl


def _replay(
    revision: RevisionRecipes, names: Collection[str], options: ReviewOptions, folder: Path
) -> list[HistoryRow]:
    """These recipes in virtual time; one that cannot be replayed has its reason in its rows."""
    if not names:
        return []
    asked = PlanOptions(
        options.cluster, "pull-request", "*", None, None, "1/1", folder / "plan.json", any_size=True
    )
    plan = make(revision.context, asked)
    if plan.cluster.measure != "replay":
        raise PlanError(
            f"cluster {options.cluster} does not measure in virtual time", hint="--cluster laptop does"
        )
    chosen = plan.model_copy(update={"jobs": tuple(job for job in plan.jobs if job.id in names)})
    if not chosen.jobs:
        return []
    write(asked.out, chosen.to_json())
    run = measuring.RunOptions(
        asked.out, folder / "results", None, options.quick, None, folder.name, 1, options.workers
    )
    try:
        measuring.run(revision.context, run)
    except PipelineError as error:
        if not any(run.out.glob("bench-*")):
            raise
        revision.context.log(str(error))  # and each job that failed says so in the comment
    ingest([run.out], str(folder / "history"))
    return list(store.rows(str(folder / "history")))


def _read_curves(revision: RevisionRecipes, skus: tuple[str, ...], rows: Sequence[HistoryRow]) -> Report:
    """The frontier of each SKU, read at the grid."""
    definition = Definition(
        title="Pull request",
        select="*",
        skus=skus,
        interactivity=GRID,
        price_tier="hyperscaler",
        relevant_change=BAR,
        directional_gap=10.0,
    )
    known = {sku: revision.recipe_set.catalogue.skus[sku] for sku in skus}
    made = ReportData(
        name="review",
        definition=definition,
        skus=known,
        llms={},
        timing=None,
        planned=(),
        rows=tuple(rows),
        previous=(),
    )
    return analyse.analyse(made)
