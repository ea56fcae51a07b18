"""Ranks of a prefill worker step together; what that adds to the wait is computed, and added to the hand-over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline import load
from pipeline.deployment.closed_loop import Loop, RequestLengths, closed_loop
from pipeline.deployment.lock_step import lock_step_wait_s
from pipeline.measure.replay import ReplayedLoop, with_wait
from tests.fakes import recipe_set as small

RECIPE = load.read(small.texts()).recipes[small.ID]  # prefill DEP4, decode DEP8


def loop(inputs: tuple[int, ...], conc: int, *, pass_tokens: int | None = 16000) -> Loop:
    """Two prefill ranks of one worker at 1000 tok/s; a decode step takes 1 ms."""
    lengths = RequestLengths(inputs, (2,) * len(inputs))
    return Loop(conc, lengths, 2, 2, pass_tokens, 1, 256, 1000.0, 1e-3, 0.0)


def test_a_pass_lasts_as_long_as_that_of_its_longest_rank():
    together = closed_loop(loop((1000, 3000), 2))
    alone = closed_loop(loop((1000, 3000), 2, pass_tokens=None))
    assert together.ttft_mean_ms == pytest.approx(3001.0, abs=3.0)  # both wait for the longer prompt
    assert alone.ttft_mean_ms == pytest.approx(2001.0, abs=3.0)


def test_prompts_of_a_rank_in_one_pass_end_together():
    found = closed_loop(loop((1000, 1000, 1000, 1000), 4))  # two prompts on each rank
    assert found.ttft_p50_ms == pytest.approx(2001.0, abs=3.0)
    one_by_one = closed_loop(replace(loop((1000,) * 4, 4), pass_tokens=1000))
    assert one_by_one.ttft_mean_ms == pytest.approx(1501.0, abs=3.0)


def test_a_prompt_that_is_longer_than_a_pass_takes_several():
    found = closed_loop(replace(loop((2500,), 1), pass_tokens=1000))
    assert found.ttft_mean_ms == pytest.approx(2501.0)


def test_a_single_request_waits_for_nobody():
    assert closed_loop(loop((1000, 1000), 1)) == closed_loop(loop((1000, 1000), 1, pass_tokens=None))


def test_where_prefill_is_saturated_and_ranks_are_equal_lock_step_costs_nothing():
    together, alone = (closed_loop(loop((1000,) * 400, 64, pass_tokens=tokens)) for tokens in (1000, None))
    assert together.duration_s == pytest.approx(alone.duration_s, rel=0.01)


def timing(pass_tokens: int | None):
    (sku,) = small.timing().skus
    prefill = sku.prefill[0].model_copy(update={"pass_tokens": pass_tokens})
    return sku.model_copy(update={"prefill": (prefill,)})


def drawn(count: int) -> RequestLengths:
    return RequestLengths(
        tuple(6554 + 37 * n % 1638 for n in range(count)), tuple(819 + 53 * n % 205 for n in range(count))
    )


def test_lock_step_adds_to_the_wait_where_the_timing_knows_it():
    assert lock_step_wait_s(RECIPE, timing(None), 32, drawn(320)) == 0.0
    assert lock_step_wait_s(RECIPE, timing(16384), 32, drawn(320)) > 0.1
    assert lock_step_wait_s(RECIPE, timing(16384), 1, drawn(10)) == pytest.approx(0.0, abs=1e-9)


def test_the_wait_is_a_longer_hand_over_of_the_same_bytes():
    prefill = {"kv_transfer_bandwidth": 900.0, "kv_bytes_per_token": 5511, "max_num_seqs": 1}
    lengths = RequestLengths((6000, 8000), (10, 10))
    told = with_wait(prefill, ReplayedLoop(2, lengths, 1.5))
    hand_over_s = 7000 * 5511 / (told["kv_transfer_bandwidth"] * 1e9)
    assert hand_over_s == pytest.approx(1.5 + 7000 * 5511 / 900e9)
    assert with_wait(prefill, ReplayedLoop(2, lengths, 0.0)) == prefill
