"""iso, lint, compare: what curves, published tables and histories say beside one another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline import analyse, render, store
from pipeline.analyse.frontier import Better, Way, frontier
from pipeline.analyse.iso import Knots
from pipeline.analyse.readings import read_curves
from pipeline.analyse.sides import ComparedSide, Kind, ReadingOptions
from pipeline.errors import PipelineError
from pipeline.flow.context import Context, read, recipes_root
from pipeline.flow.recipes import one_recipe, read_recipe_set
from pipeline.load import RecipeSet, study, tables
from pipeline.schema.catalogue import Catalogue, Sku
from pipeline.schema.claims import CostMode
from pipeline.schema.compare import Reading, SideBySide
from pipeline.schema.history import HistoryRow
from pipeline.schema.lint import LintReport
from pipeline.schema.report import ReportData

THROUGHPUT = "total_tok_s_gpu"


@dataclass(frozen=True, slots=True)
class IsoOptions:
    """What the command line asked for: ``cost`` null = not asked; ``better`` null = by the names of the columns."""

    csv: Path
    at: tuple[float, ...]
    x: str
    y: str
    cost: CostMode | None
    tier: str
    gap: float
    better: Better | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A point and its ordinate on the frontier, which need not be the column that is read."""

    csv_point: tables.CsvPoint
    rank: float


def iso(context: Context, options: IsoOptions, *, as_json: bool) -> str:
    """Readings of every SKU of a CSV at each interactivity."""
    catalogue = _catalogue(context)
    column, better, points = _ranked(options)
    curves: dict[str, list[Ranked]] = {}
    for one in points:
        known = catalogue.sku(one.csv_point.sku) if catalogue else None
        curves.setdefault(known.id if known else one.csv_point.sku, []).append(one)
    knots = {}
    for sku, found in curves.items():
        kept = frontier(found, x=lambda one: one.csv_point.x, y=lambda one: one.rank, better=better)
        knots[sku] = Knots(tuple(one.csv_point.x for one in kept), tuple(one.csv_point.y for one in kept))
        _say_dominated(context, options, sku, found, kept)
    mode = options.cost or "derived"
    is_throughput = options.y == THROUGHPUT
    if options.cost and not is_throughput:
        raise PipelineError(
            f"cost is of {THROUGHPUT}, not of {options.y}", hint=f"leave out --cost, or read --y {THROUGHPUT}"
        )
    prices = (
        {sku: usd for sku in knots if (usd := _price(catalogue, sku, options.tier)) is not None}
        if is_throughput
        else {}
    )
    readings = read_curves(knots, options.at, prices, mode)
    if as_json:
        return json.dumps(_iso_json(options, readings, prices, column, better), indent=1) + "\n"
    said = render.iso_readings(
        readings, x=options.x, y=options.y, cost=mode if prices else None, gap=options.gap
    )
    return said if _is_usual(options) else f"{said}frontier: {better[0]} {options.x}, {better[1]} {column}\n"


def lint(context: Context, paths: Sequence[Path], tier: str) -> list[LintReport]:
    """What the linter finds in each study or table."""
    catalogue = read_recipe_set(context).catalogue
    contents = [(path, read(path)) for path in paths]
    return [
        analyse.lint(study.tables(path, content, catalogue, tier), study.unread_columns(path, content))
        for path, content in contents
    ]


def lint_report(out: Path) -> LintReport:
    """What the linter finds in the tables of a report that was just rendered into ``out``."""
    path = out / "data.json"
    data = ReportData.from_json(read(path), where=str(path))
    return analyse.lint(render.as_tables(analyse.analyse(data), data))


def compare(
    context: Context, names: tuple[str, str], history: str | None, reading: ReadingOptions
) -> SideBySide:
    """Two SKUs, runs, recipes or images; without a history only what recipes and SKUs say."""
    recipe_set = read_recipe_set(context)
    rows = store.rows(history) if history else ()
    known = [_meanings(recipe_set, name, rows) for name in names]
    for name, meanings in zip(names, known, strict=True):
        if not meanings:
            where = (
                f", and no run or image of {history}" if history else "; runs and images need --history URL"
            )
            raise PipelineError(
                f"{name!r} is no SKU or recipe of this checkout{where}", hint=_near(recipe_set, name, rows)
            )
    kind = next((kind for kind in known[0] if kind in known[1]), None)
    if kind is None:
        said = " and ".join(
            f"{name} is one of the {next(iter(found))}" for name, found in zip(names, known, strict=True)
        )
        raise PipelineError(
            f"{said}: they cannot be compared", hint="name two SKUs, two runs, two recipes or two images"
        )
    return analyse.side_by_side(kind, (known[0][kind], known[1][kind]), recipe_set.catalogue.skus, reading)


