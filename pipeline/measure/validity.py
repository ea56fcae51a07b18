"""What cannot be trusted is refused by name. Pure: requests and what was seen beside them in, reasons out.

A client that saw streams break may end with success, and one that waits on itself measures itself: neither is a measurement.
Throughput keeps the published definition (all tokens over the whole wall clock); concurrency and drift are judged on the steady window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pipeline.measure.requests import Request, Window, effective_conc, steady_window
from pipeline.measure.statistics import slope

REACHED = 0.95  # of the concurrency, on the steady window
HELD_SHARE = 0.2  # of the median TTFT that a client may hold requests back, at the median
CLOCKS_MS = 20.0  # by how much two clocks may differ on one request
TURNS = 10  # requests for each instance of a role, from which on one that served none was passed by
AT_ONCE_MS, AT_ONCE_SHARE = (
    0.5,
    0.05,
)  # per token, which no stream undercuts; and how many may, by a hiccup of the client
STALL_SHARE, STALL_LATENCIES = (
    0.1,
    5,
)  # of the loop, and median latencies, without an answer; answers in lockstep are one apart
STEP_S = 0.5  # by how much the time of day may run away from the steady clock during a point
ROUNDS = 6  # of conc requests each, that a drift is judged on; fewer say nothing
INPUT_SHARE = 0.05  # of the prompt tokens that were made, by which the server may count others; a chat template adds a few
DRIFT_FLOOR = 0.10  # of the mean: a smaller change over the window is nobody's business
STUDENT_T = {
    4: 8.61,
    5: 6.87,
    6: 5.96,
    7: 5.41,
    8: 5.04,
    9: 4.78,
}  # by degrees of freedom, two-sided p = .001
STUDENT_T_MANY = 4.59  # of ten degrees, kept for more of them


@dataclass(frozen=True, slots=True)
class Observation:
    """One closed loop: its requests, and what was seen beside them. None = nobody could be asked."""

    conc: int
    sent: int  # requests that the loop was to send
    requests: tuple[Request, ...]
    client: str = ""  # why the client did not end well
    changes: tuple[str, ...] = ()  # why the deployment is no longer what was launched
    cut_streams: int | None = None  # streams that the frontend says it lost
    migrations: int | None = None
    served: dict[str, int | None] = field(default_factory=dict)  # requests by role, warm-up included
    expected_served: int | None = (
        None  # what each role should have served; None as well where a client failed: what it sent is not known
    )
    shares: dict[str, dict[str, int | None]] = field(
        default_factory=dict
    )  # ``served`` by instance, where each has its turn; else empty
    clock_step_s: float | None = None  # time of day minus steady clock, end minus start
    chunk: int = 1  # output tokens that a worker may send in one piece


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a point is refused, and what could not be judged; both empty for a point in order."""

    reasons: tuple[str, ...]
    not_evaluated: tuple[str, ...]
    effective_conc: float | None
    steady_s: float


def judge(observation: Observation) -> Verdict:
    """Every gate that has something to say, worst first: ``name: what was found``."""
    window = steady_window(observation.requests, observation.conc)
    effective = effective_conc(observation.requests, window)
    reasons = [
        said
        for gate in (*_GATES, *(() if _is_torn(observation) else _SPEED_GATES))
        if (said := gate(observation))
    ]
    not_evaluated = filter(None, (*_unasked(observation), _short_window(observation)))
    return Verdict(tuple(reasons), tuple(not_evaluated), effective, window.seconds)


def client_failed(observation: Observation) -> str:
    """The client did not end as it should."""
    return f"client-failed: {observation.client}" if observation.client else ""


def deployment_changed(observation: Observation) -> str:
    """A worker or the frontend died, restarted or left while it was measured."""
    return f"deployment-changed: {'; '.join(observation.changes)}" if observation.changes else ""


def lost_requests(observation: Observation) -> str:
    """Requests sent and requests reported are not as many."""
    return (
        f"lost-requests: {len(observation.requests)} of {observation.sent} are in the client's records"
        if len(observation.requests) != observation.sent
        else ""
    )


def request_errors(observation: Observation) -> str:
    """Requests that got an error for an answer."""
    errors = Counter(request.error for request in observation.requests if request.error)
    if not errors:
        return ""
    worst, _ = errors.most_common(1)[0]
    return f"request-errors: {errors.total()} of {len(observation.requests)}, most often {worst!r}"


