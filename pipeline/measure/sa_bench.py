"""Result files of sa-bench and vLLM's serving benchmark: aggregates of one closed loop, times in ms."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipeline.errors import MeasureError
from pipeline.measure.observation import Assessment, Reason

NO_REQUESTS = Reason("streams, concurrency, client and drift", "the file holds no single request")


@dataclass(frozen=True, slots=True)
class Summary:
    """The aggregates of one closed loop."""

    conc: int
    sent: int
    completed: int
    input_tokens: int
    output_tokens: int
    duration_s: float


def read(text: str | bytes, *, where: str) -> Summary:
    """Read one result file; MeasureError when it is not one."""
    try:
        raw = json.loads(text)
        return Summary(
            conc=int(raw["max_concurrency"]),
            sent=int(raw["num_prompts"]),
            completed=int(raw["completed"]),
            input_tokens=int(raw["total_input_tokens"]),
            output_tokens=int(raw["total_output_tokens"]),
            duration_s=float(raw["duration"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(f"not a result file of sa-bench: {error!r}", where=where) from error


def assess(summary: Summary) -> Assessment:
    """Evaluate the gates that aggregates can answer."""
    reasons = []
    if summary.completed != summary.sent:
        reasons.append(Reason("lost-requests", f"{summary.completed} of {summary.sent} completed"))
    if summary.output_tokens <= 0:
        reasons.append(Reason("no-tokens", "not one output token was generated"))
    return Assessment(tuple(reasons), (NO_REQUESTS,), None, 0.0)
