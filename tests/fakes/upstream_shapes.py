"""Worker pools of DeepSeek-V4-Pro recipes that others ran on GB200 and GB300 racks, as far as memory needs them.

Read from recipes of NVIDIA/srt-slurm, NVIDIA/srt-slurm-recipes and SemiAnalysisAI/InferenceX, all under Apache-2.0; each
row names its source. Traces have no fixed lengths: their rows assume 64k input and 1k output tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.schema.recipe import Pool, Recipe, Workload

GB200, GB300 = "gb200-nvl72", "gb300-nvl72"
FP4 = {"attention-config": {"use_fp4_indexer_cache": True}}
OFFLOAD = {"offload-group-size": 3, "offload-num-in-group": 1}
FULL = {"compilation-config": '{"cudagraph_mode":"FULL_DECODE_ONLY","mode":0}'}
LONGEST = 1048576  # max-model-len of the LLM, which vLLM takes without the option
TRACE = Workload(isl=65536, osl=1024)
FIXED = Workload(isl=8192, osl=1024)
MAX_NUM_SEQS = 1024  # vLLM's default on GPUs of this size


def mtp(tokens: int) -> dict[str, Any]:
    return {"speculative-config": {"method": "mtp", "num_speculative_tokens": tokens}}


@dataclass(frozen=True, slots=True)
class Side:
    """Workers of one role: ``tp x dp`` GPUs each, utilisation, tokens of a step, max-num-seqs, max-model-len."""

    workers: int
    tp: int
    dp: int
    ep: bool
    util: float
    tokens: int
    seqs: int
    length: int
    more: dict[str, Any]

    def pool(self) -> Pool:
        flags = {
            "kv-cache-dtype": "fp8",
            "block-size": 256,
            "gpu-memory-utilization": self.util,
            "max-num-batched-tokens": self.tokens,
            "max-num-seqs": self.seqs,
            "max-model-len": self.length,
            **self.more,
        }
        ep = self.tp * self.dp if self.ep else 1
        return Pool(workers=self.workers, tp=self.tp, pp=1, dp=self.dp, ep=ep, flags=flags)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A recipe that ran: its source, both sides, the largest concurrency and the lengths."""

    source: str
    sku: str
    prefill: Side
    decode: Side
    conc: int
    workload: Workload = FIXED

    def recipe(self, like: Recipe) -> Recipe:
        changed = {"prefill": self.prefill.pool(), "decode": self.decode.pool(), "workload": self.workload}
        return like.model_copy(update={**changed, "sku": self.sku, "conc": (self.conc,)})


def dep(workers: int, dp: int, util: float, tokens: int, seqs: int, length: int, **more: Any) -> Side:
    return Side(workers, 1, dp, True, util, tokens, seqs, length, _kebab(more))


def tp(
    workers: int,
    width: int,
    util: float,
    tokens: int,
    seqs: int,
    length: int,
    *,
    ep: bool = False,
    **more: Any,
) -> Side:
    return Side(workers, width, 1, ep, util, tokens, seqs, length, _kebab(more))


def _kebab(more: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in more.items()}