def truncated_streams(observation: Observation) -> str:
    """Streams that ended early without an error, which the client took for success; the frontend's count stands beside it."""
    cut = sum(not request.error and not request.is_whole for request in observation.requests)
    lost = observation.cut_streams or 0
    if not cut and not lost:
        return ""
    said = "" if observation.cut_streams is None else f"; the frontend lost {lost} streams"
    return f"truncated-streams: {cut} of {len(observation.requests)} ended before their last token{said}"


def no_tokens(observation: Observation) -> str:
    """Nothing was generated, however well the requests ended."""
    return (
        ""
        if any(request.output for request in observation.requests)
        else "no-tokens: not one output token was generated"
    )


def no_usage(observation: Observation) -> str:
    """Whole answers without their prompt tokens, which would count for none, or without the moment of their first token."""
    whole = [request for request in observation.requests if request.is_whole]
    unsaid = sum(request.input is None or request.ttft_ms is None for request in whole)
    return (
        f"no-usage: {unsaid} of {len(whole)} whole answers lack their prompt tokens or their TTFT"
        if unsaid
        else ""
    )


def other_prompts(observation: Observation) -> str:
    """The server counts other prompts than were made for it: another tokenizer, or a template longer than the prompt."""
    pairs = [
        (r.input, r.asked_input)
        for r in observation.requests
        if r.input is not None and r.asked_input is not None
    ]
    counted, made = sum(one for one, _ in pairs), sum(one for _, one in pairs)
    if abs(counted - made) <= INPUT_SHARE * made:
        return ""
    return f"other-prompts: the server counts {counted} prompt tokens where {made} were made"


def migrated(observation: Observation) -> str:
    """Requests that were taken over by another worker: whole for their client, and slower than the deployment is."""
    return (
        f"migrations: {observation.migrations} requests changed their worker"
        if observation.migrations
        else ""
    )


def unserved(observation: Observation) -> str:
    """A role served other than every request once: prefill passed by, requests from elsewhere, or a worker that counts anew."""
    wanted = observation.expected_served
    wrong = [
        f"{role} {count}"
        for role, count in observation.served.items()
        if count is not None and wanted is not None and count != wanted
    ]
    return f"wrong-path: {', '.join(wrong)} requests served where {wanted} were sent" if wrong else ""


def idle_worker(observation: Observation) -> str:
    """Instances that served nothing while others of their role did: fewer GPUs worked than are counted."""
    idle = [
        name
        for shares in observation.shares.values()
        if _have_turns(observation, shares)
        for name, count in shares.items()
        if count == 0
    ]
    return f"idle-worker: {', '.join(idle)} served no request" if idle else ""


def clock_trouble(observation: Observation) -> str:
    """Time ran backwards, two clocks disagree about one request, or the time of day was set."""
    answered = [request for request in observation.requests if not request.error]
    bad = sum(_has_clock_trouble(request) for request in answered)
    if bad:
        return f"clock-trouble: {bad} requests have times that contradict each other"
    step = observation.clock_step_s or 0.0
    return (
        f"clock-trouble: the time of day moved {step:+.1f} s against the steady clock"
        if abs(step) > STEP_S
        else ""
    )


def not_streamed(observation: Observation) -> str:
    """Answers that came in one piece, as a proxy that buffers or a client that is behind makes of a stream: their TPOT is nobody's pace."""
    streamed = [
        request for request in observation.requests if request.is_whole and request.asked > observation.chunk
    ]
    late = sum(_is_at_once(request, observation.chunk) for request in streamed)
    if late <= AT_ONCE_SHARE * len(streamed):
        return ""
    return f"not-streamed: {late} of {len(streamed)} answers came faster than a token in {AT_ONCE_MS} ms"


def stalled(observation: Observation) -> str:
    """For a good part of the loop nothing was answered: everything stood still, or one request kept the others waiting for its end."""
    if not observation.requests:
        return ""
    ends = sorted(request.end_s for request in observation.requests)
    pause = max((after - before for before, after in pairwise(ends)), default=0.0)
    whole = ends[-1] - min(request.start_s for request in observation.requests)
    latency = float(np.median([request.e2e_ms for request in observation.requests])) / 1000
    if pause <= max(STALL_SHARE * whole, STALL_LATENCIES * latency):
        return ""
    return f"stalled: no answer ended for {pause:.1f} s of {whole:.1f} s, where the median latency is {latency:.1f} s"


def concurrency_missed(observation: Observation) -> str:
    """Less load than asked for, on the steady window."""
    effective = effective_conc(observation.requests, steady_window(observation.requests, observation.conc))
    if effective is None or effective >= REACHED * observation.conc:
        return ""
    return f"concurrency-not-reached: {effective:.1f} of {observation.conc} in flight on the steady window"


