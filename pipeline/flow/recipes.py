"""validate, schema, rules: the recipes folder, and its recipes for other verbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import load
from pipeline.deployment import layout
from pipeline.errors import PipelineError, Problem, RecipeError
from pipeline.flow.context import Context, texts, write
from pipeline.flow.timing_files import timing_problems
from pipeline.launch import dynamo
from pipeline.launch.addresses import Addresses
from pipeline.load import RecipeSet, scope
from pipeline.load.rules import page
from pipeline.schema.editors import schemas
from pipeline.schema.recipe import Recipe


def validate(context: Context, paths: Sequence[Path]) -> list[Problem]:
    """Return every problem of all recipes, or of these files and folders; paths are relative to the current folder."""
    files = texts(context.recipes)
    recipe_set, found = load.examine(files)
    problems = sorted({*found, *scope.unfit(recipe_set), *timing_problems(context, recipe_set)})
    if missing := next((path for path in paths if not path.exists()), None):
        hint = "name a file or folder below recipes/"
        raise PipelineError("no such file", where=str(missing.resolve()), hint=hint)
    if paths:
        resolved = [path.resolve() for path in paths]
        problems = scope.concerning(problems, resolved, root=context.recipes.resolve(), files=files)
    return [_from_here(context, one) for one in problems]


def read_recipe_set(context: Context) -> RecipeSet:
    """Return the recipes, or raise RecipeError with paths relative to the current folder."""
    try:
        return load.read(texts(context.recipes))
    except RecipeError as error:
        raise RecipeError([_from_here(context, one) for one in error.problems]) from error


def commands_of(recipe_set: RecipeSet, recipe: Recipe) -> tuple[dynamo.Command, ...]:
    """Return the processes that a recipe starts on its rack; its model is at ``/model``."""
    catalogue = recipe_set.catalogue
    return dynamo.commands(
        recipe,
        served_name=catalogue.llms[recipe.model].served_name,
        model_path="/model",
        addresses=Addresses(layout.place(recipe, catalogue.skus[recipe.sku].gpus_per_tray)),
        vllm=catalogue.engine("vllm", recipe),
    )


def write_schemas(context: Context, *, check: bool) -> list[str]:
    """Write the JSON Schemas that are not up to date and return their paths; with ``check`` write none."""
    stale = []
    for name, text in schemas().items():
        path = context.recipes / "schema" / name
        if not is_fresh(path, text):
            stale.append(str(path))
            if not check:
                write(path, text)
    return stale


def rules_page() -> str:
    """Return docs/rules.md: what ``validate`` holds against each other."""
    return page()


def is_fresh(path: Path, text: str) -> bool:
    """Return whether a file holds a text."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _from_here(context: Context, problem: Problem) -> Problem:
    """Return the same problem with a path that the caller can open."""
    path = context.recipes / problem.path
    shown = path.resolve().relative_to(Path.cwd()) if path.resolve().is_relative_to(Path.cwd()) else path
    return replace(problem, path=shown.as_posix())
