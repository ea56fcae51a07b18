"""Gates on the speed of a whole loop: whether it was a steady state at the concurrency that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.measure.observation import Gate, Observation, Reason
from pipeline.measure.requests import effective_conc, steady_window
from pipeline.measure.statistics import slope

REACHED = 0.95  # of the concurrency, on the steady window
HELD_SHARE = 0.2  # of the median TTFT that a client may hold requests back, at the median
# A pause without an answer is a stall above both: a share of the loop, and a number of median latencies.
STALL_SHARE, STALL_LATENCIES = 0.1, 5  # answers in lockstep are one latency apart
ROUNDS = 6  # of conc requests each, that a drift is evaluated on
DRIFT_FLOOR = 0.10  # of the mean: a smaller change over the window does not matter
STUDENT_T = {
    4: 8.61,
    5: 6.87,
    6: 5.96,
    7: 5.41,
    8: 5.04,
    9: 4.78,
}  # by degrees of freedom, two-sided p = .001
STUDENT_T_MANY = 4.59  # of ten degrees, also used for more of them


def stalled(observation: Observation) -> str:
    """Detect a long pause without an answer: everything stood still, or the others waited for one request."""
    if not observation.requests:
        return ""
    ends = sorted(request.end_s for request in observation.requests)
    pause = max((after - before for before, after in pairwise(ends)), default=0.0)
    whole = ends[-1] - min(request.start_s for request in observation.requests)
    latency = float(np.median([request.e2e_ms for request in observation.requests])) / 1000
    if pause <= max(STALL_SHARE * whole, STALL_LATENCIES * latency):
        return ""
    return f"no answer ended for {pause:.1f} s of {whole:.1f} s, where the median latency is {latency:.1f} s"


def concurrency_missed(observation: Observation) -> str:
    """Detect less load than was asked for, on the steady window."""
    effective = effective_conc(observation.requests, steady_window(observation.requests, observation.conc))
    if effective is None or effective >= REACHED * observation.conc:
        return ""
    return f"{effective:.1f} of {observation.conc} in flight on the steady window"


def client_bound(observation: Observation) -> str:
    """Detect a client that held requests back so long that it measured itself."""
    held = [request.held_ms for request in observation.requests if request.held_ms is not None]
    ttft = [request.ttft_ms for request in observation.requests if request.ttft_ms is not None]
    if not held or not ttft:
        return ""
    wait, first = float(np.median(held)), float(np.median(ttft))
    if wait <= HELD_SHARE * first:
        return ""
    return f"the client held requests back for {wait:.0f} ms, TTFT is {first:.0f} ms"


def drift(observation: Observation) -> str:
    """Detect latency that rises or falls over the steady window by more than its own scatter explains."""
    averages = rounds(observation)
    if len(averages) < ROUNDS:
        return ""
    change, error = slope(averages)
    mean = float(np.mean(averages))
    if abs(change) <= max(DRIFT_FLOOR * mean, STUDENT_T.get(len(averages) - 2, STUDENT_T_MANY) * error):
        return ""
    scatter = f"beyond its scatter of {error / mean:.1%}"
    return f"latency changes by {change / mean:+.0%} over the steady window, {scatter}"


SPEED_GATES: dict[str, Gate] = {  # by the name of the reason, most serious first
    "stalled": stalled,
    "concurrency-not-reached": concurrency_missed,
    "client-bound": client_bound,
    "drift": drift,
}


def short_window(observation: Observation) -> Reason | None:
    """Return what cannot be evaluated because the steady window is too short."""
    if steady_window(observation.requests, observation.conc).seconds <= 0:
        return Reason("concurrency and drift", "no steady window, it takes more requests for each of conc")
    found = len(rounds(observation))
    if found >= ROUNDS:
        return None
    return Reason("drift", f"{found} rounds of conc requests in the steady window, {ROUNDS} are needed")


def rounds(observation: Observation) -> list[float]:
    """Return the mean latency of each ``conc`` requests in order of completion.

    Only requests that began and ended in the window are used. Latencies are scaled to the mean length that
    was asked for, so that different lengths do not hide a drift.
    """
    window = steady_window(observation.requests, observation.conc)
    inside = [r for r in observation.requests if window.start_s <= r.start_s and r.end_s <= window.end_s]
    inside.sort(key=lambda request: request.end_s)
    tokens = sum(request.asked for request in inside) / max(1, len(inside))
    return _averages([request.latency_at(tokens) for request in inside], observation.conc)


def _averages(values: Sequence[float], size: int) -> list[float]:
    return [float(np.mean(values[at : at + size])) for at in range(0, len(values) - size + 1, size)]
