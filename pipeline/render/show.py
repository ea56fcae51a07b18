"""Recipes on a terminal and as JSON: where each value came from, what is started, and whether it fits into HBM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.render.fit import fit_table
from pipeline.schema.hbm import RecipeFit
from pipeline.schema.recipe import Recipe

HBM_DERIVED = (
    "weights_gb",
    "other_gb",
    "budget_gb",
    "kv_budget_gb",
    "sequence_gb",
    "longest_gb",
    "running",
    "kv_gb",
    "headroom_gb",
    "max_sequences",
)


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
    accepted = f"# may exceed HBM by the estimate; accepted: {recipe.fit.accept}\n" if recipe.fit else ""
    return f"# {recipe.id}: {' · '.join(facts)}\n{accepted}{recipe.to_json()}"


def fit_text(recipes: Sequence[RecipeFit], *, as_json: bool) -> str:
    """Return the HBM of each recipe's roles as a table with notes, or as JSON."""
    if not as_json:
        return fit_table(recipes)
    rows = [
        {
            "recipe": one.recipe,
            "sku": one.sku,
            "verdict": role.hbm.verdict,
            **role.hbm.model_dump(),
            **{field: getattr(role.hbm, field) for field in HBM_DERIVED},
            "better": role.better,
        }
        for one in recipes
        for role in one.roles or ()
    ]
    return json.dumps(rows, indent=1) + "\n"
