"""show and fit: what a recipe is, starts and needs, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from pipeline import render
from pipeline.flow.context import Context
from pipeline.flow.recipes import commands_of, read_recipe_set
from pipeline.launch import dynamo
from pipeline.load import RecipeSet, scope, select
from pipeline.schema.recipe import Recipe

FIELDS = ("name", "role", "tray", "argv", "env")  # of a process


def show(
    context: Context, name: str, how: Literal["resolved", "commands", "origin"], *, as_json: bool
) -> str:
    """Return a resolved recipe, with the place of each value, or the processes that it starts on its rack."""
    recipe_set = read_recipe_set(context)
    recipe = select.one_recipe(recipe_set.recipes, name)
    if how == "origin":
        leaves = [(path, value, str(mark)) for path, value, mark in recipe_set.origins(recipe.id)]
        return render.origins(leaves, as_json=as_json)
    if how == "commands":
        return _commands(recipe_set, recipe, as_json=as_json)
    return recipe.to_json() if as_json else render.recipe_text(recipe)


def _commands(recipe_set: RecipeSet, recipe: Recipe, *, as_json: bool) -> str:
    commands = commands_of(recipe_set, recipe)
    if not as_json:
        return dynamo.describe(commands)
    return json.dumps([{field: getattr(one, field) for field in FIELDS} for one in commands], indent=1) + "\n"


def fit(context: Context, names: Sequence[str], sku: str | None, *, as_json: bool) -> tuple[str, bool]:
    """Return the HBM of each recipe's roles, and whether all may run, which what is unknown or accepted may."""
    recipe_set = read_recipe_set(context)
    recipes = [scope.fit_of(recipe_set, recipe, sku) for recipe in select.matching(recipe_set.recipes, names)]
    goes_on = not any(role.hbm.stops for one in recipes for role in one.roles or ())
    return render.fit_text(recipes, as_json=as_json), goes_on
