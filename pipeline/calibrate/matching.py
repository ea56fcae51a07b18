"""Given points, each with the recipe that deploys its shape at its concurrency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.calibrate.points import GivenPoint
from pipeline.calibrate.rows import Row
from pipeline.deployment.closed_loop import RequestLengths
from pipeline.errors import Problem, RecipeError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.recipe import Recipe

ONE = "a timing document is for one LLM and precision: calibrate each on its own"
Draw = Callable[[Recipe, int], RequestLengths]  # request lengths of a recipe at a concurrency


def match(
    points: Sequence[GivenPoint], recipes: Iterable[Recipe], catalogue: Catalogue, draw: Draw, *, where: str
) -> list[Row]:
    """Return one row per point; RecipeError with every point that has no single recipe, at its line.

    All points are of one LLM and precision, since a timing document is.
    """
    known = list(recipes)
    matched = [_match(point, known, catalogue, draw, where) for point in points]
    problems = [one for one in matched if isinstance(one, Problem)]
    first = points[0]
    problems += [
        Problem(
            where,
            one.line,
            1,
            f"{one.model} in {one.precision} beside {first.model} in {first.precision}",
            ONE,
        )
        for one in points
        if (one.model, one.precision) != (first.model, first.precision)
    ]
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
    found = [one for one in recipes if point.is_of(one, sku.id)]
    found = [one for one in found if one.id == point.recipe] or found
    if len(found) != 1:
        return _unpaired(point, sku.id, [one.id for one in found], where)
    recipe = found[0]
    tokens = draw(recipe, point.conc)
    return Row(recipe, sku.hbm_tb_s, point.conc, point.total_tok_s_gpu, point.tpot_ms, tokens, point.ttft_ms)


def _unpaired(point: GivenPoint, sku: str, found: Sequence[str], where: str) -> Problem:
    """Return the problem of a point that no recipe deploys, or several do."""
    prefill, decode = point.prefill, point.decode
    shape = f"{prefill.workers} x {prefill.shape} + {decode.workers} x {decode.shape}"
    what = f"{point.model} in {point.precision}, {shape}, {point.isl}/{point.osl} tokens, "
    what += f"at {point.conc} on {sku}"
    if not found:
        return Problem(where, point.line, 1, f"no recipe deploys {what}", "write the recipe first")
    hint = f"name one of them in `recipe` of a study's row: {', '.join(found)}"
    return Problem(where, point.line, 1, f"several recipes deploy {what}", hint)
