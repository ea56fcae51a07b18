"""Each way in which a load test deceives is refused by its name, and a loop in order is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MeasureError
from pipeline.measure import sa_bench
from pipeline.measure.observation import Observation, Reason
from pipeline.measure.points import point
from pipeline.measure.requests import Request, effective_conc, steady_window
from pipeline.measure.statistics import slope
from pipeline.measure.validity import assess
from pipeline.schema.endpoint import Cause, DeploymentChange
from tests.fakes import launch_specs
from tests.fakes.loads import OSL, closed_loop, observation

FILES = Path(__file__).parent / "sa_bench"


def names(of: Observation) -> list[str]:
    """The reasons' names."""
    return [reason.name for reason in assess(of).reasons]


def broken(number: int, **changed: object) -> tuple[Request, ...]:
    """A loop with its first ``number`` requests changed."""
    loop = closed_loop()
    return tuple(replace(one, **changed) if index < number else one for index, one in enumerate(loop))


def test_a_loop_in_order_is_not_refused():
    verdict = assess(observation())
    assert (verdict.reasons, verdict.not_evaluated) == ((), ())
    assert verdict.effective_conc == pytest.approx(8)


@given(conc=st.integers(1, 24), per_conc=st.integers(1, 12), seed=st.integers(0, 2**16))
def test_a_loop_in_order_is_never_refused_whatever_its_size(conc, per_conc, seed):
    loop = closed_loop(conc, conc * per_conc, seed=seed)
    verdict = assess(observation(loop, conc=conc))
    assert verdict.reasons == ()
    assert verdict.steady_s == 0 or verdict.effective_conc == pytest.approx(conc)


@given(number=st.integers(1, 80), output=st.one_of(st.none(), st.integers(1, OSL - 1)))
def test_every_silently_cut_stream_is_counted(number, output):
    verdict = assess(observation(broken(number, output=output)))
    assert any(str(reason).startswith(f"truncated-streams: {number} of 80") for reason in verdict.reasons)


@given(number=st.integers(1, 79))
def test_every_error_is_counted_and_is_not_a_truncation(number):
    verdict = assess(observation(broken(number, output=None, error="500 Internal Server Error")))
    assert verdict.reasons == (
        Reason("request-errors", f"{number} of 80, most often '500 Internal Server Error'"),
    )


@given(missing=st.integers(1, 79))
def test_every_lost_request_is_counted(missing):
    loop = closed_loop()[missing:]
    assert assess(observation(loop, sent=80)).reasons == (
        Reason("lost-requests", f"{80 - missing} of 80 are in the client's records"),
    )


@given(order=st.permutations(range(16)), seed=st.integers(0, 99))
def test_the_order_of_records_does_not_matter(order, seed):
    loop = closed_loop(2, 16, seed=seed)
    assert assess(observation(tuple(loop[index] for index in order), conc=2)) == assess(
        observation(loop, conc=2)
    )


@pytest.mark.parametrize(
    ("name", "broken_loop"),
    [
        ("client-failed", observation(client="killed by signal 9")),
        ("deployment-changed", observation(changes=(DeploymentChange(Cause.KILLED, "decode-1", -9),))),
        ("truncated-streams", observation(cut_streams=3)),
        ("other-prompts", observation(broken(80, input=106, asked_input=100))),
        ("migrations", observation(migrations=2)),
        ("wrong-path", observation(served={"prefill": 0, "decode": 100})),
        ("clock-trouble", observation(clock_step_s=-3.0)),
        ("clock-trouble", observation(broken(1, end_s=-5.0))),
        ("clock-trouble", observation(broken(1, ttft_ms=9_000.0))),
        ("clock-trouble", observation(broken(1, ttft_ms=-90.0))),
        ("clock-trouble", observation(broken(1, latency_ms=90_000.0))),
        ("concurrency-not-reached", observation(closed_loop(8, 80, gap_s=0.1))),
        ("client-bound", observation(broken(80, held_ms=90.0))),
        ("drift", observation(closed_loop(8, 80, slower=0.5))),
    ],
)
def test_each_deceit_is_refused_by_its_name(name, broken_loop):
    assert name in names(broken_loop)


