"""Configuration of AIPerf: the closed loops of a job in one run, each with its warm-up. Written for 0.13.0.

The config is YAML, of which JSON is a subset. One run has all loops, since each run takes seconds to start
and to write its files. No request is sent in the pause between two loops, in which the deployment's counters
are read. Requests are those of the replay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.edge.endpoint import Endpoint
from pipeline.measure import prompts
from pipeline.measure.lengths import draw
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.timing import SkuTiming

CONFIG, PROMPTS, ASKED = "load.json", "prompts.jsonl", "asked.json"
PAUSE_S, READ_S = (
    0.5,
    0.1,
)  # pause between two loops, and its extension for each instance whose counters are read
NEVER_REQ_S = 1e-3  # a rate whose first request would be sent long after the pause
SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """One job on its endpoint, how much is measured, and a folder for the output."""

    job: Job
    sku: Sku
    endpoint: Endpoint
    program: str
    run_id: str
    requests_per_conc: int
    seed: int
    staging: Path
    timing: SkuTiming | None  # of simulated engines; None on hardware
    secrets: tuple[str, ...] = ()  # values that no file keeps

    def sent(self, conc: int) -> int:
        """Return the number of requests of one measured loop."""
        return conc * self.requests_per_conc

    def warming(self, conc: int) -> int:
        """Return the number of requests of its warm-up."""
        return conc * self.job.recipe.client.warmup_per_conc


def loop(conc: int) -> str:
    """Return the name of the measured phase of a concurrency in AIPerf's files and log."""
    return f"c{conc}"


def warmup(conc: int) -> str:
    """Return the name of its warm-up."""
    return f"warmup-c{conc}"


def pause_s(settings: LoadSettings) -> float:
    """Return the pause between two loops in seconds: twice the time of reading all counters, and a margin."""
    return PAUSE_S + READ_S * len(settings.endpoint.instances)


def write(settings: LoadSettings, concs: Sequence[int], out: Path) -> dict[str, tuple[int, int]]:
    """Write config and prompts; return the input and output tokens by session.

    PipelineError without a tokenizer.
    """
    out.mkdir(parents=True)
    document = config(settings, concs, out)
    asked: dict[str, tuple[int, int]] = {}
    pool = prompts.words(settings.endpoint.tokenizer)
    with (out / PROMPTS).open("w", encoding="utf-8") as file:
        for phase in document["benchmark"]["phases"]:
            lengths = _lengths(settings, phase)
            # By phase, so that a second run sends other prompts than the first.
            seed = (settings.seed, *phase["name"].encode())
            texts = prompts.texts(pool, [isl for isl, _ in lengths], seed=seed)
            for at, (text, (isl, osl)) in enumerate(zip(texts, lengths, strict=True)):
                session = f"{phase['name']}-{at}"
                file.write(prompts.line(session, text, osl))
                asked[session] = (isl, osl)
    (out / ASKED).write_text(json.dumps(asked), encoding="utf-8")
    (out / CONFIG).write_text(json.dumps(document, indent=1), encoding="utf-8")
    return asked


def command(settings: LoadSettings, out: Path) -> list[str]:
    """Return AIPerf's command line; everything else is in the config."""
    return [settings.program, "profile", "--config", str(settings.endpoint.place.path(out) / CONFIG)]


def config(settings: LoadSettings, concs: Sequence[int], out: Path) -> dict[str, Any]:
    """Return the config: closed loops one after the other, with a different prompt for each request."""
    client, endpoint = settings.job.recipe.client, settings.endpoint
    benchmark = {
        "models": [endpoint.served_name],
        "tokenizer": {"name": endpoint.tokenizer},
        "endpoint": {
            "urls": [endpoint.url],
            "type": "chat" if client.chat_template else "completions",
            "streaming": True,
            "useServerTokenCount": True,
            "extra": {"ignore_eos": True} if client.ignore_eos else {},
        },
        "datasets": [
            {
                "name": "main",
                "type": "file",
                "path": str(endpoint.place.path(out) / PROMPTS),
                "format": "single_turn",
                "sampling": "sequential",
                "prompts": {"corpus": "random"},
            }
        ],
        "phases": [
            phase for at, conc in enumerate(concs) for phase in _phases(settings, conc, is_first=at == 0)
        ],
        "artifacts": {"dir": str(endpoint.place.path(out)), "records": ["jsonl"], "autoPlot": False},
        "gpuTelemetry": {"enabled": False},
        "serverMetrics": {"enabled": False},
        "runtime": {"ui": "none"},
    }
    return {"schemaVersion": "2.0", "randomSeed": settings.seed, "benchmark": benchmark}


def _phases(settings: LoadSettings, conc: int, *, is_first: bool) -> list[dict[str, Any]]:
    """Return the phases of a concurrency: a pause, unless it is the first; a warm-up, if any; the loop."""
    pause = {
        "name": f"pause-c{conc}",
        "kind": "warmup",
        "type": "constant",
        "rate": NEVER_REQ_S,
        "duration": pause_s(settings),
    }
    warming = {
        "name": warmup(conc),
        "kind": "warmup",
        "type": "poisson",
        "rate": settings.job.recipe.client.warmup_req_s,
    }
    warming |= {"requests": settings.warming(conc), "concurrency": conc}
    measured = {
        "name": loop(conc),
        "kind": "profiling",
        "type": "concurrency",
        "requests": settings.sent(conc),
        "concurrency": conc,
    }
    return [*([] if is_first else [pause]), *([warming] if settings.warming(conc) else []), measured]


def _lengths(settings: LoadSettings, phase: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the input and output tokens of each request of a phase; those of a loop equal the replay's.

    A pause has a prompt as well, since AIPerf reads the next prompt before it sends it.
    """
    recipe, requests = settings.job.recipe, phase.get("requests", 1)
    seed = settings.seed if phase["kind"] == "profiling" else (settings.seed + 1) % SEEDS
    inputs, outputs = draw(recipe.workload, recipe.client, requests=requests, seed=seed)
    return list(zip(inputs.tolist(), outputs.tolist(), strict=True))
