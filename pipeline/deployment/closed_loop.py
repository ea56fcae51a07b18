"""A simplified replay that takes a few hundred milliseconds: it models what determines throughput and TPOT.

Prefill ranks process one prompt at a time, first in, first out. A step of a decode rank takes
``step + per_token · resident KV`` for its whole batch. Requests go to the ranks in turn. The fit needs
hundreds of such runs; reported figures come from the replay itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class RequestLengths:
    """Tokens of every request of a run. Compared by identity, as hashing thousands of numbers is slow."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """One closed loop. Units: tok/s of a prefill rank, s of a decode step, s per resident KV token."""

    conc: int
    lengths: RequestLengths
    prefill_ranks: int
    decode_ranks: int
    block: int
    prefill_tok_s: float
    step_s: float
    per_token_s: float


def closed_loop(loop: Loop) -> tuple[float, float]:
    """Return the duration in s and the median TPOT in ms of all requests."""
    state = _State(loop)
    state.run()
    outputs = np.array(loop.lengths.outputs)
    return state.now, float(np.median((state.last - state.first) / (outputs - 1))) * 1e3


@dataclass(slots=True)
class _Decode:
    """One decode rank: requests to admit, requests without a first token, last step of each request."""

    arriving: list[tuple[int, bool]] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)
    due: list[tuple[int, int]] = field(default_factory=list)
    is_busy: bool = False
    active: int = 0
    resident: int = 0
    step: int = 0


class _State:
    def __init__(self, loop: Loop) -> None:
        self.loop, self.now, self.sent, self.handed, self.count = loop, 0.0, 0, 0, 0
        self.queues: list[deque[int]] = [deque() for _ in range(loop.prefill_ranks)]
        self.is_prefilling = [False] * loop.prefill_ranks
        self.decodes = [_Decode() for _ in range(loop.decode_ranks)]
        self.events: list[tuple[float, int, bool, int, int]] = []
        self.first: NDArray[np.float64] = np.zeros(len(loop.lengths.inputs))
        self.last: NDArray[np.float64] = np.zeros(len(loop.lengths.inputs))

    def run(self) -> None:
        for _ in range(min(self.loop.conc, len(self.loop.lengths.inputs))):
            self.send()
        while self.events:
            self.now, _, is_decode, rank, request = heappop(self.events)
            if is_decode:
                self.end_step(rank)
            else:
                self.hand_over(request)
                self.prefill(rank)

    def push(self, after: float, *, is_decode: bool, rank: int, request: int) -> None:
        self.count += 1
        heappush(self.events, (self.now + after, self.count, is_decode, rank, request))

    def send(self) -> None:
        rank = self.sent % self.loop.prefill_ranks
        self.queues[rank].append(self.sent)
        self.sent += 1
        if not self.is_prefilling[rank]:
            self.prefill(rank)

    def prefill(self, rank: int) -> None:
        queue = self.queues[rank]
        self.is_prefilling[rank] = bool(queue)
        if queue:
            request = queue.popleft()
            self.push(
                self.loop.lengths.inputs[request] / self.loop.prefill_tok_s,
                is_decode=False,
                rank=rank,
                request=request,
            )

    def hand_over(self, request: int) -> None:
        rank = self.handed % self.loop.decode_ranks
        self.handed += 1
        decode = self.decodes[rank]
        decode.arriving.append((request, decode.is_busy))
        if not decode.is_busy:
            self.begin_step(rank)

    def begin_step(self, rank: int) -> None:
        decode, loop = self.decodes[rank], self.loop
        late = []
        for request, is_late in decode.arriving:  # a rank that is busy admits one step late
            if is_late:
                late.append((request, False))
                continue
            heappush(decode.due, (decode.step + loop.lengths.outputs[request], request))
            decode.fresh.append(request)
            decode.active += 1
            decode.resident += loop.lengths.inputs[request] + loop.block // 2
        decode.arriving, decode.is_busy = late, True
        self.push(loop.step_s + loop.per_token_s * decode.resident, is_decode=True, rank=rank, request=-1)

    def end_step(self, rank: int) -> None:
        decode, loop, lengths = self.decodes[rank], self.loop, self.loop.lengths
        decode.step += 1
        decode.resident += decode.active
        decode.is_busy = False
        if decode.fresh:
            self.first[decode.fresh] = self.now
            decode.fresh = []
        while decode.due and decode.due[0][0] <= decode.step:
            request = heappop(decode.due)[1]
            self.last[request] = self.now
            decode.active -= 1
            decode.resident -= lengths.inputs[request] + loop.block // 2 + lengths.outputs[request]
            if self.sent < len(lengths.inputs):
                self.send()
        if decode.active or decode.arriving:
            self.begin_step(rank)
