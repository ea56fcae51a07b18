"""report, query, drift: history into pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline import analyse, render, store
from pipeline.deployment.shape_fits import shape_fits
from pipeline.errors import PipelineError
from pipeline.flow.context import Context, read, write
from pipeline.flow.planning import read_plan
from pipeline.flow.published import read_study
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import RecipeSet, study
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, Report, ReportData
from pipeline.schema.timing import Timing


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the command line asked for; without history, the report's kept data.json is rendered again.

    ``is_refreshed``: only the rows of the kept data stay; definition, SKUs, LLMs and timing are read again. With ``plans``, only the
    recipes that they name have to be of ``run_id``; the others are told by their newest run.
    """

    definition: Path
    history: str | None
    run_id: str | None
    out: Path
    is_refreshed: bool = False
    plans: tuple[Path, ...] = ()


def report(context: Context, options: ReportOptions) -> Report:
    """Render a definition into ``out``."""
    data = report_data(context, options)
    report = analyse.analyse(data)
    for file, content in render.render(report).items():
        write(options.out / file, content)
    write(options.out / "data.json", data.to_json())
    return report


def report_data(context: Context, options: ReportOptions) -> ReportData:
    """What a report tells: of history, or what it keeps, or the rows that it keeps told by today's definition and facts."""
    if options.plans and not (options.history and options.run_id):
        hint = "name history and run: --history, --run-id"
        raise PipelineError("plans say what one run had to bring", where=str(options.plans[0]), hint=hint)
    if options.history:
        return _from_history(context, options)
    kept = _kept(options.definition.with_suffix("") / "data.json")
    return _refreshed(context, options, kept) if options.is_refreshed else kept


def drift(kept: Path, new: Path, *, tolerance: float) -> str:
    """What a new report's data does not reproduce of a kept one's, as text; empty when it does."""
    return render.moved_table(analyse.drift(_kept(kept), _kept(new), tolerance=tolerance))


def _kept(path: Path) -> ReportData:
    if not path.is_file():
        raise PipelineError(
            "no kept data for this report", where=str(path), hint="name a history: --history URL"
        )
    return ReportData.from_json(read(path), where=str(path))


def _from_history(context: Context, options: ReportOptions) -> ReportData:
    definition, recipe_set = _asked(context, options)
    planned = {job.recipe.id: job.recipe for path in options.plans for job in read_plan(path).jobs}
    chosen = _chosen(options, definition, recipe_set, _own(options, definition, planned))
    awaited = tuple(
        sorted(planned.keys() & {recipe.id for recipe in chosen})
    )  # as far as the report tells of it
    current, previous = _nights(options, chosen, awaited)
    if not current and not awaited:
        raise PipelineError(
            "history has no run of these recipes",
            where=options.history or "",
            hint="ingest one first: python -m pipeline ingest DIR --history URL",
        )
    return _built(context, options, definition, recipe_set, (chosen, current, previous)).model_copy(
        update={"awaited": awaited}
    )


def _own(options: ReportOptions, definition: Definition, planned: Mapping[str, Recipe]) -> list[Recipe]:
    """Recipes as the told run had ``planned`` or measured them, which a book of another commit may lack: a branch adds and renames."""
    if not (options.history and options.run_id):
        return []
    measured = {
        row.record.job.recipe.id: row.record.job.recipe
        for row in store.rows(options.history, select=definition.select, run_id=options.run_id)
    }
    return list({**planned, **measured}.values())


def _nights(
    options: ReportOptions, chosen: Sequence[Recipe], awaited: Sequence[str]
) -> tuple[tuple[HistoryRow, ...], tuple[HistoryRow, ...]]:
    """Rows now and before. A recipe that the run had to bring and did not has none now, and its newest of any run before."""
    history = options.history or ""
    if not options.plans:
        return store.latest(history, {recipe.id: recipe.was for recipe in chosen}, run_id=options.run_id)
    current, previous = store.latest(
        history, {recipe.id: recipe.was for recipe in chosen if recipe.id in awaited}, run_id=options.run_id
    )
    others, before = store.latest(
        history, {recipe.id: recipe.was for recipe in chosen if recipe.id not in awaited}
    )
    came = {row.record.job.recipe.id for row in current}
    stale, _ = store.latest(
        history, {recipe.id: recipe.was for recipe in chosen if recipe.id in set(awaited) - came}
    )
    return current + others, previous + before + stale


