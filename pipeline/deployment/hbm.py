"""HBM of one GPU of each role by component, against the memory that vLLM may use.

Formulas, in bytes per GPU:

- weights: ``(routed/(tp·dp) + (shared + attention)/tp + replicated)/pp + embeddings/tp``. A pipeline stage
  holds its share of the layers; the embeddings are counted whole, so no stage holds more than this.
- activations, an upper bound for T batched tokens: ``T·(4·heads/tp·head_dim + 16·hidden) + T·dp·4·hidden``.
- KV: replicated over TP, split over DP and, by layers, over PP. It must hold max-num-seqs sequences of full
  length; a prefill worker holds prompts only.

Not modelled: symmetric-memory and registration buffers, CUDA-graph pools, block rounding. A margin below 5 %
of the capacity is "tight".
"""

from __future__ import annotations

from typing import Literal

from pipeline.deployment.scheduler import gpu_memory_utilization, max_num_batched_tokens, max_num_seqs
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.plan import Hbm
from pipeline.schema.recipe import ROLES, Pool, Recipe, Role

IndexerCache = Literal["fp8-indexer", "fp4-indexer"]


def estimate(recipe: Recipe, sku: Sku, llm: Llm) -> tuple[Hbm, ...] | None:
    """Return the HBM of both roles, prefill first; None where the usable memory of the SKU is unknown."""
    if sku.hbm_bytes is None:
        return None
    return tuple(_hbm(recipe, role, sku.hbm_bytes / 1e9, llm) for role in ROLES)


def offloaded_share(pool: Pool) -> float:
    """Return the share of the routed experts on the host: ``offload-num-in-group / offload-group-size``."""
    group, offloaded = pool.flags.get("offload-group-size"), pool.flags.get("offload-num-in-group", 1)
    if isinstance(group, int) and isinstance(offloaded, int) and group > 0:
        return offloaded / group
    return 0.0


def indexer_cache(pool: Pool) -> IndexerCache:
    """Return the indexer cache of a pool: fp4 when its attention config asks for it, else fp8."""
    config = pool.flags.get("attention-config")
    is_fp4 = isinstance(config, dict) and config.get("use_fp4_indexer_cache") is True
    return "fp4-indexer" if is_fp4 else "fp8-indexer"


def narrowest(recipe: Recipe, role: Role, sku: Sku, llm: Llm) -> str | None:
    """Return the narrowest shape of the same kind, in whole trays, that fits; None when no width does."""
    pool = recipe.pools[role]
    axis = "dp" if pool.dp > 1 else "tp"
    for width in range(sku.gpus_per_tray, sku.domain_gpus + 1, sku.gpus_per_tray):
        if llm.experts % width or (axis == "tp" and llm.attention_heads % width):
            continue
        wider = pool.model_copy(update={axis: width, "ep": width if pool.ep > 1 else 1, "workers": 1})
        found = estimate(recipe.model_copy(update={role: wider}), sku, llm)
        if found and found[ROLES.index(role)].fits:
            return wider.shape
    return None


def _hbm(recipe: Recipe, role: Role, capacity_gb: float, llm: Llm) -> Hbm:
    pool, weights = recipe.pools[role], llm.precisions[recipe.precision]
    routed = weights.routed_gb / (pool.tp * pool.dp * pool.pp)
    tokens = max_num_batched_tokens(recipe, role)
    activation = (
        tokens * (4 * llm.attention_heads / pool.tp * llm.head_dim + 16 * llm.hidden)
        + tokens * pool.dp * 4 * llm.hidden
    )
    kv_per_token = llm.kv.bytes_per_token[indexer_cache(pool)] / pool.pp
    kv_per_sequence = llm.kv.bytes_per_sequence / pool.pp
    longest = recipe.workload.isl + (recipe.workload.osl if role == "decode" else 0)
    sequence = longest * kv_per_token + kv_per_sequence
    sequences = max_num_seqs(recipe, role)
    return Hbm(
        role=role,
        shape=pool.shape,
        capacity_gb=capacity_gb,
        utilisation=gpu_memory_utilization(recipe, role),
        routed_gb=routed,
        shared_gb=weights.shared_gb / (pool.tp * pool.pp),
        attention_gb=weights.attention_gb / (pool.tp * pool.pp),
        embeddings_gb=weights.embeddings_gb / pool.tp,
        replicated_gb=weights.replicated_gb / pool.pp,
        offload_gb=routed * offloaded_share(pool),
        overhead_gb=llm.overhead_gb,
        activation_gb=activation / 1e9,
        kv_gb=sequences * sequence / 1e9,
        sequences=sequences,
        sequence_gb=sequence / 1e9,
        kv_bytes_per_token=kv_per_token,
        kv_bytes_per_sequence=kv_per_sequence,
    )
