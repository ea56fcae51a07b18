"""HBM of assumed worker shapes on several SKUs, with the same settings on each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.deployment import hbm
from pipeline.deployment.settings import setting
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.recipe import Pool, Recipe
from pipeline.schema.sku_comparison import FitAssumptions, ShapeFit


def shape_fits(
    recipe: Recipe, skus: Sequence[Sku], llm: Llm, assumed: FitAssumptions
) -> tuple[ShapeFit, ...]:
    """Return the HBM of both roles for each assumed shape and SKU, with lengths and precision of a recipe."""
    return tuple(
        one for shape in assumed.shapes for sku in skus for one in _fits(recipe, shape, sku, llm, assumed)
    )


def _fits(recipe: Recipe, shape: str, sku: Sku, llm: Llm, assumed: FitAssumptions) -> Iterator[ShapeFit]:
    """Yield both roles of a shape; none where the KV cache of the recipe's LLM is unknown."""
    prefill = _pool(shape, assumed.prefill_tokens, assumed, {"enforce-eager": True, **_kv_flags(recipe)})
    decode = _pool(shape, assumed.decode_tokens, assumed, _kv_flags(recipe))
    assumed_recipe = recipe.model_copy(update={"prefill": prefill, "decode": decode, "fit": None})
    for of_role in hbm.estimate(assumed_recipe, sku, llm) or ():
        if of_role.max_sequences is not None:
            yield ShapeFit(sku=sku.id, gpus=prefill.gpus_per_worker, hbm=of_role)


def _kv_flags(recipe: Recipe) -> dict[str, Any]:
    """Return the KV dtype of the recipe, and its lengths as the longest sequence."""
    return {
        "kv-cache-dtype": setting(recipe.decode, "kv-cache-dtype"),
        "max-model-len": recipe.workload.isl + recipe.workload.osl,
    }


def _pool(shape: str, tokens: int, assumed: FitAssumptions, kept: dict[str, Any]) -> Pool:
    """Return one worker of a shape with the assumed budgets and max-num-seqs 1: other HBM is free for KV."""
    kind, width = re.sub(r"\d+$", "", shape), int(re.sub(r"^\D+", "", shape))
    tp, dp, ep = {"TP": (width, 1, 1), "TEP": (width, 1, width), "DEP": (1, width, width)}[kind]
    flags: dict[str, Any] = {
        **kept,
        "gpu-memory-utilization": assumed.utilisation,
        "max-num-batched-tokens": tokens,
        "max-num-seqs": 1,
        "max-cudagraph-capture-size": tokens,
    }
    return Pool(workers=1, tp=tp, pp=1, dp=dp, ep=ep, flags=flags)
