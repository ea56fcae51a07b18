"""Allowance for CUDA graphs, which vLLM captures when it starts and takes off the KV cache.

vLLM measures them (``profile_cudagraph_memory``); only the sizes that it captures can be read from a recipe. The
allowance covers what vLLM logs for one GPU ("Graph capturing finished … took"): of DeepSeek models 2.51 GiB
for 51 sizes (vllm#50576), 1.99 GiB with full graphs only (vllm#25779), 0.50 GiB for 4 sizes
(wtdcode/vllm-backport#41); of another model 0.36 GiB for 16 sizes (gpustack/runner#251). It does not cover dual-batch
overlap, which captures twice: 3.43 GiB (vllm#25779). None of these is from a GB200 or GB300.
"""

from __future__ import annotations

from typing import Final

from pipeline.deployment.settings import setting
from pipeline.deployment.speculative import query_tokens
from pipeline.schema.recipe import Pool

FIRST_GB: Final = 0.5  # pool that all sizes share
SIZE_GB: Final = 0.045
LARGEST: Final = 512  # tokens: vLLM's own limit where max-cudagraph-capture-size is absent
STEPS: Final = ((8, 256, 8), (256, None, 16))  # first size, end, step; after 1, 2 and 4
NOT_COUNTED: Final = (
    "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS",
    "0",
)  # vLLM leaves them outside of its budget


def graphs_gb(pool: Pool, *, sequences: int, batched_tokens: int) -> float:
    """Return the allowance of one GPU in GB: 0.5 GB and 45 MB a captured size; 0 without graphs."""
    captured = len(capture_sizes(pool, sequences=sequences, batched_tokens=batched_tokens))
    if not captured or pool.env.get(NOT_COUNTED[0]) == NOT_COUNTED[1]:
        return 0.0
    return FIRST_GB + SIZE_GB * captured


def capture_sizes(pool: Pool, *, sequences: int, batched_tokens: int) -> tuple[int, ...]:
    """Return the batch sizes that vLLM captures: ``_set_cudagraph_sizes`` of vllm/config/vllm.py, 0.20.0.

    >>> pool = Pool(workers=1, tp=1, pp=1, dp=1, ep=1, flags={"max-cudagraph-capture-size": 24})
    >>> capture_sizes(pool, sequences=256, batched_tokens=8192)
    (1, 2, 4, 8, 16, 24)
    """
    config = setting(pool, "compilation-config")
    compilation = config if isinstance(config, dict) else {}
    mode = compilation.get("cudagraph_mode")
    if setting(pool, "enforce-eager") is True or (isinstance(mode, str) and mode.upper() == "NONE"):
        return ()
    stated = compilation.get("cudagraph_capture_sizes") or setting(pool, "cudagraph-capture-sizes")
    if isinstance(stated, list):
        return tuple(sorted({size for size in stated if isinstance(size, int) and size <= batched_tokens}))
    largest = setting(pool, "max-cudagraph-capture-size") or compilation.get("max_cudagraph_capture_size")
    if not isinstance(largest, int):
        largest = min(2 * sequences * query_tokens(pool), LARGEST)
    largest = min(largest, batched_tokens)
    sizes = [size for size in (1, 2, 4) if size <= largest]
    for first, end, step in STEPS:
        sizes += range(first, min(end or largest + 1, largest + 1), step)
    return tuple(sizes)
