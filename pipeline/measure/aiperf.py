"""AIPerf beside a live deployment: warm-up and a closed loop at each concurrency.

AIPerf exits with success although streams were cut, so its records are compared with what was asked for, what
the workers served and what the frontend lost. It is installed in a separate environment; only its program is
called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.measure import aiperf_files, aiperf_load, aiperf_run, counters, surroundings
from pipeline.measure.aiperf_files import AiperfOutput
from pipeline.measure.aiperf_load import LoadSettings
from pipeline.measure.aiperf_run import INSTALL, ClientRun
from pipeline.measure.observation import Observation
from pipeline.measure.points import pack, point, span_s
from pipeline.schema.result import Measurement, Point, RawFile

__all__ = ["INSTALL", "Clients", "measure"]

FRUITLESS = 2  # consecutive runs of the client without a loop, after which no other is started
SETTLE_S = 5.0  # until requests of a client that was killed are cancelled and counted
STAGES = ("warm-up", "measure", "client")
MAY_PREFER = re.compile("^(--router-mode|DYN_ROUTER_MODE=)")  # one instance to another
KEPT = {
    "records.jsonl": aiperf_files.RECORDS,
    "aggregate.json": aiperf_files.AGGREGATE,
    "phases.json": aiperf_files.PHASES,
    "load.json": aiperf_load.CONFIG,
    "aiperf.log": aiperf_files.LOG,
    "console.log": "console.log",
    "asked.json": aiperf_load.ASKED,
}  # names in raw/ and in AIPerf's folder


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of one run of AIPerf."""

    points: tuple[Point, ...]  # with the one in which it failed
    stages_s: dict[str, float]
    version: str  # of AIPerf; empty where it did not report one
    has_loops: bool  # whether a measured loop started


def measure(settings: LoadSettings, clients: Clients) -> Measurement:
    """Measure every concurrency of a job, until its time is over or the deployment changes.

    OSError when a disk is full.

    One run of AIPerf measures all loops. Where it fails in one of them, another run continues behind it,
    unless no loop starts at all.
    """
    results = _runs(settings, clients)
    versions = [one.version for one in results if one.version]
    return Measurement(
        points=tuple(found for one in results for found in one.points),
        versions={"aiperf": versions[-1] if versions else "unknown", **settings.endpoint.versions},
        stages_s={name: sum(one.stages_s[name] for one in results) for name in STAGES},
        commands={
            **settings.endpoint.commands,
            "aiperf": tuple(aiperf_load.command(settings, Path("ARTIFACTS"))),
        },
        gpus=settings.endpoint.gpus or surroundings.gpus(clients.shell, settings.endpoint.place.command),
    )


def _runs(settings: LoadSettings, clients: Clients) -> list[RunResult]:
    """Run AIPerf until every concurrency has a point, or another run would not help."""
    results: list[RunResult] = []
    remaining, fruitless, began = settings.job.recipe.conc, 0, clients.clock.monotonic()
    while remaining:
        if results:
            clients.clock.sleep(SETTLE_S)
        result = _run(settings, clients, remaining, f"client-{len(results) + 1}" if results else "client")
        results.append(result)
        remaining = remaining[len(result.points) :]
        fruitless = 0 if result.has_loops else fruitless + 1
        elapsed_s = clients.clock.monotonic() - began
        if (
            fruitless == FRUITLESS
            or settings.endpoint.changes()
            or elapsed_s > settings.job.recipe.limits.time_s
        ):
            break
    return results


def _run(settings: LoadSettings, clients: Clients, concs: Sequence[int], name: str) -> RunResult:
    """Run AIPerf once, keep its files, and return its points."""
    out = settings.staging / name
    began = clients.clock.monotonic()
    asked = aiperf_load.write(settings, concs, out)
    client_run = aiperf_run.run(settings, clients, concs, out)
    whole = clients.clock.monotonic() - began
    output = aiperf_files.read(out, asked)
    if output.trouble and client_run.last < 0:
        client_run.stop(trouble=output.trouble)
    raw = _keep(settings, out, name)
    points = tuple(
        _point(settings, client_run, output, at).model_copy(update={"raw": raw})
        for at in range(client_run.last_loop + 1)
    )
    has_loops = bool(output.loops) or client_run.loop_started
    return RunResult(points, _stages_s(concs, output, points, whole), output.version, has_loops)


def _stages_s(
    concs: Sequence[int], output: AiperfOutput, points: Sequence[Point], whole_s: float
) -> dict[str, float]:
    """Return the seconds of warm-ups and loops, and those that AIPerf itself took."""
    warmup = sum(output.phases_s.get(aiperf_load.warmup(conc), 0.0) for conc in concs)
    measured = sum(output.phases_s.get(aiperf_load.loop(conc), 0.0) for conc in concs)
    measured = measured or sum(one.duration_s for one in points)
    return {"warm-up": warmup, "measure": measured, "client": max(0.0, whole_s - warmup - measured)}


def _point(settings: LoadSettings, client_run: ClientRun, output: AiperfOutput, at: int) -> Point:
    observation = _observation(settings, client_run, output, at)
    spent = client_run.snapshots[at + 1].monotonic_s - client_run.snapshots[at].monotonic_s
    return point(
        settings.job.recipe,
        settings.sku,
        observation,
        duration_s=span_s(observation.requests) or spent,
        timing=settings.timing,
    )


def _observation(settings: LoadSettings, client_run: ClientRun, output: AiperfOutput, at: int) -> Observation:
    """Combine the client's records of a loop with the deployment's counters before and after it."""
    conc, endpoint = client_run.concs[at], settings.endpoint
    first, second = client_run.snapshots[at], client_run.snapshots[at + 1]
    before, after = first.counts, second.counts
    lost = counters.lost_streams(endpoint.place, endpoint.frontend_log, before, after)
    changes = client_run.changes if at == client_run.last else []
    trouble = client_run.trouble if at == client_run.last else ""
    steady_s = second.monotonic_s - first.monotonic_s
    return Observation(
        conc,
        settings.sent(conc),
        output.loops.get(aiperf_load.loop(conc), ()),
        client=trouble,
        changes=tuple(dict.fromkeys([*changes, *counters.replaced(before, after)])),
        cut_streams=lost,
        migrations=counters.migrated(before, after, lost or 0),
        served=counters.served(before, after, endpoint.instances),
        shares=counters.shares(before, after, endpoint.instances) if _takes_turns(endpoint) else {},
        # Unknown where the client failed.
        expected_served=None if trouble else settings.sent(conc) + settings.warming(conc),
        clock_step_s=(second.wall - first.wall).total_seconds() - steady_s,
        chunk=_chunk(endpoint),
    )


def _chunk(endpoint: Endpoint) -> int:
    """Return the output tokens that a worker sends in one piece (``--stream-interval``, default 1)."""
    values = (
        int(value)
        for argv in endpoint.commands.values()
        for option, value in pairwise(argv)
        if option == "--stream-interval"
    )
    return max(values, default=1)


def _takes_turns(endpoint: Endpoint) -> bool:
    """Whether the frontend sends requests to all instances in turn, which is its default."""
    return not any(MAY_PREFER.search(argument) for argument in endpoint.commands.get("frontend", ()))


def _keep(settings: LoadSettings, out: Path, name: str) -> tuple[RawFile, ...]:
    """Keep AIPerf's files, and the requested lengths in place of the prompts, which follow from the seed."""
    kept = ((ours, out / theirs) for ours, theirs in KEPT.items())
    return tuple(
        pack(path, settings.staging, f"{name}/{ours}", secrets=settings.secrets)
        for ours, path in kept
        if path.is_file()
    )
