"""iso, lint, compare: what curves, published tables and histories say beside one another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import analyse, render
from pipeline.analyse.iso import Knots
from pipeline.analyse.readings import read_curves
from pipeline.errors import PipelineError
from pipeline.flow.published import read_tables
from pipeline.flow.recipes import read_book
from pipeline.flow.world import World, read, recipes_root
from pipeline.load import tables
from pipeline.schema.catalogue import Catalogue, Sku
from pipeline.schema.comparing import Reading
from pipeline.schema.lint import Linted
from pipeline.schema.published import CostMode
from pipeline.schema.report import ReportData

THROUGHPUT = "total_tok_s_gpu"


@dataclass(frozen=True, slots=True)
class IsoWish:
    """What the command line asked for: ``cost`` null = not asked."""

    csv: Path
    at: tuple[float, ...]
    x: str
    y: str
    cost: CostMode | None
    tier: str
    gap: float


def iso(world: World, wish: IsoWish, *, as_json: bool) -> str:
    """Readings of every SKU of a CSV at each interactivity."""
    catalogue = _catalogue(world)
    spots = tables.spots(read(wish.csv).decode("utf-8", errors="replace"), where=str(wish.csv), x=wish.x, y=wish.y)
    curves: dict[str, list[tables.Spot]] = {}
    for spot in spots:
        known = catalogue.sku(spot.sku) if catalogue else None
        curves.setdefault(known.id if known else spot.sku, []).append(spot)
    knots = {sku: Knots.of((spot.x, spot.y) for spot in found) for sku, found in curves.items()}
    for sku, found in curves.items():
        _say_dominated(world, wish, sku, found, knots[sku])
    mode = wish.cost or "derived"
    is_throughput = wish.y == THROUGHPUT
    if wish.cost and not is_throughput:
        raise PipelineError(f"cost is of {THROUGHPUT}, not of {wish.y}", hint=f"leave out --cost, or read --y {THROUGHPUT}")
    prices = {sku: usd for sku in knots if (usd := _price(catalogue, sku, wish.tier)) is not None} if is_throughput else {}
    readings = read_curves(knots, wish.at, prices, mode)
    if as_json:
        return json.dumps(_iso_json(wish, readings, prices), indent=1) + "\n"
    return render.iso_readings(readings, x=wish.x, y=wish.y, cost=mode if prices else None, gap=wish.gap)


def lint(world: World, paths: Sequence[Path], tier: str) -> list[Linted]:
    """What the linter finds in each study or table."""
    catalogue = read_book(world).catalogue
    return [analyse.lint(read_tables(path, catalogue, tier)) for path in paths]


def lint_report(out: Path) -> Linted:
    """What the linter finds in the tables of a report that was just rendered into ``out``."""
    path = out / "data.json"
    data = ReportData.from_json(read(path), where=str(path))
    return analyse.lint(render.printed(analyse.analyse(data), data))


def _iso_json(wish: IsoWish, readings: Sequence[Reading], prices: dict[str, float]) -> dict[str, Any]:
    fields = {"sku", "interactivity", "total_tok_s_gpu", *(["usd_per_mtok"] if wish.cost else [])}
    answer: dict[str, Any] = {"rows": [one.model_dump(include=fields) for one in readings]}
    if (wish.x, wish.y) != ("interactivity", THROUGHPUT):
        answer["columns"] = {"interactivity": wish.x, THROUGHPUT: wish.y}
    if wish.cost:
        answer["cost"] = {"mode": wish.cost, "tier": wish.tier, "usd_per_gpu_hour": prices}
    wide = [one for one in readings if one.gap is not None and one.gap > wish.gap]
    answer["directional"] = [{"sku": one.sku, "interactivity": one.interactivity, "gap": one.gap} for one in wide]
    return answer


def _say_dominated(world: World, wish: IsoWish, sku: str, found: Sequence[tables.Spot], knots: Knots) -> None:
    kept = set(zip(knots.x, knots.y, strict=True))
    seen: set[tuple[float, float]] = set()
    for spot in found:
        place = (spot.x, spot.y)
        if place not in kept or place in seen:
            why = "the same point twice" if place in seen else "dominated: another point has as much of both"
            world.say(f"{wish.csv}:{spot.line}: {sku} at {spot.x:g} is left out, {why}")
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
