"""show and fit: what a recipe is, starts and needs, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from pipeline import render
from pipeline.deployment import layout
from pipeline.flow.context import Context
from pipeline.flow.recipes import read_recipe_set
from pipeline.launch import dynamo
from pipeline.load import scope, select
from pipeline.schema.recipe import Recipe


def show(
    context: Context, name: str, how: Literal["resolved", "commands", "origin"], *, as_json: bool
) -> str:
    """A recipe resolved, with the place of each value, or as the processes that it starts on its rack."""
    recipe_set = read_recipe_set(context)
    recipe = select.one_recipe(recipe_set.recipes, name)
    if how == "origin":
        leaves = [(path, value, str(mark)) for path, value, mark in recipe_set.origins(recipe.id)]
        if as_json:
            return (
                json.dumps(
                    [{"field": path, "value": value, "place": place} for path, value, place in leaves],
                    indent=1,
                )
                + "\n"
            )
        width = max(len(path) for path, _, _ in leaves)
        return "".join(
            f"{path:<{width}}  {json.dumps(value, ensure_ascii=False)}  ({place})\n"
            for path, value, place in leaves
        )
    if how == "commands":
        placed = layout.place(recipe, recipe_set.catalogue.skus[recipe.sku].gpus_per_tray)
        commands = dynamo.commands(
            recipe,
            served_name=recipe_set.catalogue.llms[recipe.model].served_name,
            model_path="/model",
            layout=placed,
        )
        if as_json:
            fields = ("name", "role", "tray", "argv", "env")
            return (
                json.dumps([{field: getattr(one, field) for field in fields} for one in commands], indent=1)
                + "\n"
            )
        return dynamo.describe(commands)
    return recipe.to_json() if as_json else _summary(recipe) + recipe.to_json()


def fit(context: Context, names: Sequence[str], sku: str | None, *, as_json: bool) -> tuple[str, bool]:
    """HBM of each recipe's roles, and whether all of them fit; an unknown capacity does not count against them."""
    recipe_set = read_recipe_set(context)
    judged = [
        (recipe, scope.hbm_of(recipe_set, recipe, sku))
        for recipe in select.matching(recipe_set.recipes, names)
    ]
    fits = all(hbm.verdict != "does not fit" for _, roles in judged for hbm in roles or ())
    if as_json:
        derived = ("weights_gb", "budget_gb", "kv_budget_gb", "headroom_gb", "max_sequences", "verdict")
        rows = [
            {
                "recipe": recipe.id,
                "sku": sku or recipe.sku,
                **hbm.model_dump(),
                **{field: getattr(hbm, field) for field in derived},
            }
            for recipe, roles in judged
            for hbm in roles or ()
        ]
        return json.dumps(rows, indent=1) + "\n", fits
    return render.fit_table([(recipe.id, sku or recipe.sku, roles) for recipe, roles in judged]), fits


def _summary(recipe: Recipe) -> str:
    return f"# {recipe.id}: {recipe.title} · {recipe.shape} · {recipe.gpus_counted} GPUs · digest {recipe.deployment_digest[:12]}\n"
