"""Closed loops as a client records them: in order until a test breaks something."""

from __future__ import annotations

import heapq
import math
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.measure.observation import Observation
from pipeline.measure.requests import Request

TTFT_MS, TPOT_MS, OSL = 200.0, 10.0, 50


def closed_loop(
    conc: int = 8,
    sent: int = 80,
    *,
    seed: int = 0,
    scatter: float = 0.02,
    gap_s: float = 0.0,
    slower: float = 0.0,
    shortest: float = 1.0,
    wandering: float = 0.0,
) -> tuple[Request, ...]:
    """``sent`` requests, ``conc`` at once: a place that gets free is taken after ``gap_s``.

    Latency scatters by the share ``scatter`` and grows by the share ``slower`` from the first request to the last; it wanders by
    ``wandering`` (s.d. of its logarithm) so slowly that half of it is still there ``conc`` requests later. Output lengths are uniform
    in [``shortest`` · OSL, OSL].
    """
    random = np.random.default_rng(seed)
    places = [0.0] * conc
    found = []
    kept = 0.5 ** (1 / conc)
    mood = random.normal() * wandering if wandering else 0.0
    for number in range(sent):
        start = heapq.heappop(places)
        length = int(random.integers(int(OSL * shortest), OSL + 1)) if shortest < 1 else OSL
        mood = kept * mood + math.sqrt(1 - kept**2) * random.normal() * wandering if wandering else 0.0
        factor = random.uniform(1 - scatter, 1 + scatter) * (1 + slower * number / sent) * math.exp(mood)
        ttft, tpot = TTFT_MS * factor, TPOT_MS * factor
        latency = ttft + tpot * (length - 1)
        end = start + latency / 1000
        heapq.heappush(places, end + gap_s)
        made = Request(
            start_s=start,
            end_s=end,
            ttft_ms=ttft,
            asked=length,
            output=length,
            input=100,
            latency_ms=latency,
            held_ms=1.0,
        )
        found.append(made)
    return tuple(found)


def observation(requests: tuple[Request, ...] | None = None, *, conc: int = 8, **changed: Any) -> Observation:
    """A loop in order: nobody died, every role served every request."""
    made = closed_loop(conc, 10 * conc) if requests is None else requests
    served: dict[str, int | None] = {"prefill": 100, "decode": 100}
    whole = Observation(
        conc,
        len(made),
        made,
        cut_streams=0,
        migrations=0,
        served=served,
        expected_served=100,
        clock_step_s=0.0,
    )
    return replace(whole, **changed)
