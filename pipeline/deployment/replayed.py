"""The settings of a recipe whose effect virtual time and simulated engines compute. They see no other.

A change of any other setting (engine version, image, kernels, all-to-all, speculative decoding, attention
backend, CUDA graphs, KV transfer, UCX and NCCL variables, process layout …) has no simulated effect, which does
not mean that it has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.deployment.settings import positive
from pipeline.schema.recipe import ROLES

# Fields of a pool, and its flags as settings; a nested setting as OPTION.KEY.
POOL: Final = frozenset({"workers", "tp", "pp", "dp", "ep"})
FLAGS: Final = frozenset(
    {
        "max-num-seqs",
        "max-num-batched-tokens",
        "gpu-memory-utilization",
        "block-size",
        "enable-prefix-caching",
        "offload-group-size",
        "offload-num-in-group",
    }
)
# Flags that are read for the KV cache's size alone: what they do to speed is not simulated.
ONLY_FOR_MEMORY: Final = frozenset(
    {
        "attention-config",
        "compilation-config",
        "cpu-offload-gb",
        "cudagraph-capture-sizes",
        "enable-eplb",
        "enforce-eager",
        "eplb-config",
        "kv-cache-dtype",
        "kv-cache-memory-bytes",
        "max-cudagraph-capture-size",
        "max-model-len",
        "num-gpu-blocks-override",
        "speculative-config",
    }
)
# Other fields, each with everything below it.
FIELDS: Final = ("sku", "model", "precision", "workload", "client", "simulate", "provenance", "environment")


def is_replayed(field: str) -> bool:
    """Return whether virtual time computes the effect of a field, given by its dotted path in a recipe.

    >>> is_replayed("decode.flags.max-num-seqs"), is_replayed("decode.flags.speculative-config.method")
    (True, False)
    """
    first, _, rest = field.partition(".")
    if first not in ROLES:
        return first in FIELDS
    kind, _, name = rest.partition(".")
    return kind in POOL or (kind == "flags" and positive(name) in FLAGS)


def unseen(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields whose effect virtual time does not compute, in the given order."""
    return tuple(field for field in fields if not is_replayed(field))