EAGER = {"enforce-eager": True}
V4 = "InferenceX srt-slurm-recipes/vllm/deepseek-v4"
RAN = {
    "gb200-1p4d-offload": Upstream(
        "srt-slurm c88ef731 disagg-gb200-1p4d-dep8-tp8-c256-c512-offload.yaml",
        GB200,
        dep(1, 8, 0.8, 32768, 16, 16384, **EAGER, **OFFLOAD),
        tp(4, 8, 0.9, 256, 256, 16384, max_cudagraph_capture_size=256, **FULL),
        1024,
    ),
    "gb200-mid-curve": Upstream(
        f"{V4}/8k1k/disagg-gb200-mid-curve-megamoe.yaml at 843c6254",
        GB200,
        dep(1, 8, 0.95, 32768, 16, 9280, **EAGER),
        dep(1, 8, 0.9, 512, 512, 9280, max_cudagraph_capture_size=512, **FULL),
        1024,
    ),
    "gb200-3p1d-dep16": Upstream(
        f"{V4}/8k1k/disagg-gb200-3p1d-dep8-dep16-c4096-offload.yaml at 103957b1",
        GB200,
        dep(3, 8, 0.8, 32768, 16, 16384, **EAGER, **OFFLOAD),
        dep(1, 16, 0.9, 256, 256, 16384, max_cudagraph_capture_size=256, **FULL),
        4096,
    ),
    "gb200-low-latency-mtp2": Upstream(
        f"{V4}/8k1k/disagg-gb200-low-latency-mtp2.yaml at 843c6254",
        GB200,
        dep(1, 8, 0.85, 16384, 8, 9280, **EAGER, **FP4, **mtp(2)),
        tp(4, 8, 0.9, 256, 256, 9280, max_cudagraph_capture_size=256, **FULL, **FP4, **mtp(2)),
        64,
    ),
    "gb200-2p1d-mtp2": Upstream(
        "srt-slurm 517d3c37 issue-41603/good-pr-container-15908: 7,489 tok/s/GPU",
        GB200,
        dep(2, 8, 0.94, 32768, 16, 9280, **EAGER, **FP4, **mtp(2)),
        dep(1, 8, 0.9, 1024, 512, 9280, max_cudagraph_capture_size=512, **FULL, **FP4, **mtp(2)),
        1024,
    ),
    "gb200-agentic-mtp-variants": Upstream(
        "InferenceX 08f9f579 agentx/disagg-mtp-variants.yaml",
        GB200,
        dep(2, 8, 0.95, 16384, 16, LONGEST, **EAGER, **FP4, **mtp(2)),
        dep(1, 8, 0.9, 1024, 1024, LONGEST, max_cudagraph_capture_size=1024, **FP4, **mtp(2)),
        256,
        TRACE,
    ),
    "gb200-agentic-2p1d-dep16": Upstream(
        f"{V4}/agentic/disagg-gb200-2p1d-dep8-dep16-c512-mtp2-agentic.yaml at 843c6254",
        GB200,
        dep(2, 8, 0.9, 8192, 64, LONGEST, **FP4, **mtp(3)),
        dep(1, 16, 0.9, 256, 64, LONGEST, max_cudagraph_capture_size=256, **FP4, **mtp(3)),
        512,
        TRACE,
    ),
    "gb300-1p9d": Upstream(
        f"{V4}/8k1k/disagg-gb300-1p9d-tep4-tp4.yaml at 843c6254",
        GB300,
        tp(1, 4, 0.9, 16384, 256, 16384, ep=True, **EAGER),
        tp(9, 4, 0.9, 512, 512, 16384, max_cudagraph_capture_size=512, **FULL),
        18,
    ),
    "gb300-7p2d": Upstream(
        "srt-slurm-recipes 8b088c0e DeepSeek-V4-Pro/GB300/vllm/8k1k-sa/disagg-gb300-7p2d-dep4-dep16.yaml",
        GB300,
        dep(7, 4, 0.9, 16384, 256, 16384, **EAGER, **FP4),
        dep(2, 16, 0.9, 512, 512, 16384, max_cudagraph_capture_size=512, **FULL, **FP4),
        3072,
    ),
    "gb300-1p1d-dep4": Upstream(
        f"{V4}/8k1k/disagg-gb300-1p1d-dep4-dep4-c512.yaml at 05a31a16",
        GB300,
        dep(1, 4, 0.91, 81920, 10, 16384, **EAGER, **OFFLOAD),
        dep(1, 4, 0.9, 128, 128, 16384, max_cudagraph_capture_size=128, **FULL),
        512,
    ),
    "gb300-1p1d-tp4-mtp2": Upstream(
        f"{V4}/8k1k/disagg-gb300-1p1d-dep4-tp4-mtp2.yaml at 0e1f762c",
        GB300,
        dep(1, 4, 0.9, 16384, 256, 16384, **EAGER, **FP4),
        tp(1, 4, 0.9, 1024, 512, 16384, max_cudagraph_capture_size=512, **FULL, **FP4, **mtp(2)),
        8,
    ),
    "gb300-1p1d-dep8-mtp2": Upstream(
        f"{V4}/8k1k/disagg-gb300-1p1d-dep4-dep8-megamoe-mtp2.yaml at 0e1f762c",
        GB300,
        dep(1, 4, 0.9, 16384, 256, 16384, **EAGER, **FP4),
        dep(1, 8, 0.9, 1024, 512, 16384, max_cudagraph_capture_size=512, **FULL, **FP4, **mtp(2)),
        1024,
    ),
    "gb300-agentic-1p6d": Upstream(
        f"{V4}/agentic/disagg-gb300-1p6d-dep4-tp4-agentic.yaml at 2b80122a: no limit stated",
        GB300,
        dep(1, 4, 0.9, 16384, MAX_NUM_SEQS, LONGEST, **FP4),
        tp(6, 4, 0.9, 512, MAX_NUM_SEQS, LONGEST, max_cudagraph_capture_size=512, **FULL),
        192,
        TRACE,
    ),
    "gb300-agentic-4p1d": Upstream(
        f"{V4}/agentic/disagg-gb300-4p1d-dep4-dep8-24-c4096-agentic.yaml at 2b80122a: no limit stated",
        GB300,
        dep(4, 4, 0.9, 16384, MAX_NUM_SEQS, LONGEST),
        dep(1, 8, 0.9, 8192, MAX_NUM_SEQS, LONGEST, max_cudagraph_capture_size=512, **FULL),
        4096,
        TRACE,
    ),
}
# Attempts that died of memory: run 27732316539, "reached 182.54 GiB per GPU … during MoE weight construction".
DIED = {
    "gb200-tep4": Upstream(
        f"{V4}/agentic/disagg-gb200-4p1d-tep4-tp8-agentic.yaml at 76ad0903",
        GB200,
        tp(4, 4, 0.9, 16384, 16, LONGEST, ep=True, **EAGER, **FP4),
        tp(1, 8, 0.9, 512, 512, LONGEST, max_cudagraph_capture_size=512, **FULL, **FP4),
        64,
        TRACE,
    ),
}
