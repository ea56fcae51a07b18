"""Limits of one scheduler (a data-parallel rank of a worker, or a whole TP group) as the recipe states them."""

from __future__ import annotations

from typing import Any

from pipeline.errors import MeasureError
from pipeline.schema.recipe import Recipe, Role


def max_num_seqs(recipe: Recipe, role: Role) -> int:
    """Return the sequences that one scheduler may run: the flag, else the value declared under ``simulate``."""
    return int(stated(recipe, role, "max-num-seqs", getattr(recipe.simulate, role).max_num_seqs))


def max_num_batched_tokens(recipe: Recipe, role: Role) -> int:
    """Return the tokens that one scheduler may batch in a step: the flag, else the value under ``simulate``."""
    declared = getattr(recipe.simulate, role).max_num_batched_tokens
    return int(stated(recipe, role, "max-num-batched-tokens", declared))


def block_size(recipe: Recipe, role: Role) -> int:
    """Return the tokens of one KV block."""
    return int(stated(recipe, role, "block-size"))


def mean_lengths(recipe: Recipe) -> tuple[float, float]:
    """Return the mean input and output tokens of a request."""
    mean = (1 + recipe.client.shortest) / 2
    return recipe.workload.isl * mean, recipe.workload.osl * mean


def stated(recipe: Recipe, role: Role, name: str, declared: Any = None) -> Any:
    """Return the value of a vLLM option of a role, else ``declared``; MeasureError when neither is given."""
    value = recipe.pools[role].flags.get(name, declared)
    if value is None:
        hint = f"state it in {role}.flags, or declare it under simulate.{role}"
        raise MeasureError(f"{role} of {recipe.id} does not state {name}", hint=hint)
    return value
