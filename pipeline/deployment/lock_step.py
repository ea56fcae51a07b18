"""The wait for the first token that the ranks of a prefill worker cause each other in lock-step.

A request waits for the running pass of all ranks of its worker, and a pass lasts as long as that of its longest
rank. Dynamo's replay has no such ranks: each of its schedulers steps alone. What lock-step adds to the mean wait
is therefore computed in a model of the same closed loop, with the same requests and the same timing, once with
ranks in lock-step and once with independent ones. The replay adds it to the hand-over of each request, in
proportion to its prompt (docs/decisions/0005).
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.deployment.closed_loop import Loop, RequestLengths, closed_loop
from pipeline.deployment.scheduler import block_size
from pipeline.deployment.worker_kinds import decode_timing, prefill_timing
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import SkuTiming


def lock_step_wait_s(recipe: Recipe, timing: SkuTiming, conc: int, lengths: RequestLengths) -> float:
    """Return the seconds that lock-step adds to the mean TTFT; 0 where the timing does not know it."""
    prefill, decode = prefill_timing(recipe, timing), decode_timing(recipe, timing)
    if prefill.pass_tokens is None:
        return 0.0
    locked = Loop(
        conc=conc,
        lengths=lengths,
        prefill_ranks=recipe.prefill.ranks,
        ranks_per_worker=recipe.prefill.dp,
        pass_tokens=prefill.pass_tokens,
        decode_ranks=recipe.decode.ranks,
        block=block_size(recipe, "decode"),
        prefill_tok_s=prefill.tok_s_gpu * recipe.prefill.gpus_per_rank,
        step_s=decode.step_ms / 1e3,
        per_token_s=decode.us_per_kv_ktoken / 1e9,
    )
    alone = closed_loop(replace(locked, pass_tokens=None))
    return max(0.0, closed_loop(locked).ttft_mean_ms - alone.ttft_mean_ms) / 1e3
