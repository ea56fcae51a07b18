"""Requests of one closed loop, as recorded by any client, and the window in which its load was steady."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Seconds are on one clock with any zero; None where the client did not record a value."""

    start_s: float
    end_s: float
    ttft_ms: float | None
    asked: int  # output tokens that were asked for
    output: int | None  # output tokens counted by the server; None when the stream ended without a count
    input: int | None
    error: str = ""  # what the client received instead of an answer
    latency_ms: float | None = None  # to the last token; None where only the end of the stream is known
    held_ms: float | None = None  # how long the client held the request back
    asked_input: int | None = None  # tokens of the prompt that was made; None where it is not known

    @property
    def e2e_ms(self) -> float:
        """From sending to the last token, as in the published client.

        Usage and the end of the stream follow later.
        """
        return self.span_ms if self.latency_ms is None else self.latency_ms

    @property
    def span_ms(self) -> float:
        """From sending to the end of the stream."""
        return (self.end_s - self.start_s) * 1000

    @property
    def tpot_ms(self) -> float | None:
        """(latency - TTFT) / (output tokens - 1); None below two tokens."""
        if self.output is None or self.output < 2 or self.ttft_ms is None:
            return None
        return (self.e2e_ms - self.ttft_ms) / (self.output - 1)

    def latency_at(self, tokens: float) -> float:
        """Return the latency in ms of an answer of ``tokens`` tokens at the TPOT of this one.

        Where TPOT is unknown it is the latency of this one.
        """
        return (
            self.e2e_ms
            if self.ttft_ms is None or self.tpot_ms is None
            else self.ttft_ms + self.tpot_ms * (tokens - 1)
        )

    @property
    def is_whole(self) -> bool:
        """Answered without an error and with every token that was asked for."""
        return not self.error and self.output == self.asked


@dataclass(frozen=True, slots=True)
class Window:
    """From the first completion until the last ``conc`` requests start: neither ramp nor drain."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Length; 0 when there is no such moment."""
        return max(0.0, self.end_s - self.start_s)


def steady_window(requests: Sequence[Request], conc: int) -> Window:
    """Return the steady window of a closed loop.

    It is empty when it is shorter than the mean request, as it is for 2 · ``conc`` requests.
    """
    if not requests:
        return Window(0.0, 0.0)
    starts = sorted(request.start_s for request in requests)
    first = min(request.end_s for request in requests)
    last = starts[max(0, len(starts) - conc)]
    mean_s = math.fsum(request.end_s - request.start_s for request in requests) / len(
        requests
    )  # the same in any order
    return Window(first, last if last - first >= mean_s else first)


def effective_conc(requests: Sequence[Request], window: Window) -> float | None:
    """Return the mean number of requests in flight over the window; None when it is empty."""
    return _mean_present([(r.start_s, r.end_s) for r in requests], window)


def decoding(requests: Sequence[Request], window: Window) -> float | None:
    """Return the mean number of whole requests that decode over the window; None when it is empty."""
    spans = [
        (r.start_s + r.ttft_ms / 1000, r.end_s) for r in requests if r.is_whole and r.ttft_ms is not None
    ]
    return _mean_present(spans, window)


def _mean_present(spans: Sequence[tuple[float, float]], window: Window) -> float | None:
    if window.seconds <= 0:
        return None
    starts, ends = np.array([start for start, _ in spans]), np.array([end for _, end in spans])
    inside = np.minimum(ends, window.end_s) - np.maximum(starts, window.start_s)
    return math.fsum(np.maximum(inside, 0.0)) / window.seconds
