"""HBM of one GPU of each role by component, against the memory that vLLM may use (docs/decisions/0012).

Formulas, in bytes per GPU:

- weights: ``(routed/(tp·dp) + (shared + dense + attention)/tp + replicated)/pp + embeddings/tp + vision``. A
  pipeline stage holds its share of the layers; embeddings and vision tower are counted whole, so no stage holds
  more than this. Experts are divided over all ``tp·dp`` GPUs also without expert parallelism: they are one
  tensor-parallel group then.
- the layer for multi-token prediction, where it is loaded: the same division, whole on the last stage.
- activations, an upper bound for T batched tokens: ``T·(4·heads/tp·head_dim + 16·hidden) + T·dp·4·hidden``.
- CUDA graphs: an allowance (``deployment/cuda_graphs.py``).
- KV: by heads over TP (``deployment/kv_cache.py``), split over DP and, by layers, over PP. One sequence of
  max-model-len must fit. What runs at once is limited by max-num-seqs and by the largest concurrency over the
  ranks of the pool; a prefill worker holds prompts only.

Not modelled: symmetric-memory and registration buffers, block rounding. A margin below 5 % of the capacity is
"tight".
"""

from __future__ import annotations

from math import ceil

from pipeline.deployment import kv_cache, speculative
from pipeline.deployment.cuda_graphs import graphs_gb
from pipeline.deployment.scheduler import gpu_memory_utilization, max_num_batched_tokens, max_num_seqs
from pipeline.deployment.settings import setting
from pipeline.schema.catalogue import Llm, MtpLayer, Sku
from pipeline.schema.hbm import Hbm, RoleFit, UnknownMemory
from pipeline.schema.recipe import ROLES, Pool, Precision, Recipe, Role

GIB = 2**30


def estimate(recipe: Recipe, sku: Sku, llm: Llm) -> tuple[Hbm, ...] | None:
    """Return the HBM of both roles, prefill first; None where the usable memory of the SKU is unknown."""
    if sku.hbm_bytes is None:
        return None
    return tuple(_hbm(recipe, role, sku, llm) for role in ROLES)


def offloaded_share(pool: Pool) -> float:
    """Return the share of the routed experts on the host: ``offload-num-in-group / offload-group-size``."""
    group, offloaded = setting(pool, "offload-group-size"), setting(pool, "offload-num-in-group")
    offloaded = 1 if offloaded is None else offloaded
    if isinstance(group, int) and isinstance(offloaded, int) and group > 0:
        return offloaded / group
    return 0.0


def narrowest(recipe: Recipe, role: Role, sku: Sku, llm: Llm) -> str | None:
    """Return the narrowest shape of the same kind, in whole trays, that holds all sequences; None = no width."""
    pool = recipe.pools[role]
    axis = "dp" if pool.dp > 1 else "tp"
    for width in range(sku.gpus_per_tray, sku.domain_gpus + 1, sku.gpus_per_tray):
        if llm.experts % width or (axis == "tp" and llm.attention_heads % width):
            continue
        wider = pool.model_copy(update={axis: width, "ep": width if pool.ep > 1 else 1})
        found = estimate(recipe.model_copy(update={role: wider}), sku, llm)
        if found and not found[ROLES.index(role)].is_short:
            return wider.shape
    return None


def role_fits(recipe: Recipe, sku: Sku, llm: Llm) -> tuple[RoleFit, ...] | None:
    """Return the HBM of both roles and, where it is short, the shape that would do.

    None where the usable memory of the SKU is unknown.
    """
    roles = estimate(recipe, sku, llm)
    if roles is None:
        return None
    return tuple(
        RoleFit(
            hbm=hbm,
            ranks=recipe.pools[hbm.role].ranks,
            better=narrowest(recipe, hbm.role, sku, llm) if hbm.is_short else None,
        )
        for hbm in roles
    )


