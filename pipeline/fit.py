"""Room 2: does it fit? HBM of one GPU by component, against what vLLM may use.

Formulas: weights shard as ``(routed/(tp·dp) + (shared + attention)/tp + replicated)/pp + embeddings/tp``: a stage has its share of the
layers, and with the embeddings whole no stage has more; activations are an upper bound,
``T·(4·heads/tp·head_dim + 16·hidden) + T·dp·4·hidden`` bytes for T batched tokens; KV is replicated over TP, split over DP, and by
layers over PP, and must hold max-num-seqs sequences of full length (a prefill worker holds prompts only).
Not modelled: symmetric-memory and registration buffers, CUDA-graph pools, block rounding. A margin under 5 % of capacity is "tight".
"""

from __future__ import annotations

from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.plan import Hbm
from pipeline.schema.recipe import ROLES, Pool, Recipe, Role


def judge(recipe: Recipe, sku: Sku, llm: Llm) -> tuple[Hbm, ...] | None:
    """HBM of both roles, or None where the SKU's usable memory is unknown."""
    if sku.hbm_bytes is None:
        return None
    return tuple(_role(recipe, role, sku.hbm_bytes / 1e9, llm) for role in ROLES)


def budget_tokens(recipe: Recipe, role: Role) -> int:
    """Tokens that one scheduler may batch in a step: the flag, else what the recipe declares for a simulator."""
    return _number(
        recipe, role, "max-num-batched-tokens", getattr(recipe.simulate, role).max_num_batched_tokens
    )


def max_num_seqs(recipe: Recipe, role: Role) -> int:
    """Sequences that one scheduler may run: the flag, else what the recipe declares for a simulator."""
    return _number(recipe, role, "max-num-seqs", getattr(recipe.simulate, role).max_num_seqs)


def offloaded_share(pool: Pool) -> float:
    """Share of the routed experts that lives on the host: ``offload-num-in-group / offload-group-size``."""
    group, offloaded = pool.flags.get("offload-group-size"), pool.flags.get("offload-num-in-group", 1)
    if isinstance(group, int) and isinstance(offloaded, int) and group > 0:
        return offloaded / group
    return 0.0


def indexer_cache(pool: Pool) -> str:
    """Which indexer cache the pool keeps: ``fp4-indexer`` when the attention config asks for it, else ``fp8-indexer``."""
    config = pool.flags.get("attention-config")
    return (
        "fp4-indexer"
        if isinstance(config, dict) and config.get("use_fp4_indexer_cache") is True
        else "fp8-indexer"
    )


def narrowest(recipe: Recipe, role: Role, sku: Sku, llm: Llm) -> str | None:
    """The narrowest shape of the same kind, in whole trays, that would fit; None when none does."""
    pool = recipe.pools[role]
    axis = "dp" if pool.dp > 1 else "tp"
    for width in range(sku.gpus_per_tray, sku.domain_gpus + 1, sku.gpus_per_tray):
        if llm.experts % width or (axis == "tp" and llm.attention_heads % width):
            continue
        wider = pool.model_copy(update={axis: width, "ep": width if pool.ep > 1 else 1, "workers": 1})
        judged = judge(recipe.model_copy(update={role: wider}), sku, llm)
        if judged and judged[ROLES.index(role)].verdict != "does not fit":
            return wider.shape
    return None


def _role(recipe: Recipe, role: Role, capacity_gb: float, llm: Llm) -> Hbm:
    pool, weights = recipe.pools[role], llm.precisions[recipe.precision]
    routed = weights.routed_gb / (pool.tp * pool.dp * pool.pp)
    tokens = budget_tokens(recipe, role)
    activation = (
        tokens * (4 * llm.attention_heads / pool.tp * llm.head_dim + 16 * llm.hidden)
        + tokens * pool.dp * 4 * llm.hidden
    )
    kv_per_token = (
        llm.kv.bytes_per_token["fp4-indexer" if indexer_cache(pool) == "fp4-indexer" else "fp8-indexer"]
        / pool.pp
    )
    kv_per_sequence = llm.kv.bytes_per_sequence / pool.pp
    longest = recipe.workload.isl + (recipe.workload.osl if role == "decode" else 0)
    sequence = longest * kv_per_token + kv_per_sequence
    sequences = max_num_seqs(recipe, role)
    return Hbm(
        role=role,
        shape=pool.shape,
        capacity_gb=capacity_gb,
        utilisation=float(_number(recipe, role, "gpu-memory-utilization", None)),
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


def _number(recipe: Recipe, role: Role, flag: str, declared: int | None) -> int:
    value = recipe.pools[role].flags.get(flag, declared)
    if not isinstance(value, int | float):
        raise TypeError(f"{recipe.id}: {role} has no {flag}; load refuses such a recipe")
    return value  # type: ignore[return-value]  # utilisation is a float, the rest are ints; load has checked which
