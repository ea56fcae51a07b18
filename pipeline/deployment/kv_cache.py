"""KV cache of one sequence on one GPU: by kv-cache-dtype, KV heads over TP, and the indexer cache.

A KV head is on one GPU of a TP group up to ``tp`` = heads, and has copies beyond that. Another dtype than the one
that the LLM document states changes plain keys and values in proportion to its width; a layout of its own is unknown
in other dtypes. Without the engine's hybrid KV cache manager, layers with a sliding window hold every token.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.deployment.settings import setting
from pipeline.schema.catalogue import IndexerCache, KvCache, KvDtype, Llm, MtpLayer
from pipeline.schema.hbm import UnknownMemory
from pipeline.schema.recipe import Pool

WIDTHS = {"fp8": 1, "bf16": 2}  # bytes of a value
# Names that vLLM gives to these widths: `CacheDType` of vllm/config/cache.py, 0.20.0 to 0.32.0. Other names have
# scales or bits of their own. fp8_ds_mla is the layout that vLLM turns fp8 into for an LLM with packed latent KV.
NAMES: dict[str, KvDtype] = {
    "fp8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "fp8_inc": "fp8",
    "bfloat16": "bf16",
    "float16": "bf16",
}
PACKED = "fp8_ds_mla"
FP4_INDEXER = ("mxfp4", "nvfp4")  # 4 bits a value and a scale; vLLM 0.28 and later name the dtype


class KvBytes(NamedTuple):
    """Bytes of one sequence on one GPU."""

    per_token: float
    per_sequence: float


def kv_bytes(pool: Pool, llm: Llm, mtp: MtpLayer | None = None) -> KvBytes | None:
    """Return the KV of one sequence: of the layers of a pipeline stage, and of the MTP layer if there is one.

    None where its bytes in this dtype are unknown.
    """
    per_token, factor = llm.kv.bytes_per_token.get(indexer_cache(pool, llm.kv)), width_factor(pool, llm.kv)
    if per_token is None or factor is None:
        return None
    fixed = llm.kv.bytes_per_sequence
    if setting(pool, "disable-hybrid-kv-cache-manager") is True and llm.kv.sliding_bytes_per_token:
        per_token, fixed = per_token + llm.kv.sliding_bytes_per_token, 0.0
    share = factor * max(1, llm.kv.heads // pool.tp) / llm.kv.heads
    added = (mtp.kv_bytes_per_token, mtp.kv_bytes_per_sequence) if mtp else (0.0, 0.0)
    return KvBytes((per_token / pool.pp + added[0]) * share, (fixed / pool.pp + added[1]) * share)


def unknown(pool: Pool, llm: Llm) -> tuple[UnknownMemory, ...]:
    """Return what is unknown of the KV cache of a pool."""
    found: list[UnknownMemory] = []
    if kv_bytes(pool, llm) is None:
        found.append("kv-cache-dtype")
    if any(setting(pool, name) is not None for name in ("kv-cache-memory-bytes", "num-gpu-blocks-override")):
        found.append("kv-pool")
    contexts = (f"{role}-context-parallel-size" for role in ("decode", "prefill"))
    if any(setting(pool, name) not in (None, 1) for name in contexts):
        found.append("context-parallel")
    return tuple(found)


def width_factor(pool: Pool, kv: KvCache) -> float | None:
    """Return the factor of a pool's kv-cache-dtype on the bytes that the LLM document states, None = unknown."""
    stated = str(setting(pool, "kv-cache-dtype") or "auto")
    dtype = kv.auto if stated == "auto" else NAMES.get(stated)
    if dtype == kv.dtype or (stated == PACKED and kv.dtype == "fp8" and not kv.is_plain):
        return 1.0
    return WIDTHS[dtype] / WIDTHS[kv.dtype] if dtype is not None and kv.is_plain else None


def indexer_cache(pool: Pool, kv: KvCache) -> IndexerCache:
    """Return the indexer cache of a pool: fp4 when its attention config asks for it, else fp8; or none."""
    if "no-indexer" in kv.bytes_per_token:
        return "no-indexer"
    config = setting(pool, "attention-config")
    is_fp4 = isinstance(config, dict) and (
        config.get("use_fp4_indexer_cache") is True or config.get("indexer_kv_dtype") in FP4_INDEXER
    )
    return "fp4-indexer" if is_fp4 else "fp8-indexer"
