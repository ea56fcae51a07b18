"""validate, show, fit, schema: what can be said of recipes without running them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import load
from pipeline.deployment import hbm as memory
from pipeline.errors import PipelineError, Problem, RecipeError
from pipeline.flow.context import Context, texts, write
from pipeline.load import RecipeSet, nearest
from pipeline.schema.editors import schemas
from pipeline.schema.plan import Hbm
from pipeline.schema.recipe import Recipe


def validate(context: Context, paths: Sequence[Path]) -> list[Problem]:
    """Every problem of all recipes, or of these files and folders; paths as the caller would type them."""
    recipe_set, problems = load.examine(texts(context.recipes))
    problems = sorted({*problems, *_unfit(recipe_set)})
    if paths:
        wanted = tuple(path.resolve() for path in paths)
        for path in wanted:
            if not path.exists():
                raise PipelineError(
                    "no such file", where=str(path), hint="name a file or folder below recipes/"
                )
        problems = _concerning(problems, wanted, context)
    return [_from_here(context, one) for one in problems]


def _concerning(problems: Iterable[Problem], wanted: Sequence[Path], context: Context) -> list[Problem]:
    """Problems in these files and folders, and in what recipes below them may inherit from or refer to."""
    root = context.recipes.resolve()
    read = [root / path for path in texts(root)]
    for path in wanted:
        if not any(file.is_relative_to(path) for file in read):
            raise PipelineError(
                "nothing here that validate reads",
                where=str(path),
                hint="it reads the YAML files below recipes/",
            )

    def concerns(file: Path) -> bool:
        is_shared = file.name.startswith("_") or file.parent.name == "models" or file.name == "skus.yaml"
        above = root if not file.name.startswith("_") else file.parent
        return any(file.is_relative_to(path) or (is_shared and path.is_relative_to(above)) for path in wanted)

    return [one for one in problems if concerns(root / one.path)]


def read_recipe_set(context: Context) -> RecipeSet:
    """The recipes, or RecipeError with paths as the caller would type them."""
    try:
        return load.read(texts(context.recipes))
    except RecipeError as error:
        raise RecipeError([_from_here(context, one) for one in error.problems]) from error


def judge(recipe_set: RecipeSet, recipe: Recipe, sku: str | None = None) -> tuple[Hbm, ...] | None:
    """HBM of both roles on the recipe's SKU, or on another."""
    if sku is None:
        return memory.estimate(
            recipe, recipe_set.catalogue.skus[recipe.sku], recipe_set.catalogue.llms[recipe.model]
        )
    found = recipe_set.catalogue.sku(sku)
    if found is None:
        raise PipelineError(f"unknown SKU {sku!r}", hint=nearest(sku, recipe_set.catalogue.skus))
    return memory.estimate(recipe, found, recipe_set.catalogue.llms[recipe.model])


def write_schemas(context: Context, *, check: bool) -> list[str]:
    """Write the JSON Schemas, or (check) only name those that are not fresh."""
    stale = []
    for name, text in schemas().items():
        path = context.recipes / "schema" / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path))
            if not check:
                write(path, text)
    return stale


def _unfit(recipe_set: RecipeSet) -> Iterable[Problem]:
    for recipe in recipe_set.recipes.values():
        for hbm in judge(recipe_set, recipe) or ():
            if hbm.verdict == "does not fit":
                sku, llm = recipe_set.catalogue.skus[recipe.sku], recipe_set.catalogue.llms[recipe.model]
                better = memory.narrowest(recipe, hbm.role, sku, llm)
                what = (
                    f"{hbm.role} {hbm.shape} does not fit {sku.id}: {hbm.weights_gb:.1f} GB of weights and {hbm.kv_gb:.1f} GB of KV"
                    f" in {hbm.budget_gb:.1f} GB (short of {-hbm.headroom_gb:.1f} GB)"
                )
                yield recipe_set.mark(recipe.id, hbm.role).problem(
                    what, f"{better} would fit" if better else "no width of it would fit"
                )


def _from_here(context: Context, problem: Problem) -> Problem:
    """The same problem with a path that the caller can open."""
    path = context.recipes / problem.path
    shown = path.resolve().relative_to(Path.cwd()) if path.resolve().is_relative_to(Path.cwd()) else path
    return Problem(shown.as_posix(), problem.line, problem.col, problem.what, problem.hint, problem.severity)
