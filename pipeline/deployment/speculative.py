"""What speculative decoding adds to the memory of a worker: the layer of the LLM for multi-token prediction.

Other methods load another checkpoint, of which an LLM document says nothing, or no weights at all.
"""

from __future__ import annotations

from pipeline.deployment.settings import setting
from pipeline.schema.catalogue import MtpLayer
from pipeline.schema.hbm import UnknownMemory
from pipeline.schema.recipe import Pool, Precision

MTP = "mtp"  # vLLM also takes MODEL_mtp, such as deepseek_mtp, as names of the same method
WITHOUT_WEIGHTS = ("ngram", "ngram_gpu", "suffix")


def mtp_layer(pool: Pool, layer: MtpLayer | None, precision: Precision) -> MtpLayer | None:
    """Return the LLM's MTP layer where a pool loads it and its weights in this precision are known."""
    return layer if _method(pool) == MTP and layer is not None and precision in layer.precisions else None


def unknown(pool: Pool, layer: MtpLayer | None, precision: Precision) -> tuple[UnknownMemory, ...]:
    """Return what is unknown of the weights that a pool drafts tokens with."""
    method = _method(pool)
    if method is None or method in WITHOUT_WEIGHTS:
        return ()
    if method != MTP:
        return ("draft-model",)
    return () if mtp_layer(pool, layer, precision) else ("mtp",)


def query_tokens(pool: Pool) -> int:
    """Return the tokens of one sequence in a decode step: one, and those that are drafted.

    >>> config = {"method": "mtp", "num_speculative_tokens": 2}
    >>> query_tokens(Pool(workers=1, tp=1, pp=1, dp=1, ep=1, flags={"speculative-config": config}))
    3
    """
    config = setting(pool, "speculative-config")
    drafted = config.get("num_speculative_tokens") if isinstance(config, dict) else None
    return 1 + (drafted if isinstance(drafted, int) else 0)


def _method(pool: Pool) -> str | None:
    """Return the method of a pool's speculative-config, empty = not stated; None without the option."""
    config = setting(pool, "speculative-config")
    if not isinstance(config, dict):
        return None
    method = str(config.get("method") or "")
    return MTP if method.endswith("_mtp") else method
