"""review: what a pull request changes in the recipes, checked, compared and predicted; the recipes of both commits are folders."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline import analyse, render, store
from pipeline import plan as planning
from pipeline.errors import PipelineError, PlanError, Problem
from pipeline.flow import measuring, recipes, revisions
from pipeline.flow.ingesting import ingest
from pipeline.flow.planning import Wish as PlanWish
from pipeline.flow.planning import make, survey
from pipeline.flow.world import World, write
from pipeline.launch import dynamo, layout
from pipeline.load import Book
from pipeline.schema.history import HistoryRow
from pipeline.schema.publication import Annotation, Review
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, Report, ReportData
from pipeline.schema.review import Comparison, RecipeDiff, ReviewData

GRID: Final = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0)  # tok/s/user
BAR: Final = 0.01


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for; ``whole_curve``: the SKU's unchanged recipes are replayed too, to compare at equal interactivity."""

    base: str
    out: Path
    cluster: str
    repository: str
    quick: bool
    whole_curve: bool
    workers: int


@dataclass(frozen=True, slots=True)
class Half:
    """The recipes of one commit: the folder, what is sound in it, and each recipe as a job."""

    world: World
    book: Book
    sides: Mapping[str, analyse.Side]


def review(world: World, wish: Wish) -> ReviewData:
    """Write review.json and comment.md into ``wish.out``, whatever the verdict."""
    head, base = revisions.commit(world, "HEAD"), revisions.left_at(world, wish.base)
    with tempfile.TemporaryDirectory(prefix="rackbench-review-") as scratch:
        before = replace(world, recipes=_export(world, base, Path(scratch) / "base" / "recipes"))
        known = recipes.validate(before, [])
        problems = tuple(_annotation(one) for one in _new(recipes.validate(world, []), known, world, before))
        found = Comparison(
            problems=problems,
            base=base,
            head=head,
            base_problems=sum(one.severity == "error" for one in known),
        )
        if not any(one.severity == "error" for one in problems):
            found = _compared(
                found, _half(before, wish.cluster), _half(world, wish.cluster), wish, Path(scratch)
            )
    data = analyse.judged(found, BAR)
    line = render.review_headline(data)
    told = Review(
        verdict=data.verdict, headline=line, head_sha=head, repository=wish.repository, annotations=problems
    )
    write(wish.out / "review.json", told.to_json())
    write(wish.out / "comment.md", render.comment(data))
    return data


def _new(found: Iterable[Problem], known: Iterable[Problem], world: World, before: World) -> list[Problem]:
    """Every error, and the warnings that were not there before."""
    old = {(_below(one, before), one.what) for one in known}
    return [one for one in found if one.severity == "error" or (_below(one, world), one.what) not in old]


def _below(problem: Problem, world: World) -> str:
    return Path(problem.path).resolve().relative_to(world.recipes.resolve()).as_posix()


def _annotation(one: Problem) -> Annotation:
    message = f"{one.what} — {one.hint}" if one.hint else one.what
    return Annotation(path=one.path, line=one.line, severity=one.severity, message=message)


def _export(world: World, commit: str, folder: Path) -> Path:
    """The YAML and JSON files below recipes/ as a commit has them."""
    folder.mkdir(parents=True)
    for name, text in revisions.documents(world, commit).items():
        write(folder / name, text)
    return folder


def _half(world: World, cluster: str) -> Half:
    book, jobs = survey(world, cluster)
    sides = {
        name: analyse.Side(job, _settings(book, job.recipe), planning.identity(job))
        for name, job in jobs.items()
    }
    return Half(world, book, sides)


def _settings(book: Book, recipe: Recipe) -> analyse.Settings:
    placed = layout.place(recipe, book.catalogue.skus[recipe.sku].gpus_per_tray)
    served = book.catalogue.llms[recipe.model].served_name
    return dynamo.alike(dynamo.commands(recipe, served_name=served, model_path="/model", layout=placed))


def _compared(found: Comparison, before: Half, after: Half, wish: Wish, folder: Path) -> Comparison:
    """Recipes side by side, and both sides of what changed replayed."""
    diffs = analyse.differences(before.sides, after.sides)
    old = _replay(before, analyse.names_before(diffs, before.sides, after.sides), wish, folder / "before")
    new = _replay(after, [one.recipe for one in diffs if one.state != "removed"], wish, folder / "after")
    named = {one.recipe for one in diffs}
    changes = analyse.compare(new, old, planned=named, relevant_change=BAR, even_without_past=True)
    kinds = sorted({analyse.kind(row.record) for row in [*old, *new]})
    found = found.model_copy(update={"recipes": diffs, "changes": changes, "kind": "; ".join(kinds)})
    if not wish.whole_curve or not diffs:
        return found
    rest = _replay(after, _rest_of_curves(diffs, after), wish, folder / "rest")
    skus = tuple(sorted({one.sku for one in diffs}))
    curves = [_read_curves(after, skus, [*rows, *rest]) for rows in (old, new)]
    return found.model_copy(update={"iso": analyse.iso_pairs(*curves)})


def _rest_of_curves(diffs: Sequence[RecipeDiff], half: Half) -> list[str]:
    """Unchanged recipes that stand on a curve with a changed one: same LLM, precision, SKU and workload."""
    changed = {one.recipe for one in diffs}
    curves = {_curve(side.job.recipe) for name, side in half.sides.items() if name in changed}
    return [
        name for name, side in half.sides.items() if name not in changed and _curve(side.job.recipe) in curves
    ]


def _curve(recipe: Recipe) -> tuple[str, str, str, int, int]:
    return recipe.model, recipe.precision, recipe.sku, recipe.workload.isl, recipe.workload.osl


def _replay(half: Half, names: Collection[str], wish: Wish, folder: Path) -> list[HistoryRow]:
    """These recipes in virtual time; one that cannot be replayed has its reason in its rows."""
    if not names:
        return []
    asked = PlanWish(
        wish.cluster, "pull-request", "*", None, None, "1/1", folder / "plan.json", any_size=True
    )
    plan = make(half.world, asked)
    if plan.cluster.measure != "replay":
        raise PlanError(
            f"cluster {wish.cluster} does not measure in virtual time", hint="--cluster laptop does"
        )
    chosen = plan.model_copy(update={"jobs": tuple(job for job in plan.jobs if job.id in names)})
    if not chosen.jobs:
        return []
    write(asked.out, chosen.to_json())
    run = measuring.Run(asked.out, folder / "results", None, wish.quick, None, folder.name, 1, wish.workers)
    try:
        measuring.run(half.world, run)
    except PipelineError as error:
        if not any(run.out.glob("bench-*")):
            raise
        half.world.say(str(error))  # and each job that failed says so in the comment
    ingest([run.out], str(folder / "history"))
    return list(store.rows(str(folder / "history")))


def _read_curves(half: Half, skus: tuple[str, ...], rows: Sequence[HistoryRow]) -> Report:
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
    known = {sku: half.book.catalogue.skus[sku] for sku in skus}
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