def client_bound(observation: Observation) -> str:
    """The client held requests back for long enough to measure itself."""
    held = [request.held_ms for request in observation.requests if request.held_ms is not None]
    ttft = [request.ttft_ms for request in observation.requests if request.ttft_ms is not None]
    if not held or not ttft:
        return ""
    wait, first = float(np.median(held)), float(np.median(ttft))
    return (
        f"client-bound: the client held requests back for {wait:.0f} ms, TTFT is {first:.0f} ms"
        if wait > HELD_SHARE * first
        else ""
    )


def drift(observation: Observation) -> str:
    """Latency rises or falls over the steady window by more than its own scatter explains: it was not a steady state."""
    rounds = _rounds(observation)
    if len(rounds) < ROUNDS:
        return ""
    change, error = slope(rounds)
    mean = float(np.mean(rounds))
    if abs(change) <= max(DRIFT_FLOOR * mean, STUDENT_T.get(len(rounds) - 2, STUDENT_T_MANY) * error):
        return ""
    return f"drift: latency changes by {change / mean:+.0%} over the steady window, beyond its scatter of {error / mean:.1%}"


Gate = Callable[[Observation], str]
_GATES: tuple[Gate, ...] = (
    client_failed,
    deployment_changed,
    lost_requests,
    request_errors,
    truncated_streams,
    no_tokens,
    no_usage,
    other_prompts,
    migrated,
    unserved,
    idle_worker,
    clock_trouble,
    not_streamed,
)
_SPEED_GATES: tuple[Gate, ...] = (
    stalled,
    concurrency_missed,
    client_bound,
    drift,
)  # of whole loops; of others they say the same again


def _is_torn(observation: Observation) -> bool:
    return len(observation.requests) != observation.sent or not all(
        request.is_whole for request in observation.requests
    )


def _have_turns(observation: Observation, shares: Mapping[str, int | None]) -> bool:
    """Whether there was enough for each; a role that served nothing at all is another reason's."""
    return (
        any(shares.values()) and observation.conc >= len(shares) and observation.sent >= TURNS * len(shares)
    )


def _has_clock_trouble(request: Request) -> bool:
    """First token, last token and end of the stream must come in this order."""
    return (
        not -CLOCKS_MS
        <= (request.ttft_ms or 0.0)
        <= request.e2e_ms + CLOCKS_MS
        <= request.span_ms + 2 * CLOCKS_MS
    )


def _is_at_once(request: Request, chunk: int) -> bool:
    """Whether what follows the first piece, which may be a whole ``chunk``, took less time than any stream takes."""
    return request.ttft_ms is not None and request.e2e_ms - request.ttft_ms < AT_ONCE_MS * (
        request.asked - chunk
    )


def _rounds(observation: Observation) -> list[float]:
    """Mean latency of each ``conc`` requests in the order of completion, of those that began and ended within the window.

    Each at the mean length that was asked for, so that a drift is not lost among answers of different lengths.
    """
    window = steady_window(observation.requests, observation.conc)
    inside = [r for r in observation.requests if window.start_s <= r.start_s and r.end_s <= window.end_s]
    inside.sort(key=lambda request: request.end_s)
    tokens = sum(request.asked for request in inside) / max(1, len(inside))
    return _clients([request.latency_at(tokens) for request in inside], observation.conc)


def _clients(values: Sequence[float], size: int) -> list[float]:
    return [float(np.mean(values[at : at + size])) for at in range(0, len(values) - size + 1, size)]


def _short_window(observation: Observation) -> str:
    """What the steady window is too short for."""
    window: Window = steady_window(observation.requests, observation.conc)
    if window.seconds <= 0:
        return "concurrency and drift: no steady window, it takes more requests for each of conc"
    found = len(_rounds(observation))
    return (
        ""
        if found >= ROUNDS
        else f"drift: {found} rounds of conc requests in the steady window, {ROUNDS} are needed"
    )


def _unasked(observation: Observation) -> tuple[str, ...]:
    """What nobody could be asked, or not in time."""
    silent = [role for role, count in observation.served.items() if count is None]
    found = (
        [f"path: it is not known how many requests of this loop {', '.join(silent)} served"] if silent else []
    )
    if observation.cut_streams is None:
        found.append("lost streams: the frontend could not be asked")
    if observation.migrations is None:
        found.append("migrations: it is not known how many requests of this loop changed their worker")
    if observation.clock_step_s is None:
        found.append("clock: nobody looked whether the time of day was set")
    if observation.requests and all(request.held_ms is None for request in observation.requests):
        found.append("client-bound: the client does not say how long it held requests back")
    return tuple(found)
