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
from pipeline.analyse.sides import Kind, Reading, Side
from pipeline.errors import PipelineError
from pipeline.flow.published import read_tables, unread_columns
from pipeline.flow.recipes import one_recipe, read_book
from pipeline.flow.world import World, read, recipes_root
from pipeline.load import Book, tables
from pipeline.schema import comparing
from pipeline.schema.catalogue import Catalogue, Sku
from pipeline.schema.claims import CostMode
from pipeline.schema.comparing import SideBySide
from pipeline.schema.history import HistoryRow
from pipeline.schema.lint import Linted
from pipeline.schema.report import ReportData

THROUGHPUT = "total_tok_s_gpu"


@dataclass(frozen=True, slots=True)
class IsoWish:
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

    spot: tables.Spot
    rank: float


def iso(world: World, wish: IsoWish, *, as_json: bool) -> str:
    """Readings of every SKU of a CSV at each interactivity."""
    catalogue = _catalogue(world)
    column, better, points = _ranked(wish)
    curves: dict[str, list[Ranked]] = {}
    for one in points:
        known = catalogue.sku(one.spot.sku) if catalogue else None
        curves.setdefault(known.id if known else one.spot.sku, []).append(one)
    knots = {}
    for sku, found in curves.items():
        kept = frontier(found, x=lambda one: one.spot.x, y=lambda one: one.rank, better=better)
        knots[sku] = Knots(tuple(one.spot.x for one in kept), tuple(one.spot.y for one in kept))
        _say_dominated(world, wish, sku, found, kept)
    mode = wish.cost or "derived"
    is_throughput = wish.y == THROUGHPUT
    if wish.cost and not is_throughput:
        raise PipelineError(
            f"cost is of {THROUGHPUT}, not of {wish.y}", hint=f"leave out --cost, or read --y {THROUGHPUT}"
        )
    prices = (
        {sku: usd for sku in knots if (usd := _price(catalogue, sku, wish.tier)) is not None}
        if is_throughput
        else {}
    )
    readings = read_curves(knots, wish.at, prices, mode)
    if as_json:
        return json.dumps(_iso_json(wish, readings, prices, column, better), indent=1) + "\n"
    said = render.iso_readings(readings, x=wish.x, y=wish.y, cost=mode if prices else None, gap=wish.gap)
    return said if _is_usual(wish) else f"{said}frontier: {better[0]} {wish.x}, {better[1]} {column}\n"


def lint(world: World, paths: Sequence[Path], tier: str) -> list[Linted]:
    """What the linter finds in each study or table."""
    catalogue = read_book(world).catalogue
    return [analyse.lint(read_tables(path, catalogue, tier), unread_columns(path)) for path in paths]


def lint_report(out: Path) -> Linted:
    """What the linter finds in the tables of a report that was just rendered into ``out``."""
    path = out / "data.json"
    data = ReportData.from_json(read(path), where=str(path))
    return analyse.lint(render.printed(analyse.analyse(data), data))


def compare(world: World, names: tuple[str, str], history: str | None, reading: Reading) -> SideBySide:
    """Two SKUs, runs, recipes or images; without a history only what recipes and SKUs say."""
    book = read_book(world)
    rows = store.rows(history) if history else ()
    known = [_meanings(book, name, rows) for name in names]
    for name, meanings in zip(names, known, strict=True):
        if not meanings:
            where = (
                f", and no run or image of {history}" if history else "; runs and images need --history URL"
            )
            raise PipelineError(
                f"{name!r} is no SKU or recipe of this checkout{where}", hint=_near(book, name, rows)
            )
    kind = next((kind for kind in known[0] if kind in known[1]), None)
    if kind is None:
        said = " and ".join(
            f"{name} is one of the {next(iter(found))}" for name, found in zip(names, known, strict=True)
        )
        raise PipelineError(
            f"{said}: they cannot be compared", hint="name two SKUs, two runs, two recipes or two images"
        )
    return analyse.side_by_side(kind, (known[0][kind], known[1][kind]), book.catalogue.skus, reading)


def _meanings(book: Book, name: str, rows: Sequence[HistoryRow]) -> dict[Kind, Side]:
    """Everything that a name stands for."""
    found: dict[Kind, Side] = {}
    if sku := book.catalogue.sku(name):
        own = analyse.newest(row for row in rows if row.record.job.recipe.sku == sku.id)
        found["SKUs"] = Side(sku.title, own, sku=sku)
    with suppress(PipelineError):
        recipe = one_recipe(book, name)
        own = analyse.newest(row for row in rows if row.record.job.recipe.id in (recipe.id, *recipe.was))
        found["recipes"] = Side(recipe.id, own, recipe=recipe)
    if run := tuple(row for row in rows if row.run[0] == name):
        found["runs"] = Side(name, run)
    if name in _images(rows):
        found["images"] = Side(
            name, analyse.newest(row for row in rows if row.record.job.recipe.image == name)
        )
    return found