def _refreshed(context: Context, options: ReportOptions, kept: ReportData) -> ReportData:
    """The kept rows, told by today's definition and facts."""
    definition, recipe_set = _asked(context, options)
    built = _built(
        context,
        options,
        definition,
        recipe_set,
        (_chosen(options, definition, recipe_set), kept.rows, kept.previous),
    )
    return built.model_copy(update={"awaited": kept.awaited})


def _asked(context: Context, options: ReportOptions) -> tuple[Definition, RecipeSet]:
    """The definition, whose SKUs are known, and the recipes that it selects from."""
    recipe_set = read_recipe_set(context)
    path = options.definition
    return study.definition(path, read(path), recipe_set.catalogue), recipe_set


def _chosen(
    options: ReportOptions, definition: Definition, recipe_set: RecipeSet, own: Sequence[Recipe] = ()
) -> list[Recipe]:
    """What the definition selects of the book and of the told run's own recipes, which stand for the book's of the same or a former id."""
    known = {one.id: one for one in own if one.model in recipe_set.catalogue.llms}
    names = {*known, *(name for one in known.values() for name in one.was)}
    recipes = {
        **{name: one for name, one in recipe_set.recipes.items() if names.isdisjoint((name, *one.was))},
        **known,
    }
    chosen = [
        recipe
        for recipe in recipes.values()
        if fnmatchcase(recipe.id, definition.select) and recipe.sku in definition.skus
    ]
    if not chosen:
        raise PipelineError(f"no recipe matches {definition.select!r}", where=str(options.definition))
    return chosen


def _built(
    context: Context,
    options: ReportOptions,
    definition: Definition,
    recipe_set: RecipeSet,
    told: tuple[list[Recipe], tuple[HistoryRow, ...], tuple[HistoryRow, ...]],
) -> ReportData:
    """Everything that the pages need; ``told`` is what was chosen, its rows and the rows before them."""
    chosen, rows, previous = told
    skus, llms = (
        recipe_set.catalogue.skus,
        {llm: recipe_set.catalogue.llms[llm] for llm in sorted({recipe.model for recipe in chosen})},
    )
    asked, own = definition.comparison, [skus[sku] for sku in definition.skus]
    published = asked.published if asked else ()
    return ReportData(
        name=options.definition.stem,
        definition=definition,
        skus={sku.id: sku for sku in own},
        llms=llms,
        timing=_timing(context, rows),
        planned=tuple(sorted(recipe.id for recipe in chosen)),
        rows=rows,
        previous=previous,
        peers={name: sku for name, sku in skus.items() if name not in definition.skus} if asked else {},
        fits=shape_fits(chosen[0], own, llms[chosen[0].model], asked.fit) if asked else (),
        studies=tuple(
            read_study(options.definition.parent / path, recipe_set.catalogue) for path in published
        ),
    )


def _timing(context: Context, rows: Sequence[HistoryRow]) -> Timing | None:
    """The timing document that the rows were simulated with, as far as it still lies below recipes/timing."""
    wanted = {row.record.job.environment.get("timing") for row in rows} - {None}
    for path in sorted((context.recipes / "timing").glob("*.json")):
        timing = Timing.from_json(read(path), where=str(path))
        if timing.measured_digest in wanted:
            return timing
    return None


def query(history: str, sql: str, *, as_json: bool) -> str:
    """Rows of a SQL query over history, as a table or as JSON."""
    return (
        json.dumps(store.query(history, sql), indent=1, default=str) + "\n"
        if as_json
        else store.query_text(history, sql)
    )
