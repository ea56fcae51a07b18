"""AIPerf beside a live deployment: warm-up and a closed loop at each concurrency, judged before it counts.

AIPerf ends with success though streams were cut under it, so its records are held against what was asked for, what the workers
served and what the frontend lost. It lives in an environment of its own; only its program is called.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.edge.shell import Child, Shell
from pipeline.errors import PipelineError
from pipeline.measure import aiperf_files, counters, surroundings
from pipeline.measure.aiperf_files import Recorded
from pipeline.measure.points import pack, point, span_s
from pipeline.measure.validity import Seen, judge
from pipeline.schema.catalogue import Sku
from pipeline.schema.endpoint import Endpoint, scratch_prefix
from pipeline.schema.plan import Job
from pipeline.schema.result import Measurement, Point, RawFile

INSTALL = "`nox -s client` installs it; then put .nox/client/bin on PATH, or name the program in the cluster document as `client`"
UNSET = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # with either, AIPerf 0.13.0 refuses a tokenizer that is a folder
POLL_S, LOOK_S = 0.1, 1.0  # how often the client is looked at, and the deployment
DYING_S = 300.0  # what a client may go on for once the deployment is no longer whole, so that it writes down what it saw
VERSION_S = 120.0
OURS = ("records.jsonl", "aggregate.json", "phases.json", "aiperf.log", "console.log")  # names in raw/, in the order of KEPT
KEPT = (aiperf_files.RECORDS, aiperf_files.AGGREGATE, aiperf_files.PHASES, "logs/aiperf.log", "console.log")


@dataclass(frozen=True, slots=True)
class Setup:
    """One job on its endpoint, how much is measured, and a folder for what comes out."""

    job: Job
    sku: Sku
    endpoint: Endpoint
    program: str
    run_id: str
    requests_per_conc: int
    seed: int
    staging: Path


@dataclass(frozen=True, slots=True)
class Means:
    """Everything outside."""

    shell: Shell
    http: Http
    clock: Clock


def measure(setup: Setup, means: Means) -> Measurement:
    """Every concurrency of a job, one after the other, until the deployment is no longer what was launched; OSError when a disk is full."""
    version = _version(setup, means)
    points: list[Point] = []
    stages = {"warm-up": 0.0, "measure": 0.0, "client": 0.0}
    for conc in setup.job.recipe.conc:
        found, spent = _point(setup, means, conc)
        points.append(found)
        stages = {name: seconds + spent[name] for name, seconds in stages.items()}
        if setup.endpoint.alive():
            break
    return Measurement(
        points=tuple(points),
        versions={"aiperf": version, **setup.endpoint.versions},
        stages_s=stages,
        commands={
            **setup.endpoint.commands,
            **{f"aiperf c{one.conc}": tuple(command(setup, one.conc, Path("ARTIFACTS"))) for one in points},
        },
        gpus=surroundings.gpus(means.shell, setup.endpoint.beside),
    )


def command(setup: Setup, conc: int, out: Path) -> list[str]:
    """AIPerf's arguments for one concurrency: as many different prompts as requests, lengths uniform in [shortest · L, L]."""
    recipe, endpoint = setup.job.recipe, setup.endpoint
    client, workload = recipe.client, recipe.workload
    requests, warmup = conc * setup.requests_per_conc, conc * client.warmup_per_conc
    argv = [setup.program, "profile", "--model", endpoint.served_name, "--tokenizer", endpoint.tokenizer, "--url", endpoint.url]
    argv += ["--endpoint-type", "chat" if client.chat_template else "completions", "--streaming", "--use-server-token-count"]
    argv += ["--concurrency", str(conc), "--request-count", str(requests), "--num-dataset-entries", str(requests + warmup)]
    argv += ["--isl", str(workload.isl), "--osl", str(workload.osl), "--prompt-corpus", "random"]
    argv += ["--random-corpus-style", "sglang", "--random-range-ratio", f"{client.shortest:g}", "--random-seed", str(setup.seed)]
    if client.ignore_eos:
        argv += ["--extra-inputs", "ignore_eos:true"]
    if warmup:
        argv += ["--warmup-request-count", str(warmup), "--warmup-concurrency", str(conc)]
        argv += ["--warmup-request-rate", f"{client.warmup_req_s:g}"]
    argv += ["--export-level", "records", "--artifact-dir", str(out), "--ui", "none", "--no-gpu-telemetry", "--no-server-metrics"]
    return argv


