"""Request lengths as the published client draws them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.schema.recipe import Client, Workload

Tokens = NDArray[np.int64]


def draw(workload: Workload, client: Client, *, requests: int, seed: int) -> tuple[Tokens, Tokens]:
    """Return input and output lengths in tokens, each of shape (requests,).

    They are uniform integers in [floor(shortest · L), L]. sa-bench, like vLLM's serving benchmark that it was
    forked from, seeds NumPy's legacy generator and draws all inputs, then all outputs.
    """
    generator = np.random.RandomState(seed)
    lows = (int(workload.isl * client.shortest), int(workload.osl * client.shortest))
    inputs = generator.randint(lows[0], workload.isl + 1, size=requests)
    outputs = generator.randint(lows[1], workload.osl + 1, size=requests)
    return inputs.astype(np.int64), outputs.astype(np.int64)


def trace(inputs: Tokens, outputs: Tokens, *, block: int) -> Iterator[str]:
    """Yield the lines of a mooncake-style trace: all requests at time 0, no shared prefix."""
    first = 0
    for isl, osl in zip(inputs.tolist(), outputs.tolist(), strict=True):
        blocks = -(-isl // block)
        yield json.dumps(
            {
                "timestamp": 0,
                "input_length": isl,
                "output_length": osl,
                "hash_ids": list(range(first, first + blocks)),
            },
            separators=(",", ":"),
        )
        first += blocks
