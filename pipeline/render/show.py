"""Recipes on a terminal and as JSON: where each value came from, what is started, and whether it fits into HBM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.render.terminal import fit_table
from pipeline.schema.plan import Hbm
from pipeline.schema.recipe import Recipe

HBM_DERIVED = ("weights_gb", "budget_gb", "kv_budget_gb", "headroom_gb", "max_sequences", "verdict")
RecipeMemory = tuple[str, str, Sequence[Hbm] | None]  # recipe id, SKU, HBM of each role


def origins(leaves: Sequence[tuple[str, Any, str]], *, as_json: bool) -> str:
    """Return each value of a recipe with its dotted path and its place in the files.

    >>> print(origins([("prefill.tp", 4, "a.yaml:3:5"), ("conc", [1], "b.yaml:2:1")], as_json=False), end="")
    prefill.tp  4  (a.yaml:3:5)
    conc        [1]  (b.yaml:2:1)
    """
    if as_json:
        rows = [{"field": path, "value": value, "place": place} for path, value, place in leaves]
        return json.dumps(rows, indent=1) + "\n"
    width = max(len(path) for path, _, _ in leaves)
    return "".join(
        f"{path:<{width}}  {json.dumps(value, ensure_ascii=False)}  ({place})\n"
        for path, value, place in leaves
    )


def recipe_text(recipe: Recipe) -> str:
    """Return a resolved recipe below a line with its title, shape, GPUs and digest."""
    facts = (
        recipe.title,
        recipe.shape,
        f"{recipe.gpus_counted} GPUs",
        f"digest {recipe.deployment_digest[:12]}",
    )
    return f"# {recipe.id}: {' · '.join(facts)}\n{recipe.to_json()}"


def fit_text(recipes: Sequence[RecipeMemory], *, as_json: bool) -> str:
    """Return the HBM of each recipe's roles as a table or as JSON."""
    if not as_json:
        return fit_table(recipes)
    rows = [
        {
            "recipe": recipe,
            "sku": sku,
            **hbm.model_dump(),
            **{field: getattr(hbm, field) for field in HBM_DERIVED},
        }
        for recipe, sku, roles in recipes
        for hbm in roles or ()
    ]
    return json.dumps(rows, indent=1) + "\n"
