"""What AIPerf is asked to do: the closed loops of a job in one run, each with its warm-up. Written for 0.13.0.

Its config is YAML, and so is JSON. One run for all loops, since each run costs seconds to start and to write. Between two loops nothing
is sent for a while: the deployment's counters, read then, belong to one loop and to no other. Requests are those of the replay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.measure import prompts
from pipeline.measure.lengths import draw
from pipeline.schema.catalogue import Sku
from pipeline.schema.endpoint import Endpoint
from pipeline.schema.plan import Job

CONFIG, PROMPTS, ASKED = "load.json", "prompts.jsonl", "asked.json"
PAUSE_S, ASKING_S = (
    0.5,
    0.1,
)  # without a request between two loops, and so much more for each instance that is asked then
NEVER_REQ_S = 1e-3  # a rate whose first request comes long after the pause
SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """One job on its endpoint, how much is measured, and a folder for what comes out."""

    job: Job
    sku: Sku
    endpoint: Endpoint
    program: str
    run_id: str
    requests_per_conc: int
    seed: int
    staging: Path

    def sent(self, conc: int) -> int:
        """Requests of one measured loop."""
        return conc * self.requests_per_conc

    def warming(self, conc: int) -> int:
        """Requests of its warm-up."""
        return conc * self.job.recipe.client.warmup_per_conc


def loop(conc: int) -> str:
    """Name of the measured phase of a concurrency, in AIPerf's files and log."""
    return f"c{conc}"


def warmup(conc: int) -> str:
    """Name of its warm-up."""
    return f"warmup-c{conc}"


def pause_s(settings: LoadSettings) -> float:
    """Seconds between two loops in which nothing is sent: twice what it takes to read the counters of all instances, with room."""
    return PAUSE_S + ASKING_S * len(settings.endpoint.instances)


def write(settings: LoadSettings, concs: Sequence[int], out: Path) -> dict[str, tuple[int, int]]:
    """Make the folder with config, prompts and what they ask for; gives the latter by session. PipelineError without a tokenizer."""
    out.mkdir(parents=True)
    document = config(settings, concs, out)
    asked: dict[str, tuple[int, int]] = {}
    pool = prompts.words(settings.endpoint.tokenizer)
    with (out / PROMPTS).open("w", encoding="utf-8") as file:
        for phase in document["benchmark"]["phases"]:
            lengths = _lengths(settings, phase)
            seed = (
                settings.seed,
                *phase["name"].encode(),
            )  # by name: a second run must not send what the first has sent
            texts = prompts.texts(pool, [isl for isl, _ in lengths], seed=seed)
            for at, (text, (isl, osl)) in enumerate(zip(texts, lengths, strict=True)):
                session = f"{phase['name']}-{at}"
                file.write(prompts.line(session, text, osl))
                asked[session] = (isl, osl)
    (out / ASKED).write_text(json.dumps(asked), encoding="utf-8")
    (out / CONFIG).write_text(json.dumps(document, indent=1), encoding="utf-8")
    return asked


def command(settings: LoadSettings, out: Path) -> list[str]:
    """AIPerf's arguments: all that it is to do stands in the config."""
    return [settings.program, "profile", "--config", str(out / CONFIG)]


def config(settings: LoadSettings, concs: Sequence[int], out: Path) -> dict[str, Any]:
    """Closed loops one after the other, with a prompt of its own for each request."""
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
                "path": str(out / PROMPTS),
                "format": "single_turn",
                "sampling": "sequential",
                "prompts": {"corpus": "random"},
            }
        ],
        "phases": [
            phase for at, conc in enumerate(concs) for phase in _phases(settings, conc, is_first=at == 0)
        ],
        "artifacts": {"dir": str(out), "records": ["jsonl"], "autoPlot": False},
        "gpuTelemetry": {"enabled": False},
        "serverMetrics": {"enabled": False},
        "runtime": {"ui": "none"},
    }
    return {"schemaVersion": "2.0", "randomSeed": settings.seed, "benchmark": benchmark}


def _phases(settings: LoadSettings, conc: int, *, is_first: bool) -> list[dict[str, Any]]:
    """A pause, unless it is the first; the warm-up, if there is one; the loop."""
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
    """Input and output tokens of each request of a phase; a loop asks for what the replay asks for.

    AIPerf takes the next prompt before it has to send it: so a pause has one as well.
    """
    recipe, requests = settings.job.recipe, phase.get("requests", 1)
    seed = settings.seed if phase["kind"] == "profiling" else (settings.seed + 1) % SEEDS
    inputs, outputs = draw(recipe.workload, recipe.client, requests=requests, seed=seed)
    return list(zip(inputs.tolist(), outputs.tolist(), strict=True))