def _hbm(recipe: Recipe, role: Role, sku: Sku, llm: Llm) -> Hbm:
    pool, weights = recipe.pools[role], llm.precisions[recipe.precision]
    routed = weights.routed_gb * _expert_copies(pool, llm) / (pool.tp * pool.dp * pool.pp)
    mtp = speculative.mtp_layer(pool, llm.mtp, recipe.precision)
    tokens, sequences = max_num_batched_tokens(recipe, role), max_num_seqs(recipe, role)
    longest = _max_model_len(pool, llm)
    kv = kv_cache.kv_bytes(pool, llm, mtp)
    return Hbm(
        role=role,
        shape=pool.shape,
        capacity_gb=(sku.hbm_bytes or 0) / 1e9,
        utilisation=gpu_memory_utilization(recipe, role),
        routed_gb=routed,
        shared_gb=weights.shared_gb / (pool.tp * pool.pp),
        attention_gb=weights.attention_gb / (pool.tp * pool.pp),
        embeddings_gb=weights.embeddings_gb / pool.tp,
        replicated_gb=weights.replicated_gb / pool.pp,
        dense_gb=weights.dense_gb / (pool.tp * pool.pp),
        vision_gb=weights.vision_gb,
        mtp_gb=_mtp_gb(mtp, recipe.precision, pool),
        offload_gb=min(routed, routed * offloaded_share(pool) + _cpu_offload_gb(pool)),
        overhead_gb=llm.overhead_gb,
        activation_gb=_activation(pool, llm, tokens) / 1e9,
        graphs_gb=graphs_gb(pool, sequences=sequences, batched_tokens=tokens),
        sequences=sequences,
        conc_per_rank=ceil(max(recipe.conc) / pool.ranks),
        tokens=recipe.workload.isl + (recipe.workload.osl if role == "decode" else 0),
        max_model_len=longest,
        kv_bytes_per_token=kv.per_token if kv else None,
        kv_bytes_per_sequence=kv.per_sequence if kv else None,
        unknown=_unknown(recipe, pool, llm, longest),
        accepted=recipe.fit.accept if recipe.fit and recipe.sku == sku.id else None,
    )


def _expert_copies(pool: Pool, llm: Llm) -> float:
    """Return the experts that are loaded over those of the LLM: more than 1 with redundant experts."""
    config = setting(pool, "eplb-config")
    redundant = config.get("num_redundant_experts") if isinstance(config, dict) else None
    is_used = setting(pool, "enable-eplb") is True and llm.experts > 0
    return 1 + redundant / llm.experts if is_used and isinstance(redundant, int) else 1.0


def _mtp_gb(mtp: MtpLayer | None, precision: Precision, pool: Pool) -> float:
    if mtp is None:
        return 0.0
    layer = mtp.precisions[precision]
    sharded = (layer.shared_gb + layer.attention_gb) / pool.tp
    return layer.routed_gb / (pool.tp * pool.dp) + sharded + layer.replicated_gb


def _cpu_offload_gb(pool: Pool) -> float:
    """Return the weights that ``cpu-offload-gb``, in GiB of each GPU, leaves on the host."""
    stated = setting(pool, "cpu-offload-gb")
    return stated * GIB / 1e9 if isinstance(stated, int | float) and not isinstance(stated, bool) else 0.0


def _activation(pool: Pool, llm: Llm, tokens: int) -> float:
    own = 4 * llm.attention_heads / pool.tp * llm.head_dim + 16 * llm.hidden
    return tokens * (own + pool.dp * 4 * llm.hidden)


def _max_model_len(pool: Pool, llm: Llm) -> int | None:
    stated = setting(pool, "max-model-len")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0:
        return stated
    return llm.max_model_len


def _unknown(recipe: Recipe, pool: Pool, llm: Llm, longest: int | None) -> tuple[UnknownMemory, ...]:
    length: tuple[UnknownMemory, ...] = ("max-model-len",) if longest is None else ()
    draft = speculative.unknown(pool, llm.mtp, recipe.precision)
    return kv_cache.unknown(pool, llm) + length + draft
