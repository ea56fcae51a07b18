"""Whether a closed loop can be trusted: every gate that fails is a reason, with its name.

A client that saw streams break may exit with success, and one that waits for itself measures itself: neither
is a measurement. Throughput keeps the published definition (all tokens over the whole wall clock);
concurrency and drift are evaluated on the steady window.
"""

from __future__ import annotations

from pipeline.measure.gates import GATES
from pipeline.measure.observation import Assessment, Observation, Reason
from pipeline.measure.requests import effective_conc, steady_window
from pipeline.measure.steadiness import SPEED_GATES, short_window


def assess(observation: Observation) -> Assessment:
    """Evaluate all gates; those on speed only for whole loops, where they do not repeat other reasons."""
    window = steady_window(observation.requests, observation.conc)
    gates = GATES if _is_torn(observation) else GATES | SPEED_GATES
    reasons = tuple(Reason(name, text) for name, gate in gates.items() if (text := gate(observation)))
    short = short_window(observation)
    return Assessment(
        reasons=reasons,
        not_evaluated=(*_unknown(observation), *([short] if short else [])),
        effective_conc=effective_conc(observation.requests, window),
        steady_s=window.seconds,
    )


def _is_torn(observation: Observation) -> bool:
    is_complete = len(observation.requests) == observation.sent
    return not is_complete or not all(request.is_whole for request in observation.requests)


def _unknown(observation: Observation) -> list[Reason]:
    """Return what cannot be evaluated because client or deployment did not report it."""
    found: list[Reason] = []
    roles = [role for role, count in observation.served.items() if count is None]
    if roles:
        text = f"the number of requests that {', '.join(roles)} served in this loop is unknown"
        found.append(Reason("path", text))
    if observation.cut_streams is None:
        found.append(Reason("lost streams", "the log of the frontend is not available"))
    if observation.migrations is None:
        found.append(
            Reason("migrations", "the number of requests that changed their worker in this loop is unknown")
        )
    if observation.clock_step_s is None:
        found.append(Reason("clock", "it was not recorded whether the time of day was set"))
    if observation.requests and all(request.held_ms is None for request in observation.requests):
        found.append(Reason("client-bound", "the client does not report how long it held requests back"))
    return found