def _near(book: Book, name: str, rows: Sequence[HistoryRow]) -> str:
    """The nearest of everything that can be named; the SKUs where nothing is near."""
    skus = {alias.lower() for sku in book.catalogue.skus.values() for alias in (sku.id, *sku.aliases)}
    close = get_close_matches(
        name.lower(), [*skus, *book.recipes, *_images(rows), *(row.run[0] for row in rows)], n=1
    )
    return f"did you mean `{close[0]}`?" if close else f"SKUs: {', '.join(sorted(book.catalogue.skus))}"


def _images(rows: Iterable[HistoryRow]) -> set[str]:
    return {row.record.job.recipe.image for row in rows}


def _is_usual(wish: IsoWish) -> bool:
    return (wish.x, wish.y, wish.better) == ("interactivity", THROUGHPUT, None)


def _iso_json(
    wish: IsoWish,
    readings: Sequence[comparing.Reading],
    prices: dict[str, float],
    column: str,
    better: Better,
) -> dict[str, Any]:
    fields = {"sku", "interactivity", "total_tok_s_gpu", *(["usd_per_mtok"] if wish.cost else [])}
    answer: dict[str, Any] = {"rows": [one.model_dump(include=fields) for one in readings]}
    if not _is_usual(wish):
        answer["columns"] = {"interactivity": wish.x, THROUGHPUT: wish.y}
        answer["frontier"] = {"of": [wish.x, column], "better": list(better)}
    if wish.cost:
        answer["cost"] = {"mode": wish.cost, "tier": wish.tier, "usd_per_gpu_hour": prices}
    wide = [one for one in readings if one.is_directional(wish.gap)]
    answer["directional"] = [
        {"sku": one.sku, "interactivity": one.interactivity, "gap": one.gap} for one in wide
    ]
    return answer


def _ranked(wish: IsoWish) -> tuple[str, Better, list[Ranked]]:
    """The column that makes the frontier with x, which ways are good, and the points.

    That column is the throughput where the file has it and nothing else is asked for: what a deployment costs or how long it makes
    wait is read on the deployments that the throughput keeps.
    """
    text, where = read(wish.csv).decode("utf-8", errors="replace"), str(wish.csv)
    spots = tables.spots(text, where=where, x=wish.x, y=wish.y)
    if wish.better or THROUGHPUT not in tables.header(text):
        return wish.y, wish.better or (_way(wish.x), _way(wish.y)), [Ranked(spot, spot.y) for spot in spots]
    ranks = tables.spots(text, where=where, x=wish.x, y=THROUGHPUT)
    return (
        THROUGHPUT,
        (_way(wish.x), "more"),
        [Ranked(spot, rank.y) for spot, rank in zip(spots, ranks, strict=True)],
    )


def _way(column: str) -> Way:
    """Less is better of costs and times, by the name of their column."""
    return "less" if column.startswith(("usd_", "ttft", "tpot")) or column.endswith("_ms") else "more"


def _say_dominated(
    world: World, wish: IsoWish, sku: str, found: Sequence[Ranked], kept: Sequence[Ranked]
) -> None:
    places = {(one.spot.x, one.rank) for one in kept}
    seen: set[tuple[float, float]] = set()
    for one in found:
        place = (one.spot.x, one.rank)
        if not any(one is knot for knot in kept):
            why = (
                "the same point twice"
                if place in seen or place in places
                else "dominated: another point is as good in both"
            )
            world.say(f"{wish.csv}:{one.spot.line}: {sku} at {one.spot.x:g} is left out, {why}")
        seen.add(place)


def _price(catalogue: Catalogue | None, sku: str, tier: str) -> float | None:
    known: Sku | None = catalogue.skus.get(sku) if catalogue else None
    price = known.price(tier) if known else None
    return price.usd_per_gpu_hour if price else None


def _catalogue(world: World) -> Catalogue | None:
    """SKUs of the recipes around here; without any, names stay as they are and nothing has a price."""
    try:
        root = recipes_root(world.recipes)
    except PipelineError:
        world.say("no recipes folder here: SKU names are kept as written, and none has a price")
        return None
    return read_book(replace(world, recipes=root)).catalogue
