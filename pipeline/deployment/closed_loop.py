"""A simplified replay that takes a few hundred milliseconds.

It models what determines throughput, TPOT and TTFT. Prefill ranks process one prompt at a time, first in,
first out; or the ranks of a worker are in lock-step: each takes up to ``pass_tokens`` of its queue into a pass,
the pass lasts as long as that of its longest rank, and its prompts end at once. A step of a decode rank takes
``step + per_token · resident KV`` for its whole batch. Requests go to the ranks in turn. The fit needs hundreds
of such runs; reported figures come from the replay itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class RequestLengths:
    """Tokens of every request of a run. Compared by identity, as hashing thousands of numbers is slow."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """One closed loop. Units: tok/s of a prefill rank, s of a decode step, s per resident KV token.

    ``pass_tokens`` None: prefill ranks are independent.
    """

    conc: int
    lengths: RequestLengths
    prefill_ranks: int
    ranks_per_worker: int
    pass_tokens: int | None
    decode_ranks: int
    block: int
    prefill_tok_s: float
    step_s: float
    per_token_s: float


class LoopFigures(NamedTuple):
    """Figures of all requests of a closed loop."""

    duration_s: float
    tpot_p50_ms: float
    ttft_p50_ms: float
    ttft_mean_ms: float


def closed_loop(loop: Loop) -> LoopFigures:
    """Return the figures of a closed loop."""
    state = _State(loop)
    state.run()
    tpot_s = (state.last - state.first) / (np.array(loop.lengths.outputs) - 1)
    ttft_s = state.first - state.start
    return LoopFigures(
        state.now,
        float(np.median(tpot_s)) * 1e3,
        float(np.median(ttft_s)) * 1e3,
        float(np.mean(ttft_s)) * 1e3,
    )


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
        self.left = list(loop.lengths.inputs)  # tokens of each prompt that no pass has taken yet
        self.ending: dict[int, list[int]] = {}  # prompts that end with the running pass of a worker
        self.start: NDArray[np.float64] = np.zeros(len(loop.lengths.inputs))
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
            elif self.loop.pass_tokens is None:
                self.hand_over(request)
                self.prefill(rank)
            else:
                self.end_pass(rank, self.loop.pass_tokens)

    def push(self, after: float, *, is_decode: bool, rank: int, request: int) -> None:
        self.count += 1
        heappush(self.events, (self.now + after, self.count, is_decode, rank, request))

    def send(self) -> None:
        rank = self.sent % self.loop.prefill_ranks
        self.queues[rank].append(self.sent)
        self.start[self.sent] = self.now
        self.sent += 1
        if self.loop.pass_tokens is not None:
            worker = rank // self.loop.ranks_per_worker
            if worker not in self.ending:  # a pass begins after all that are sent at this moment
                self.ending[worker] = []
                self.push(0.0, is_decode=False, rank=worker, request=-1)
        elif not self.is_prefilling[rank]:
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

    def end_pass(self, worker: int, pass_tokens: int) -> None:
        """Hand over the prompts of a pass that ends, and begin the next one of all ranks of the worker."""
        for request in self.ending.pop(worker):
            self.hand_over(request)
        longest, ending, first = 0, [], worker * self.loop.ranks_per_worker
        for queue in self.queues[first : first + self.loop.ranks_per_worker]:
            room = pass_tokens
            while queue and room:
                taken = min(room, self.left[queue[0]])
                room -= taken
                self.left[queue[0]] -= taken
                if not self.left[queue[0]]:
                    ending.append(queue.popleft())
            longest = max(longest, pass_tokens - room)
        if longest:
            self.ending[worker] = ending
            self.push(longest / self.loop.prefill_tok_s, is_decode=False, rank=worker, request=-1)

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
