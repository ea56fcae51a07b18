"""The words for verdicts on memory: what is short or unknown, and what would change or decide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Final

from pipeline.render.text import fixed
from pipeline.schema.hbm import Hbm, RoleFit, UnknownMemory

HIGHEST_UTILISATION: Final = 0.95  # of the published recipes
# What the estimate cannot know, and what would decide it.
UNKNOWN: Final[Mapping[UnknownMemory, tuple[str, str]]] = {
    "kv-cache-dtype": (
        "the LLM document does not say how large the KV cache is in this kv-cache-dtype",
        "set a dtype that it states, or add the bytes of this one to it",
    ),
    "kv-pool": (
        "kv-cache-memory-bytes or num-gpu-blocks-override sets the KV cache, whatever is free",
        "remove the option, or compare its value with `for KV`",
    ),
    "context-parallel": (
        "context parallelism divides the KV cache in a way that is not modelled",
        "the log of a run: `Available KV cache memory`",
    ),
    "max-model-len": (
        "neither the recipe nor the LLM document states max-model-len, and one sequence of it must fit",
        "set max-model-len, or add max_model_len to the LLM document",
    ),
    "mtp": (
        "the LLM document does not state the layer for multi-token prediction, which speculative-config loads",
        "add mtp to the LLM document",
    ),
    "draft-model": (
        "speculative-config loads a draft model, of which no document states the bytes",
        "the log of a run: `Model loading took`",
    ),
}


def verdict_text(hbm: Hbm) -> str:
    """Return the verdict, with how many sequences run at once where some wait, and with the author's override."""
    if hbm.verdict == "queues":
        return f"queues: {hbm.max_sequences} of {hbm.running} run at once"
    return f"{hbm.verdict} (accepted)" if not hbm.fits and hbm.accepted else hbm.verdict


def notes(fit: RoleFit) -> Iterator[str]:
    """Yield what an author needs to know of one role beyond its row: why, and what would change it."""
    hbm = fit.hbm
    match hbm.verdict:
        case "does not fit":
            yield from _short(fit)
        case "queues":
            yield from _queues(fit)
        case "tight":
            yield (
                f"{_gb(hbm.headroom_gb)} left is less than 5 % of {_gb(hbm.capacity_gb)}, the error of the "
                "estimate; `Available KV cache memory` in the log of a run decides"
            )
    for name in hbm.unknown:
        reason, decides = UNKNOWN[name]
        yield f"unknown: {reason}"
        yield f"would decide it: {decides}"
    most = hbm.max_sequences
    if hbm.verdict in ("fits", "tight", "unknown") and most is not None and hbm.sequences > most:
        yield (
            f"max-num-seqs {hbm.sequences} is a limit above the {most} sequences of {hbm.tokens} tokens that "
            "fit: vLLM lets others wait, and preempts a running one where the KV cache is full"
        )


def _short(fit: RoleFit) -> Iterator[str]:
    hbm = fit.hbm
    length = f"max-model-len {hbm.max_model_len}" if hbm.max_model_len else f"{hbm.tokens} tokens"
    yield (
        f"short of {_gb(hbm.short_gb)}: {_gb(hbm.weights_gb)} of weights and {_gb(hbm.other_gb)} of activations, "
        f"CUDA graphs and overhead leave {_gb(hbm.kv_budget_gb)} of {_gb(hbm.budget_gb)}; one sequence of "
        f"{length} takes {_gb(hbm.longest_gb)}"
    )
    if hbm.accepted:
        yield f"accepted: {hbm.accepted}"
    yield f"would fit: {'; or '.join(_remedies(fit)) or 'no width of this shape'}"


def _remedies(fit: RoleFit) -> Iterator[str]:
    hbm = fit.hbm
    if fit.better:
        yield fit.better
    longest = hbm.longest_that_fits or 0
    if longest >= hbm.tokens:
        yield f"max-model-len of at most {longest}"
    needed = ceil(hbm.utilisation_needed * 100) / 100
    if needed <= HIGHEST_UTILISATION:
        yield f"gpu-memory-utilization of at least {needed:g}"


def _queues(fit: RoleFit) -> Iterator[str]:
    hbm = fit.hbm
    most = hbm.max_sequences or 0
    yield (
        f"at the largest concurrency, a rank could run {hbm.running} sequences of {hbm.tokens} tokens, and {most} "
        f"fit: {hbm.running - most} wait for KV cache, which adds to their latency"
    )
    shape = f"{fit.better}; or " if fit.better else ""
    conc = f"a concurrency of at most {most * fit.ranks}, evenly spread over {fit.ranks} ranks"
    yield f"all would run at once: {shape}{conc}"


def _gb(value: float | None) -> str:
    return "unknown" if value is None else f"{fixed(value, 1)} GB"