def at_once(number: int, after_ms: float = 0.0) -> tuple[Request, ...]:
    """A loop whose first requests have their last token so soon after their first."""
    return tuple(
        replace(one, ttft_ms=one.e2e_ms - after_ms) if index < number else one
        for index, one in enumerate(closed_loop())
    )


@pytest.mark.parametrize(
    ("shares", "idle"),
    [
        ({"decode-0": 100, "decode-1": 0, "decode-2": 0}, ["decode-1", "decode-2"]),
        ({"decode-0": 99, "decode-1": 1}, []),
        ({"decode-0": 100, "decode-1": None}, []),
        ({"decode-0": 0, "decode-1": 0}, []),  # none of them: the path is wrong
    ],
)
def test_an_instance_that_served_nothing_beside_others_that_did_is_refused(shares, idle):
    reasons = assess(observation(shares={"prefill": {"prefill-0": 100}, "decode": shares})).reasons
    assert reasons == ((Reason("idle-worker", f"{', '.join(idle)} served no request"),) if idle else ())


@pytest.mark.parametrize(
    ("instances", "conc", "sent", "refused"), [(8, 8, 80, True), (9, 9, 89, False), (9, 8, 90, False)]
)
def test_an_instance_is_idle_only_where_there_was_enough_for_each(instances, conc, sent, refused):
    shares = {f"decode-{number}": number for number in range(instances)}
    loop = observation(closed_loop(conc, sent), conc=conc, shares={"decode": shares})
    assert ("idle-worker" in names(loop)) is refused


def test_answers_that_come_in_one_piece_are_no_streams():
    assert assess(observation(at_once(5))).reasons == (
        Reason("not-streamed", "5 of 80 answers came faster than a token in 0.5 ms"),
    )
    assert names(observation(at_once(4))) == []  # a client may be behind once in twenty times
    assert names(observation(at_once(80, 0.5 * (OSL - 1) - 0.01))) == ["not-streamed"]
    assert names(observation(at_once(80, 0.5 * (OSL - 1) + 0.01))) == []


def test_what_a_worker_sends_in_one_piece_by_right_is_a_stream():
    assert names(observation(at_once(80), chunk=OSL)) == []
    assert names(observation(at_once(80), chunk=OSL - 1)) == ["not-streamed"]
    assert names(observation(at_once(80, 0.5 * 10 + 0.01), chunk=OSL - 10)) == []
    assert names(observation(at_once(80, 0.5 * 10 - 0.01), chunk=OSL - 10)) == ["not-streamed"]
    single = tuple(replace(one, asked=1, output=1, latency_ms=one.ttft_ms) for one in closed_loop())
    assert "not-streamed" not in names(observation(single))


def test_nothing_generated_is_refused_by_name():
    assert "no-tokens" in names(observation(broken(80, output=0)))
    assert names(Observation(4, 40, ())) == ["lost-requests", "no-tokens"]


@pytest.mark.parametrize("unsaid", ["input", "ttft_ms"])
@pytest.mark.parametrize("number", [1, 80])
def test_a_whole_answer_has_its_prompt_tokens_and_its_ttft(unsaid, number):
    verdict = assess(observation(broken(number, **{unsaid: None})))
    assert verdict.reasons == (
        Reason("no-usage", f"{number} of 80 whole answers lack their prompt tokens or their TTFT"),
    )


def test_what_did_not_end_whole_needs_no_prompt_tokens():
    assert names(observation(broken(3, input=None, ttft_ms=None, output=None))) == ["truncated-streams"]


def test_what_is_not_whole_adds_nothing_to_a_point():
    order = launch_specs.spec(run_id="r")
    torn = observation((*broken(10, output=OSL - 1)[:10], *broken(20, output=None, error="500")[10:]))
    found = point(order.job.recipe, order.sku, torn, duration_s=10.0, timing=None)
    assert (found.status, found.requests, found.completed) == ("invalid", 80, 60)
    assert (found.input_tokens, found.output_tokens) == (60 * 100, 60 * OSL)
    assert (found.ttft_ms.n, found.tpot_ms.n, found.e2e_ms.n) == (60, 60, 60)


