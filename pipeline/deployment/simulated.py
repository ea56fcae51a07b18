"""Arguments of a simulated engine, live or in virtual time: from recipe, HBM and calibrated timing.

Keys are Dynamo's names.
"""

from __future__ import annotations

from typing import Any

from pipeline.deployment.scheduler import block_size, max_num_batched_tokens, max_num_seqs, mean_lengths
from pipeline.deployment.settings import setting
from pipeline.deployment.worker_kinds import decode_timing, prefill_timing
from pipeline.errors import MeasureError
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Recipe, Role
from pipeline.schema.timing import SkuTiming

LONGEST_PASS = 1 << 20  # tokens; the tables are linear, so two points define them
MOST_KV = 1 << 25  # tokens


def arguments(job: Job, role: Role, sku: Sku, *, sequences: int) -> dict[str, Any]:
    """Return the engine arguments of one scheduler that may run ``sequences`` at once; no timing table."""
    recipe = job.recipe
    hbm = next((one for one in job.hbm if one.role == role), None)
    if hbm is None:
        raise MeasureError(
            f"the KV cache size of {role} is unknown: skus.yaml has no usable HBM for {recipe.sku}",
            where=recipe.id,
            hint=f"add hbm_usable_mib to {recipe.sku} in recipes/skus.yaml",
        )
    if hbm.kv_bytes_per_token is None:
        raise MeasureError(
            f"the KV cache size of {role} is unknown: {', '.join(hbm.unknown)}",
            where=recipe.id,
            hint=f"run: python -m pipeline fit {recipe.id}; it names what would decide it",
        )
    block = block_size(recipe, role)
    blocks, longest = hbm.kv_blocks(block), recipe.workload.isl + recipe.workload.osl
    if blocks * block < longest:  # Dynamo would complete no request; it reads 0 blocks as "not set"
        what = f"{role} has KV cache for {blocks * block} tokens, but one request may need {longest}"
        room = f"HBM has {hbm.kv_budget_gb:.1f} GB for KV"
        hint = f"{room}; run: python -m pipeline fit {recipe.id}; it names what would fit"
        raise MeasureError(what, where=recipe.id, hint=hint)
    return {
        "block_size": block,
        "num_gpu_blocks": blocks,
        "max_num_seqs": sequences,
        "max_num_batched_tokens": max_num_batched_tokens(recipe, role),
        "enable_prefix_caching": setting(recipe.pools[role], "enable-prefix-caching") is not False,
        "kv_bytes_per_token": round(hbm.kv_bytes_per_token),
        "kv_transfer_bandwidth": sku.scaleup_gb_s,
    }


def table(role: Role, recipe: Recipe, timing: SkuTiming) -> dict[str, list[Any]]:
    """Return the timing table of one role: ms of a prefill pass by tokens, ms of a decode step by KV tokens.

    Dynamo requires every array for either role, as float64 in an NPZ file. A decode step reads the KV of the
    running sequences. Dynamo also counts the KV of waiting requests, so the step time is constant above the
    KV of max-num-seqs sequences of mean length (docs/decisions/0004).
    """
    tokens, resident = [0.0, float(LONGEST_PASS)], [0.0, float(MOST_KV)]
    passes, steps = [0.0, 0.0], [0.0, 0.0]
    if role == "prefill":
        passes = [
            1000 * one / (prefill_timing(recipe, timing).tok_s_gpu * recipe.prefill.gpus_per_rank)
            for one in tokens
        ]
    else:
        decode, (isl, osl) = decode_timing(recipe, timing), mean_lengths(recipe)
        full = max_num_seqs(recipe, "decode") * (isl + osl / 2)
        resident = [0.0, full, max(float(MOST_KV), 2 * full)]
        steps = [decode.step_ms + decode.us_per_kv_ktoken / 1000 * min(one, full) / 1000 for one in resident]
    return {
        "prefill_isl": tokens,
        "prefill_ttft_ms": passes,
        "decode_active_kv_tokens": resident,
        "decode_context_length": tokens,
        "decode_itl": [[step, step] for step in steps],
    }