def _point(setup: Setup, means: Means, conc: int) -> tuple[Point, dict[str, float]]:
    out = setup.staging / f"aiperf-c{conc}"
    out.mkdir(parents=True)
    before, wall, steady = counters.read(setup.endpoint, means.http), means.clock.now(), means.clock.monotonic()
    trouble, changes = _run(setup, means, conc, out)
    spent = means.clock.monotonic() - steady
    step = (means.clock.now() - wall).total_seconds() - spent
    after, recorded = counters.read(setup.endpoint, means.http), aiperf_files.read(out)
    seen, lost = _seen(setup, conc, recorded, trouble), counters.lost_streams(setup.endpoint.frontend_log, before)
    seen = replace(
        seen,
        changes=tuple(dict.fromkeys([*(change.partition("; the end of ")[0] for change in changes), *counters.replaced(before, after)])),
        cut_streams=lost,
        migrations=counters.migrated(before, after, lost or 0),
        served=counters.served(before, after, setup.endpoint.instances),
        clock_step_s=step,
    )
    duration = span_s(recorded.requests) or spent
    found = point(setup.job.recipe, setup.sku, seen, judge(seen), duration_s=duration)
    warmup, measured = recorded.warmup_s or 0.0, recorded.profiling_s or duration
    stages = {"warm-up": warmup, "measure": measured, "client": max(0.0, spent - warmup - measured)}
    return found.model_copy(update={"raw": _keep(setup, conc, out)}), stages


def _seen(setup: Setup, conc: int, recorded: Recorded, trouble: str) -> Seen:
    sent, client = conc * setup.requests_per_conc, setup.job.recipe.client
    expected = sent + conc * client.warmup_per_conc
    return Seen(conc, sent, recorded.requests, client=trouble or recorded.trouble, expected_served=expected)


def _run(setup: Setup, means: Means, conc: int, out: Path) -> tuple[str, list[str]]:
    """Run AIPerf to its end; gives why it did not end well, and what became of the deployment meanwhile."""
    clock, endpoint = means.clock, setup.endpoint
    limit_s = setup.job.recipe.limits.time_s
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(setup.run_id, setup.job.id)) as scratch:
        argv = endpoint.beside([*_environment(scratch), *command(setup, conc, out)])
        with means.shell.spawn(argv, log=out / "console.log") as child:
            start = looked_at = clock.monotonic()
            changed_at, changes = None, list[str]()
            while (code := child.poll()) is None:
                now = clock.monotonic()
                if not changes and now - looked_at > LOOK_S:
                    changes, looked_at = endpoint.alive(), now
                changed_at = now if changes and changed_at is None else changed_at
                if changed_at is not None and now - changed_at > DYING_S:
                    return _ended(child, f"ended {DYING_S:.0f} s after the deployment had changed"), changes
                if now - start > limit_s:
                    return _ended(child, f"did not end within {limit_s} s"), changes
                clock.sleep(POLL_S)
    changes = changes or endpoint.alive()
    return _farewell(code, out / "console.log"), changes


def _farewell(code: int, log: Path) -> str:
    """Why a client did not end well; a program between us and it says signal N as 128 + N."""
    number = -code if code < 0 else code - 128
    return f"killed by signal {number}" if number > 0 else f"exit code {code}: {_last_line(log)}" if code else ""


def _ended(child: Child, why: str) -> str:
    child.end()
    return why


def _environment(scratch: str) -> list[str]:
    unset = [word for name in UNSET for word in ("-u", name)]
    return ["env", *unset, f"TMPDIR={scratch}"]


def _version(setup: Setup, means: Means) -> str:
    """AIPerf's version; PipelineError with the way to install it when it is not there."""
    argv = setup.endpoint.beside(["env", setup.program, "--version"])
    found = means.shell.run(argv, timeout_s=VERSION_S)
    if found.code:
        what = f"the load client {setup.program!r} cannot be run: {(found.stderr or found.stdout).strip()[-200:]}"
        raise PipelineError(what, hint=INSTALL)
    return found.stdout.split()[-1] if found.stdout.split() else "unknown"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it said nothing")


def _keep(setup: Setup, conc: int, out: Path) -> tuple[RawFile, ...]:
    """What AIPerf wrote, and the lengths that it asked for in place of the prompts: those come again from the seed."""
    asked = out / "asked.json"
    asked.write_text(json.dumps(aiperf_files.asked_lengths(out / aiperf_files.INPUTS)), encoding="utf-8")
    named = [*zip(KEPT, OURS, strict=True), (asked.name, asked.name)]
    return tuple(pack(out / source, setup.staging, f"c{conc}/{name}") for source, name in named if (out / source).is_file())