def test_a_chat_template_adds_a_few_tokens_to_each_prompt():
    assert names(observation(broken(80, input=104, asked_input=100))) == []


def test_a_torn_loop_is_not_also_called_slow():
    assert names(observation(closed_loop(8, 80, gap_s=0.1)[1:], sent=80)) == ["lost-requests"]


def test_the_usage_that_comes_after_the_last_token_is_no_clock_trouble():
    assert (
        assess(
            observation(tuple(replace(one, end_s=one.end_s + 0.15) for one in closed_loop(1, 10)), conc=1)
        ).reasons
        == ()
    )


def test_a_window_too_short_withholds_and_does_not_refuse():
    short = assess(observation(closed_loop(8, 16)))
    assert short.reasons == ()
    assert short.not_evaluated == (
        Reason("concurrency and drift", "no steady window, it takes more requests for each of conc"),
    )
    middling = assess(observation(closed_loop(8, 40, slower=0.9)))
    assert (middling.reasons, len(middling.not_evaluated)) == ((), 1)
    assert re.fullmatch(
        "drift: [23] rounds of conc requests in the steady window, 6 are needed",
        str(middling.not_evaluated[0]),
    )


def test_five_rounds_say_nothing_of_a_drift_and_six_do():
    five, six = (
        assess(observation(closed_loop(1, sent, scatter=0.001, slower=0.9), conc=1)) for sent in (7, 8)
    )
    assert (five.reasons, five.not_evaluated) == (
        (),
        (Reason("drift", "5 rounds of conc requests in the steady window, 6 are needed"),),
    )
    assert (len(six.reasons), six.not_evaluated) == (1, ())


def test_the_moment_between_two_requests_is_no_steady_window():
    verdict = assess(observation(closed_loop(1, 2, gap_s=0.05), conc=1))
    assert (verdict.reasons, verdict.effective_conc) == ((), None)


def test_what_nobody_could_be_asked_is_withheld_and_refuses_nothing():
    silent = assess(
        observation(
            broken(80, held_ms=None),
            served={"prefill": None, "decode": 100},
            migrations=None,
            cut_streams=None,
            clock_step_s=None,
        )
    )
    assert silent.reasons == ()
    assert silent.not_evaluated == (
        Reason("path", "the number of requests that prefill served in this loop is unknown"),
        Reason("lost streams", "the log of the frontend is not available"),
        Reason("migrations", "the number of requests that changed their worker in this loop is unknown"),
        Reason("clock", "it was not recorded whether the time of day was set"),
        Reason("client-bound", "the client does not report how long it held requests back"),
    )


def test_a_change_that_scatter_explains_is_no_drift():
    noisy = tuple(
        replace(
            one, latency_ms=(one.latency_ms or 0) * factor, end_s=one.start_s + one.span_ms * factor / 1000
        )
        for one, factor in zip(
            closed_loop(1, 10), (1, 1.4, 0.7, 1.3, 0.8, 1.4, 0.7, 1.2, 0.9, 1.3), strict=True
        )
    )
    assert "drift" not in names(observation(noisy, conc=1))


def refused_for_drift(loops: int = 100, *, conc: int = 8, sent: int = 160, **kind: float) -> int:
    """Of so many loops of a kind."""
    return sum(
        "drift" in names(observation(closed_loop(conc, sent, seed=seed, **kind), conc=conc))
        for seed in range(loops)
    )


def standing_still(pause_s: float, *, conc: int = 16, sent: int = 160) -> tuple[Request, ...]:
    """A loop in whose midst everything stands still for so long."""
    loop = closed_loop(conc, sent)
    at = float(np.median([one.end_s for one in loop]))

    def later(one: Request) -> Request:
        start, end = (moment + pause_s * (moment > at) for moment in (one.start_s, one.end_s))
        return replace(one, start_s=start, end_s=end, latency_ms=(end - start) * 1000, ttft_ms=200.0)

    return tuple(map(later, loop))