def _meanings(recipe_set: RecipeSet, name: str, rows: Sequence[HistoryRow]) -> dict[Kind, ComparedSide]:
    """Everything that a name stands for."""
    found: dict[Kind, ComparedSide] = {}
    if sku := recipe_set.catalogue.sku(name):
        own = analyse.newest(row for row in rows if row.record.job.recipe.sku == sku.id)
        found["SKUs"] = ComparedSide(sku.title, own, sku=sku)
    with suppress(PipelineError):
        recipe = one_recipe(recipe_set, name)
        own = analyse.newest(row for row in rows if row.record.job.recipe.id in (recipe.id, *recipe.was))
        found["recipes"] = ComparedSide(recipe.id, own, recipe=recipe)
    if run := tuple(row for row in rows if row.run[0] == name):
        found["runs"] = ComparedSide(name, run)
    if name in _images(rows):
        found["images"] = ComparedSide(
            name, analyse.newest(row for row in rows if row.record.job.recipe.image == name)
        )
    return found


def _near(recipe_set: RecipeSet, name: str, rows: Sequence[HistoryRow]) -> str:
    """The nearest of everything that can be named; the SKUs where nothing is near."""
    skus = {alias.lower() for sku in recipe_set.catalogue.skus.values() for alias in (sku.id, *sku.aliases)}
    close = get_close_matches(
        name.lower(), [*skus, *recipe_set.recipes, *_images(rows), *(row.run[0] for row in rows)], n=1
    )
    return f"did you mean `{close[0]}`?" if close else f"SKUs: {', '.join(sorted(recipe_set.catalogue.skus))}"


def _images(rows: Iterable[HistoryRow]) -> set[str]:
    return {row.record.job.recipe.image for row in rows}


def _is_usual(options: IsoOptions) -> bool:
    return (options.x, options.y, options.better) == ("interactivity", THROUGHPUT, None)


def _iso_json(
    options: IsoOptions,
    readings: Sequence[Reading],
    prices: dict[str, float],
    column: str,
    better: Better,
) -> dict[str, Any]:
    fields = {"sku", "interactivity", "total_tok_s_gpu", *(["usd_per_mtok"] if options.cost else [])}
    answer: dict[str, Any] = {"rows": [one.model_dump(include=fields) for one in readings]}
    if not _is_usual(options):
        answer["columns"] = {"interactivity": options.x, THROUGHPUT: options.y}
        answer["frontier"] = {"of": [options.x, column], "better": list(better)}
    if options.cost:
        answer["cost"] = {"mode": options.cost, "tier": options.tier, "usd_per_gpu_hour": prices}
    wide = [one for one in readings if one.is_directional(options.gap)]
    answer["directional"] = [
        {"sku": one.sku, "interactivity": one.interactivity, "gap": one.gap} for one in wide
    ]
    return answer


def _ranked(options: IsoOptions) -> tuple[str, Better, list[Ranked]]:
    """The column that makes the frontier with x, which ways are good, and the points.

    That column is the throughput where the file has it and nothing else is asked for: what a deployment costs or how long it makes
    wait is read on the deployments that the throughput keeps.
    """
    text, where = read(options.csv).decode("utf-8", errors="replace"), str(options.csv)
    csv_points = tables.csv_points(text, where=where, x=options.x, y=options.y)
    if options.better or THROUGHPUT not in tables.header(text):
        return (
            options.y,
            options.better or (_way(options.x), _way(options.y)),
            [Ranked(csv_point, csv_point.y) for csv_point in csv_points],
        )
    ranks = tables.csv_points(text, where=where, x=options.x, y=THROUGHPUT)
    return (
        THROUGHPUT,
        (_way(options.x), "more"),
        [Ranked(csv_point, rank.y) for csv_point, rank in zip(csv_points, ranks, strict=True)],
    )


def _way(column: str) -> Way:
    """Less is better of costs and times, by the name of their column."""
    return "less" if column.startswith(("usd_", "ttft", "tpot")) or column.endswith("_ms") else "more"


def _say_dominated(
    context: Context, options: IsoOptions, sku: str, found: Sequence[Ranked], kept: Sequence[Ranked]
) -> None:
    places = {(one.csv_point.x, one.rank) for one in kept}
    seen: set[tuple[float, float]] = set()
    for one in found:
        place = (one.csv_point.x, one.rank)
        if not any(one is knot for knot in kept):
            why = (
                "the same point twice"
                if place in seen or place in places
                else "dominated: another point is as good in both"
            )
            context.log(
                f"{options.csv}:{one.csv_point.line}: {sku} at {one.csv_point.x:g} is left out, {why}"
            )
        seen.add(place)


def _price(catalogue: Catalogue | None, sku: str, tier: str) -> float | None:
    known: Sku | None = catalogue.skus.get(sku) if catalogue else None
    price = known.price(tier) if known else None
    return price.usd_per_gpu_hour if price else None


def _catalogue(context: Context) -> Catalogue | None:
    """SKUs of the recipes around here; without any, names stay as they are and nothing has a price."""
    try:
        root = recipes_root(context.recipes)
    except PipelineError:
        context.log("no recipes folder here: SKU names are kept as written, and none has a price")
        return None
    return read_recipe_set(replace(context, recipes=root)).catalogue
