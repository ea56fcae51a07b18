"""Limits of one scheduler (a data-parallel rank, or a whole TP group) as the recipe states them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.deployment.settings import setting
from pipeline.errors import MeasureError
from pipeline.schema.recipe import Recipe, Role

# vLLM options that a simulator needs, each with the field of ``simulate.ROLE`` that counts where the flag is
# not set. None: there is no such field, and the flag must be set.
SIMULATE_FIELDS: Mapping[str, str | None] = {
    "max-num-seqs": "max_num_seqs",
    "max-num-batched-tokens": "max_num_batched_tokens",
    "gpu-memory-utilization": None,
    "block-size": None,
}


def max_num_seqs(recipe: Recipe, role: Role) -> int:
    """Return the sequences that one scheduler may run at once."""
    return int(_stated(recipe, role, "max-num-seqs"))


def max_num_batched_tokens(recipe: Recipe, role: Role) -> int:
    """Return the tokens that one scheduler may batch in a step."""
    return int(_stated(recipe, role, "max-num-batched-tokens"))


def gpu_memory_utilization(recipe: Recipe, role: Role) -> float:
    """Return the share of the HBM of a GPU that vLLM may use."""
    return float(_stated(recipe, role, "gpu-memory-utilization"))


def block_size(recipe: Recipe, role: Role) -> int:
    """Return the tokens of one KV block."""
    return int(_stated(recipe, role, "block-size"))


def mean_lengths(recipe: Recipe) -> tuple[float, float]:
    """Return the mean input and output tokens of a request."""
    mean = (1 + recipe.client.shortest) / 2
    return recipe.workload.isl * mean, recipe.workload.osl * mean


def missing(recipe: Recipe, role: Role) -> tuple[str, ...]:
    """Return the options that a simulator needs, and that neither flags nor ``simulate`` state for a role."""
    return tuple(name for name in SIMULATE_FIELDS if _value(recipe, role, name) is None)


def how_to_state(role: Role, name: str) -> str:
    """Return where a recipe states an option, as advice to its author."""
    advice = f"set it in {role}.flags"
    if SIMULATE_FIELDS[name] is not None:
        advice += f", or declare vLLM's default under simulate.{role}"
    return advice


def _stated(recipe: Recipe, role: Role, name: str) -> Any:
    value = _value(recipe, role, name)
    if value is None:
        raise MeasureError(f"{role} does not state {name}", where=recipe.id, hint=how_to_state(role, name))
    return value


def _value(recipe: Recipe, role: Role, name: str) -> Any:
    """Return the flag, else the value under ``simulate``, else None."""
    value, field = setting(recipe.pools[role], name), SIMULATE_FIELDS[name]
    return getattr(getattr(recipe.simulate, role), field) if value is None and field else value