def test_a_loop_that_stands_still_is_refused():
    (reason,) = [
        reason
        for reason in assess(observation(standing_still(30.0), conc=16)).reasons
        if reason.name == "stalled"
    ]
    assert re.fullmatch(
        r"no answer ended for 30\.\d s of 3\d\.\d s, where the median latency is 0\.7 s", reason.text
    )


@pytest.mark.parametrize(
    ("sent", "pause_s", "refused"),
    [(160, 2.7, False), (160, 3.6, True), (1600, 6.0, False), (1600, 9.0, True)],
)
def test_a_pause_is_no_stall_below_five_latencies_nor_below_a_tenth_of_the_loop(sent, pause_s, refused):
    assert ("stalled" in names(observation(standing_still(pause_s, sent=sent), conc=16))) is refused


def test_a_last_request_that_keeps_all_waiting_is_refused():
    *others, last = closed_loop(16, 160)
    hanging = replace(last, end_s=last.end_s + 60, latency_ms=last.e2e_ms + 60_000)
    assert names(observation((*others, hanging), conc=16)) == ["stalled"]


@pytest.mark.parametrize("conc", [1, 2, 64])
@pytest.mark.parametrize("per_conc", [1, 2, 3, 10])
def test_answers_that_end_in_lockstep_do_not_stand_still(conc, per_conc):
    assert names(observation(closed_loop(conc, conc * per_conc, scatter=0.0), conc=conc)) == []


def test_lengths_that_differ_do_not_hide_a_drift():
    assert refused_for_drift(sent=80, shortest=0.8, slower=0.25) > 60


def test_lengths_that_differ_are_no_drift():
    assert refused_for_drift(shortest=0.5) == 0


def test_latency_that_wanders_is_hardly_ever_called_a_drift():
    assert refused_for_drift(300, wandering=0.1) < 6


def test_the_steady_window_has_neither_ramp_nor_drain():
    loop = closed_loop(4, 40)
    window = steady_window(loop, 4)
    assert window.start_s == min(one.end_s for one in loop)
    assert window.end_s == sorted(one.start_s for one in loop)[-4]
    assert effective_conc(loop, window) == pytest.approx(4)
    assert effective_conc(loop, steady_window(loop[:4], 4)) is None


def test_a_slope_and_its_error():
    assert slope([1.0, 2.0, 3.0]) == (pytest.approx(2.0), pytest.approx(0.0))
    change, error = slope([1.0, -1.0, 1.0, -1.0, 1.0])
    assert (change, error > 1) == (pytest.approx(0.0), True)


def test_values_that_resemble_their_neighbours_say_less_of_a_slope():
    _, alternating = slope([1.0, -1.0, -1.0, 1.0] * 4)
    _, swinging = slope([1.0] * 4 + [-1.0] * 8 + [1.0] * 4)
    assert swinging > 1.5 * alternating


def test_a_published_run_that_completed_nothing_is_refused():
    path = FILES / "minimaxm2.5_8k1k_conc64.json"
    verdict = sa_bench.assess(sa_bench.read(path.read_bytes(), where=str(path)))
    assert verdict.reasons == (
        Reason("lost-requests", "0 of 640 completed"),
        Reason("no-tokens", "not one output token was generated"),
    )


def test_a_published_run_in_order_is_not_refused_and_says_what_it_cannot_show():
    path = FILES / "concurrency_4_req_rate_inf_gpus_16_ctx_8_gen_8.json"
    summary = sa_bench.read(path.read_bytes(), where=str(path))
    assert (summary.conc, summary.completed, summary.output_tokens) == (4, 40, 40960)
    assert sa_bench.assess(summary) == replace(
        sa_bench.assess(summary), reasons=(), not_evaluated=(sa_bench.NO_REQUESTS,)
    )


@pytest.mark.parametrize("text", ["", "[]", '{"max_concurrency": 4}', '{"max_concurrency": null}'])
def test_a_file_that_is_no_result_is_refused(text):
    with pytest.raises(MeasureError, match="not a result file of sa-bench"):
        sa_bench.read(text, where="there.json")
