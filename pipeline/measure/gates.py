"""Gates on requests and on the deployment: what happened to a loop other than the load that was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.measure.observation import Gate, Observation
from pipeline.measure.requests import Request
from pipeline.schema.endpoint import describe

CLOCKS_MS = 20.0  # how far two clocks may differ on one request
TURNS = 10  # requests for each instance of a role; with as many, an instance that served none was left out
AT_ONCE_MS = 0.5  # per token; a stream takes longer
AT_ONCE_SHARE = 0.05  # of the streams that may be faster, because the client was late
STEP_S = 0.5  # how far the wall clock may move against the monotonic clock during a point
INPUT_SHARE = (
    0.05  # difference between prompt tokens made and counted by the server; a chat template adds a few
)


def client_failed(observation: Observation) -> str:
    """Detect a client that failed."""
    return observation.client


def deployment_changed(observation: Observation) -> str:
    """Detect workers or a frontend that exited, restarted or left during the loop."""
    return "; ".join(dict.fromkeys(map(describe, observation.changes)))


def lost_requests(observation: Observation) -> str:
    """Detect requests that were sent and are not in the records."""
    if len(observation.requests) == observation.sent:
        return ""
    return f"{len(observation.requests)} of {observation.sent} are in the client's records"


def request_errors(observation: Observation) -> str:
    """Detect requests that were answered with an error."""
    errors = Counter(request.error for request in observation.requests if request.error)
    if not errors:
        return ""
    worst, _ = errors.most_common(1)[0]
    return f"{errors.total()} of {len(observation.requests)}, most often {worst!r}"


def truncated_streams(observation: Observation) -> str:
    """Detect streams that ended early without an error, which the client takes for success.

    The frontend's count is added.
    """
    cut = sum(not request.error and not request.is_whole for request in observation.requests)
    lost = observation.cut_streams or 0
    if not cut and not lost:
        return ""
    count = "" if observation.cut_streams is None else f"; the frontend lost {lost} streams"
    return f"{cut} of {len(observation.requests)} ended before their last token{count}"


def no_tokens(observation: Observation) -> str:
    """Detect a loop in which nothing was generated, although its requests may have ended well."""
    is_empty = not any(request.output for request in observation.requests)
    return "not one output token was generated" if is_empty else ""


def no_usage(observation: Observation) -> str:
    """Detect whole answers without a count of prompt tokens, or without the time of their first token."""
    whole = [request for request in observation.requests if request.is_whole]
    missing = sum(request.input is None or request.ttft_ms is None for request in whole)
    return (
        f"{missing} of {len(whole)} whole answers lack their prompt tokens or their TTFT" if missing else ""
    )


def other_prompts(observation: Observation) -> str:
    """Detect a server that counts other prompts than were made: another tokenizer, or a long template."""
    pairs = [
        (r.input, r.asked_input)
        for r in observation.requests
        if r.input is not None and r.asked_input is not None
    ]
    counted, made = sum(one for one, _ in pairs), sum(one for _, one in pairs)
    if abs(counted - made) <= INPUT_SHARE * made:
        return ""
    return f"the server counts {counted} prompt tokens where {made} were made"


def migrations(observation: Observation) -> str:
    """Detect requests that another worker took over: whole for their client, and too slow."""
    return f"{observation.migrations} requests changed their worker" if observation.migrations else ""


def wrong_path(observation: Observation) -> str:
    """Detect a role that did not serve every request once.

    Prefill was skipped, requests came from another client, or a worker restarted.
    """
    wanted = observation.expected_served
    wrong = [
        f"{role} {count}"
        for role, count in observation.served.items()
        if count is not None and wanted is not None and count != wanted
    ]
    return f"{', '.join(wrong)} requests served where {wanted} were sent" if wrong else ""


def idle_worker(observation: Observation) -> str:
    """Detect instances that served nothing while others of their role did: fewer GPUs worked than count."""
    idle = [
        name
        for shares in observation.shares.values()
        if _has_enough_requests(observation, shares)
        for name, count in shares.items()
        if count == 0
    ]
    return f"{', '.join(idle)} served no request" if idle else ""


def clock_trouble(observation: Observation) -> str:
    """Detect time that ran backwards, clocks that disagree about a request, or a wall clock that was set."""
    answered = [request for request in observation.requests if not request.error]
    bad = sum(_has_clock_trouble(request) for request in answered)
    if bad:
        return f"{bad} requests have times that contradict each other"
    step = observation.clock_step_s or 0.0
    return f"the time of day moved {step:+.1f} s against the steady clock" if abs(step) > STEP_S else ""


def not_streamed(observation: Observation) -> str:
    """Detect answers in one piece, from a buffering proxy or a late client.

    Their TPOT is not that of the deployment.
    """
    streamed = [
        request for request in observation.requests if request.is_whole and request.asked > observation.chunk
    ]
    late = sum(_is_at_once(request, observation.chunk) for request in streamed)
    if late <= AT_ONCE_SHARE * len(streamed):
        return ""
    return f"{late} of {len(streamed)} answers came faster than a token in {AT_ONCE_MS} ms"


GATES: dict[str, Gate] = {  # by the name of the reason, most serious first
    "client-failed": client_failed,
    "deployment-changed": deployment_changed,
    "lost-requests": lost_requests,
    "request-errors": request_errors,
    "truncated-streams": truncated_streams,
    "no-tokens": no_tokens,
    "no-usage": no_usage,
    "other-prompts": other_prompts,
    "migrations": migrations,
    "wrong-path": wrong_path,
    "idle-worker": idle_worker,
    "clock-trouble": clock_trouble,
    "not-streamed": not_streamed,
}


def _has_enough_requests(observation: Observation, shares: Mapping[str, int | None]) -> bool:
    """Whether every instance should have served some.

    A role that served nothing at all is on the wrong path.
    """
    return (
        any(shares.values()) and observation.conc >= len(shares) and observation.sent >= TURNS * len(shares)
    )


def _has_clock_trouble(request: Request) -> bool:
    """Whether first token, last token and end of the stream are out of order."""
    first, last, end = request.ttft_ms or 0.0, request.e2e_ms, request.span_ms
    return not -CLOCKS_MS <= first <= last + CLOCKS_MS <= end + 2 * CLOCKS_MS


def _is_at_once(request: Request, chunk: int) -> bool:
    """Whether the tokens after the first piece of up to ``chunk`` came faster than any stream sends them."""
    if request.ttft_ms is None:
        return False
    return request.e2e_ms - request.ttft_ms < AT_ONCE_MS * (request.asked - chunk)
