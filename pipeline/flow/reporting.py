"""report, drift: a history into pages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import analyse, render
from pipeline.analyse import report_scope
from pipeline.errors import PipelineError
from pipeline.flow.context import Context, read, write
from pipeline.flow.planning import read_plan
from pipeline.flow.published import read_study
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import RecipeSet, study
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, Report, ReportData
from pipeline.schema.timing import Timing
from pipeline.store import report_rows
from pipeline.store.rows import RowPair


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the command line asked for; without a history, the report's kept data.json is rendered again.

    ``is_refreshed``: only the rows of the kept data stay; definition, SKUs, LLMs and timing are read again. With ``plans``, only the
    recipes that they name have to be of ``run_id``; the others are reported from their newest run.
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
    """Return the data of a report: from a history, or kept, or kept rows with today's definition and facts."""
    if options.plans and not (options.history and options.run_id):
        hint = "name the history and the run: --history, --run-id"
        raise PipelineError("a plan is that of one run", where=str(options.plans[0]), hint=hint)
    if options.history:
        return _from_history(context, options, options.history)
    kept = _kept_beside(options.definition)
    if not options.is_refreshed:
        return kept
    scope = _scope(options, *_read(context, options))
    return _assemble(context, options, scope, (kept.rows, kept.previous), (*kept.awaited, *kept.left_out))


def drift(kept: Path, new: Path, *, tolerance: float) -> str:
    """Return the figures of a kept report that a new one does not reproduce, as text; an empty text when there are none."""
    return render.moved_table(analyse.drift(_kept(kept), _kept(new), tolerance=tolerance))


def _kept_beside(definition: Path) -> ReportData:
    path = definition.with_suffix("") / "data.json"
    if path.is_file():
        return _kept(path)
    read(definition)  # raises FileError where the definition itself is missing
    hint = "name a history: --history URL"
    raise PipelineError("no kept data for this report", where=str(path), hint=hint)


def _kept(path: Path) -> ReportData:
    return ReportData.from_json(read(path), where=str(path))


def _from_history(context: Context, options: ReportOptions, history: str) -> ReportData:
    definition, known = _read(context, options)
    planned = {job.recipe.id: job.recipe for path in options.plans for job in read_plan(path).jobs}
    own = report_rows.recipes_of_run(history, options.run_id, definition.select, planned)
    scope = _scope(options, definition, known, own)
    awaited = scope.awaited(planned)
    rows = report_rows.rows_of_run(history, scope.recipes, options.run_id, awaited if options.plans else None)
    if not rows[0] and not awaited:
        hint = "ingest one first: python -m pipeline ingest DIR --history URL"
        raise PipelineError("the history has no run of these recipes", where=history, hint=hint)
    return _assemble(context, options, scope, rows, planned)


def _read(context: Context, options: ReportOptions) -> tuple[Definition, RecipeSet]:
    path, recipe_set = options.definition, read_recipe_set(context)
    return study.definition(path, read(path), recipe_set.catalogue), recipe_set


def _scope(
    options: ReportOptions, definition: Definition, known: RecipeSet, own: Sequence[Recipe] = ()
) -> report_scope.ReportScope:
    recipes = report_scope.selected(definition, known.recipes, own, known.catalogue.llms)
    return report_scope.ReportScope(options.definition.stem, definition, known.catalogue, recipes)


def _assemble(
    context: Context,
    options: ReportOptions,
    scope: report_scope.ReportScope,
    rows: RowPair,
    in_plans: Collection[str],
) -> ReportData:
    files = sorted((context.recipes / "timing").glob("*.json"))
    timings = (Timing.from_json(read(path), where=str(path)) for path in files)
    comparison, folder = scope.definition.comparison, options.definition.parent
    published = comparison.published if comparison else ()
    studies = [read_study(folder / path, scope.catalogue) for path in published]
    timing = report_scope.timing_of(rows[0], timings)
    return scope.data(rows, timing=timing, studies=studies, in_plans=in_plans)
