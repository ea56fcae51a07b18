"""iso, lint, compare: curves of a CSV, published tables, and two SKUs, runs, recipes or images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import analyse, render, store
from pipeline.analyse import csv_curves
from pipeline.analyse.sides import ReadingOptions
from pipeline.analyse.subjects import Subjects
from pipeline.errors import PipelineError
from pipeline.flow.context import Context, read, recipes_root
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import select, study, tables
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.compare import SideBySide
from pipeline.schema.csv_iso import CsvIso
from pipeline.schema.lint import LintReport
from pipeline.schema.report import ReportData


def iso(context: Context, csv: Path, request: csv_curves.IsoRequest) -> CsvIso:
    """Read the frontier of every SKU of a CSV; log the points that are not on it."""
    catalogue = _catalogue(context)
    text, where = read(csv).decode("utf-8", errors="replace"), str(csv)
    csv_points = tables.csv_points(text, where=where, x=request.x, y=request.y)
    columns = tables.header(text)
    ranked_by, _ = csv_curves.ranking(request, columns)
    ranks = tables.csv_points(text, where=where, x=request.x, y=ranked_by)
    points = [
        csv_curves.RankedPoint(point.line, point.sku, point.x, point.y, rank.y)
        for point, rank in zip(csv_points, ranks, strict=True)
    ]
    answer = csv_curves.read_csv(request, points, columns, catalogue)
    for one in answer.left_out:
        context.log(render.left_out(csv, one))
    return answer


def lint(context: Context, paths: Sequence[Path], tier: str) -> list[LintReport]:
    """Return what the linter finds in each study or table."""
    catalogue = read_recipe_set(context).catalogue
    contents = [(path, read(path)) for path in paths]
    return [
        analyse.lint(study.tables(path, content, catalogue, tier), study.unread_columns(path, content))
        for path, content in contents
    ]


def lint_report(out: Path) -> LintReport:
    """Return what the linter finds in the tables of a report that was just rendered into ``out``."""
    path = out / "data.json"
    data = ReportData.from_json(read(path), where=str(path))
    return analyse.lint(render.as_tables(analyse.analyse(data), data))


def compare(
    context: Context, names: tuple[str, str], history: str | None, reading: ReadingOptions
) -> SideBySide:
    """Compare two SKUs, runs, recipes or images; without a history only what recipes and SKUs say."""
    recipe_set = read_recipe_set(context)
    subjects = Subjects(
        recipe_set.catalogue, recipe_set.recipes, store.rows(history) if history else (), history
    )
    a, b = (select.find_recipe(recipe_set.recipes, name) for name in names)
    kind, sides = subjects.pair(names, (a, b))
    return analyse.side_by_side(kind, sides, recipe_set.catalogue.skus, reading)


def _catalogue(context: Context) -> Catalogue | None:
    """Return the SKUs of the recipes around here; None where there are no recipes."""
    try:
        root = recipes_root(context.recipes)
    except PipelineError:
        context.log("no recipes folder here: SKU names are kept as written, and none has a price")
        return None
    return read_recipe_set(replace(context, recipes=root)).catalogue
