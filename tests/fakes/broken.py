"""Results as a correct client measures them, of random deployments, and every way in which one can contradict itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.measure.lengths import draw
from pipeline.measure.statistics import summarise
from pipeline.schema.recipe import Client, Workload
from pipeline.schema.result import JobRecord, Point, Statistics
from tests.fakes import rows

Change = Callable[[random.Random, Point], dict[str, Any]]
LENGTHS = ((8192, 1024), (1024, 1024), (1024, 8192), (128, 64), (1024, 1))


def valid(chance: random.Random) -> tuple[JobRecord, tuple[Point, ...]]:
    """A job record and its points, computed from requests in a closed loop."""
    isl, osl = chance.choice(LENGTHS)
    widths = chance.choice(("dep4-dep8", "tep4-tp4", "tp1-dep16", "dep8-tp8"))
    recipe = rows.recipe(
        f"{chance.randint(1, 6)}p{chance.randint(1, 3)}d-{widths}",
        conc=tuple(sorted(chance.sample((1, 4, 7, 64, 512), chance.randint(1, 3)))),
        workload=Workload(isl=isl, osl=osl),
        client=Client(
            requests_per_conc=chance.choice((1, 2, 10)),
            warmup_per_conc=2,
            warmup_req_s=250.0,
            shortest=1.0 if osl == 1 else chance.choice((0.8, 1.0)),
            seed=0,
            ignore_eos=True,
            chat_template=False,
        ),
    )
    record = rows.record(recipe, requests_per_conc=recipe.client.requests_per_conc)
    return record, tuple(_point(chance, record, conc) for conc in recipe.conc)


def _point(chance: random.Random, record: JobRecord, conc: int) -> Point:
    recipe = record.job.recipe
    n = conc * record.provenance.requests_per_conc
    inputs, outputs = draw(recipe.workload, recipe.client, requests=n, seed=chance.randint(0, 99))
    noise = np.random.RandomState(chance.randint(0, 2**31))
    tpot = noise.lognormal(np.log(chance.uniform(2, 80)), chance.uniform(0.01, 0.5), n)
    ttft = noise.lognormal(np.log(chance.uniform(20, 20_000)), chance.uniform(0.01, 1.0), n)
    e2e = ttft + tpot * (outputs - 1)
    ends = np.zeros(conc)
    for latency in e2e:  # the client that is free first sends the next request
        ends[ends.argmin()] += latency
    overhead = chance.choice((0.0, 1.5))
    return Point(
        conc=conc,
        status="ok",
        gpus_prefill=recipe.prefill.gpus,
        gpus_decode=recipe.decode.gpus,
        gpus_held=recipe.gpus_held(4),
        requests=n,
        completed=n,
        input_tokens=int(inputs.sum()) + n * chance.choice((0, 12)),
        output_tokens=int(outputs.sum()),
        duration_s=float(ends.max()) / 1000 + overhead,
        overhead_s=overhead,
        ttft_ms=summarise(ttft),
        tpot_ms=summarise(tpot[outputs > 1]),
        e2e_ms=summarise(e2e),
        effective_conc=chance.choice((None, conc * 0.98)),
        steady_s=0.0,
    )


def _scaled(statistics: Statistics, factor: float) -> Statistics:
    values = {name: getattr(statistics, name) for name in ("mean", "p50", "p90", "p99")}
    return Statistics(n=statistics.n, **{name: value and value * factor for name, value in values.items()})


def _latencies(factor: float) -> Change:
    return lambda _, one: {
        name: _scaled(getattr(one, name), factor) for name in ("ttft_ms", "tpot_ms", "e2e_ms")
    }


BROKEN: dict[str, Change] = {
    "a part of the GPUs": lambda chance, one: {"gpus_decode": max(0, one.gpus_decode - chance.randint(1, 8))},
    "GPUs of another recipe": lambda chance, one: {"gpus_prefill": one.gpus_prefill + chance.randint(1, 64)},
    "no GPUs": lambda _chance, _one: {"gpus_prefill": 0, "gpus_decode": 0},
    "fewer held than counted": lambda _, one: {"gpus_held": one.gpus_counted - 1},
    "none held": lambda _chance, _one: {"gpus_held": 1},
    "nothing completed": lambda _chance, _one: {"completed": 0},
    "requests missing": lambda _, one: {"requests": one.requests - 1, "completed": one.requests - 1},
    "one not completed": lambda _, one: {"completed": one.completed - 1},
    "more completed than sent": lambda _, one: {"completed": one.completed + 1},
    "negative input tokens": lambda _, one: {"input_tokens": -one.input_tokens},
    "negative output tokens": lambda _chance, _one: {"output_tokens": -1},
    "input tokens of other lengths": lambda chance, one: {
        "input_tokens": one.input_tokens * chance.randint(4, 9)
    },
    "output tokens of other lengths": lambda chance, one: {
        "output_tokens": one.output_tokens * chance.randint(2, 9)
    },
    "no output tokens": lambda _chance, _one: {"output_tokens": 0},
    "more fixed than the whole": lambda _, one: {"overhead_s": one.duration_s * 2},
    "wall clock in ms": lambda _, one: {"duration_s": one.duration_s * 1000},
    "wall clock in minutes": lambda _, one: {"duration_s": one.duration_s / 60, "overhead_s": 0.0},
    "latencies in seconds": _latencies(1e-3),
    "latencies in microseconds": _latencies(1e3),
    "E2E in seconds": lambda _, one: {"e2e_ms": _scaled(one.e2e_ms, 1e-3)},
    "negative E2E": lambda _, one: {"e2e_ms": _scaled(one.e2e_ms, -1.0)},
    "negative TTFT": lambda _, one: {"ttft_ms": _scaled(one.ttft_ms, -1.0)},
    "zero E2E": lambda _, one: {"e2e_ms": _scaled(one.e2e_ms, 0.0)},
    "E2E below TTFT": lambda _, one: {"e2e_ms": _scaled(one.ttft_ms, 0.5)},
    "quantiles that fall": lambda _, one: {"e2e_ms": one.e2e_ms.model_copy(update={"p90": 0.1})},
    "a mean below its quantiles": lambda _, one: {"ttft_ms": one.ttft_ms.model_copy(update={"mean": 0.0})},
    "p99 of too few": lambda _, one: {
        "ttft_ms": one.ttft_ms.model_copy(update={"p99": 1e9, "n": min(one.ttft_ms.n, 30)})
    },
    "latencies of other requests": lambda _, one: {
        "e2e_ms": one.e2e_ms.model_copy(update={"n": one.e2e_ms.n + 1})
    },
    "no latencies": lambda _chance, _one: {
        "e2e_ms": Statistics(n=0, mean=None, p50=None, p90=None, p99=None)
    },
    "figures of no requests": lambda _, one: {"ttft_ms": one.ttft_ms.model_copy(update={"n": 0})},
    "more load than concurrency": lambda _, one: {"effective_conc": one.conc * 1.2},
    "a valid point with reasons": lambda _chance, _one: {"reasons": ("no-tokens: none",)},
    "an invalid point without": lambda _chance, _one: {"status": "invalid"},
}
WITH_GAPS: dict[str, Change] = {  # of answers of more than one token
    "negative TPOT": lambda _, one: {"tpot_ms": _scaled(one.tpot_ms, -1.0)},
    "zero TPOT": lambda _, one: {"tpot_ms": _scaled(one.tpot_ms, 0.0)},
    "TPOT in seconds": lambda _, one: {"tpot_ms": _scaled(one.tpot_ms, 1e-3)},
    "TPOT ten times": lambda _, one: {"tpot_ms": _scaled(one.tpot_ms, 10.0)},
}
