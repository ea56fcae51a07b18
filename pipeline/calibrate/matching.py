"""Given points, each with the recipe that deploys its shape at its concurrency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.calibrate.points import GivenPoint
from pipeline.calibrate.rows import Row
from pipeline.calibrate.surrogate import RequestLengths
from pipeline.errors import Problem, RecipeError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.recipe import Recipe

Draw = Callable[[Recipe, int], RequestLengths]  # request lengths of a recipe at a concurrency


def match(
    points: Sequence[GivenPoint], recipes: Iterable[Recipe], catalogue: Catalogue, draw: Draw, *, where: str
) -> list[Row]:
    """Return one row per point; RecipeError with every point of an unknown SKU or without a recipe, at its line."""
    known = list(recipes)
    matched = [_match(point, known, catalogue, draw, where) for point in points]
    problems = [one for one in matched if isinstance(one, Problem)]
    if problems:
        raise RecipeError(problems)
    return [one for one in matched if isinstance(one, Row)]


def _match(
    point: GivenPoint, recipes: Sequence[Recipe], catalogue: Catalogue, draw: Draw, where: str
) -> Row | Problem:
    sku = catalogue.sku(point.sku)
    if sku is None:
        hint = f"known: {', '.join(sorted(catalogue.skus))}"
        return Problem(where, point.line, 1, f"unknown SKU {point.sku!r}", hint)
    recipe = next((one for one in recipes if point.is_of(one, sku.id)), None)
    if recipe is None:
        prefill, decode = point.prefill, point.decode
        shape = f"{prefill.workers} x {prefill.shape} + {decode.workers} x {decode.shape}"
        what = f"no recipe deploys {shape} at {point.conc} on {sku.id}"
        return Problem(where, point.line, 1, what, "write the recipe first")
    tokens = draw(recipe, point.conc)
    return Row(recipe, sku.hbm_tb_s, point.conc, point.total_tok_s_gpu, point.tpot_ms, tokens)
