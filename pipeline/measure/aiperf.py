"""AIPerf beside a live deployment: warm-up and a closed loop at each concurrency, judged before it counts.

AIPerf ends with success though streams were cut under it, so its records are held against what was asked for, what the workers
served and what the frontend lost. It lives in an environment of its own; only its program is called.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.edge.shell import Child, Shell
from pipeline.errors import PipelineError
from pipeline.measure import aiperf_files, aiperf_load, counters, surroundings
from pipeline.measure.aiperf_files import AiperfOutput, Log
from pipeline.measure.aiperf_load import LoadSettings
from pipeline.measure.counters import CounterSnapshot
from pipeline.measure.points import pack, point, span_s
from pipeline.measure.validity import Observation, judge
from pipeline.schema.endpoint import Endpoint, scratch_prefix
from pipeline.schema.result import Measurement, Point, RawFile

INSTALL = "`nox -s client` installs it; then put .nox/client/bin on PATH, or name the program in the cluster document as `client`"
UNSET = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)  # with either, AIPerf 0.13.0 refuses a tokenizer that is a folder
POLL_S, LOOK_S = 0.1, 1.0  # how often the client is looked at, and the deployment
DYING_S = 300.0  # what a loop may go on for once the deployment is no longer whole, so that the client writes down what it saw
FLUSHED_S = 3.0  # until a record is in AIPerf's file
FRUITLESS = (
    2  # runs of the client in a row that began no loop: a third would end no other way, and the rack waits
)
SETTLE_S = 5.0  # until requests of a client that died are cancelled and counted
MAY_PREFER = re.compile("^(--router-mode|DYN_ROUTER_MODE=)")  # of instances, one to another
NOT_THERE = (126, 127)  # exit codes of `env` for a program that it cannot run or find
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
class Clients:
    """Everything outside."""

    shell: Shell
    http: Http
    clock: Clock


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The deployment while nothing was in flight, and what two clocks said."""

    reading: CounterSnapshot
    wall: datetime
    steady: float

    def of_no_loop(self) -> Snapshot:
        """Without counters: what was not read between two loops tells nothing of either."""
        return replace(self, reading=counters.unread(self.reading))


@dataclass(slots=True)
class ClientRun:
    """One run of AIPerf over several loops, as far as it came: a mark before the first of them and one after each that ended."""

    concs: Sequence[int]
    snapshots: list[Snapshot]
    changes: list[str] = field(default_factory=list)  # why the deployment is no longer what was launched
    trouble: str = ""  # why the client did not end well
    has_begun: bool = False  # the log tells of a measured loop; its records come later, or not at all
    last: int = -1  # the loop in which that was seen; none is measured after it

    @property
    def ended(self) -> int:
        """Loops that are over."""
        return len(self.snapshots) - 1

    def stop(self, *, changes: Sequence[str] = (), trouble: str = "") -> None:
        """Note what was seen first: it belongs to the loop that is under way."""
        if self.last < 0:
            self.last = min(self.ended, len(self.concs) - 1)
        self.changes = self.changes or list(changes)
        self.trouble = self.trouble or trouble


def measure(settings: LoadSettings, clients: Clients) -> Measurement:
    """Every concurrency of a job until its time is over or the deployment not what was launched; OSError when a disk is full.

    All in one run of AIPerf; where it fails in one loop, another run goes on behind that, unless it fails whatever it is asked.
    """
    points: list[Point] = []
    versions = {"aiperf": "unknown"}
    stages = {"warm-up": 0.0, "measure": 0.0, "client": 0.0}
    todo, number, fruitless, began = settings.job.recipe.conc, 0, 0, clients.clock.monotonic()
    while todo:
        number += 1
        found, spent, recorded, has_begun = _run(
            settings, clients, todo, f"client-{number}" if number > 1 else "client"
        )
        points += found
        versions["aiperf"] = recorded.version or versions["aiperf"]
        todo = todo[len(found) :]
        stages = {name: seconds + spent[name] for name, seconds in stages.items()}
        fruitless = 0 if recorded.loops or has_begun else fruitless + 1
        if (
            fruitless == FRUITLESS
            or settings.endpoint.alive()
            or clients.clock.monotonic() - began > settings.job.recipe.limits.time_s
        ):
            break
        if todo:
            clients.clock.sleep(SETTLE_S)
    return Measurement(
        points=tuple(points),
        versions={**versions, **settings.endpoint.versions},
        stages_s=stages,
        commands={
            **settings.endpoint.commands,
            "aiperf": tuple(aiperf_load.command(settings, Path("ARTIFACTS"))),
        },
        gpus=surroundings.gpus(clients.shell, settings.endpoint.beside),
    )


def _run(
    settings: LoadSettings, clients: Clients, concs: Sequence[int], name: str
) -> tuple[list[Point], dict[str, float], AiperfOutput, bool]:
    """Points of one run of AIPerf, with the one in which it broke off; where its time went; what it wrote; and whether a loop began."""
    out = settings.staging / name
    began = clients.clock.monotonic()
    asked = aiperf_load.write(settings, concs, out)
    client_run = _watch(settings, clients, concs, out)
    whole = clients.clock.monotonic() - began
    recorded = aiperf_files.read(out, asked)
    if recorded.trouble and client_run.last < 0:
        client_run.stop(trouble=recorded.trouble)
    last = len(concs) - 1 if client_run.last < 0 else client_run.last
    raw = _keep(settings, out, name)
    points = [
        _point(settings, client_run, recorded, at).model_copy(update={"raw": raw}) for at in range(last + 1)
    ]
    warmup, measured = (
        sum(recorded.phases_s.get(of(conc), 0.0) for conc in concs)
        for of in (aiperf_load.warmup, aiperf_load.loop)
    )
    measured = measured or sum(one.duration_s for one in points)
    return (
        points,
        {"warm-up": warmup, "measure": measured, "client": max(0.0, whole - warmup - measured)},
        recorded,
        client_run.has_begun,
    )


def _point(settings: LoadSettings, client_run: ClientRun, recorded: AiperfOutput, at: int) -> Point:
    conc = client_run.concs[at]
    before, after = client_run.snapshots[at], client_run.snapshots[at + 1]
    spent = after.steady - before.steady
    lost = counters.lost_streams(settings.endpoint.frontend_log, before.reading, after.reading)
    changes = (
        [change.partition("; the end of ")[0] for change in client_run.changes]
        if at == client_run.last
        else []
    )
    trouble = client_run.trouble if at == client_run.last else ""
    observation = Observation(
        conc,
        settings.sent(conc),
        recorded.loops.get(aiperf_load.loop(conc), ()),
        client=trouble,
        changes=tuple(dict.fromkeys([*changes, *counters.replaced(before.reading, after.reading)])),
        cut_streams=lost,
        migrations=counters.migrated(before.reading, after.reading, lost or 0),
        served=counters.served(before.reading, after.reading, settings.endpoint.instances),
        shares=counters.shares(before.reading, after.reading, settings.endpoint.instances)
        if _takes_turns(settings.endpoint)
        else {},
        expected_served=None
        if trouble
        else settings.sent(conc) + settings.warming(conc),  # nobody knows what it had sent
        clock_step_s=(after.wall - before.wall).total_seconds() - spent,
        chunk=_chunk(settings.endpoint),
    )
    return point(
        settings.job.recipe,
        settings.sku,
        observation,
        judge(observation),
        duration_s=span_s(observation.requests) or spent,
    )


def _chunk(endpoint: Endpoint) -> int:
    """Output tokens that its workers were told to send in one piece, by the commands that started them; 1 unless they were told."""
    told = (
        int(value)
        for argv in endpoint.commands.values()
        for option, value in pairwise(argv)
        if option == "--stream-interval"
    )
    return max(told, default=1)


def _takes_turns(endpoint: Endpoint) -> bool:
    """Whether the frontend sends requests to all instances in turn, as it does unless it was told otherwise."""
    return not any(MAY_PREFER.search(word) for word in endpoint.commands.get("frontend", ()))


def _watch(settings: LoadSettings, clients: Clients, concs: Sequence[int], out: Path) -> ClientRun:
    """Run AIPerf to its end, or to the end of the loop in which the deployment changed."""
    client_run, log = ClientRun(concs, [_snapshot(settings, clients)]), Log(out / aiperf_files.LOG)
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(settings.run_id, settings.job.id)) as scratch:
        argv = settings.endpoint.beside(
            [*_environment(scratch, settings.job.recipe.limits.time_s), *aiperf_load.command(settings, out)]
        )
        with clients.shell.spawn(argv, log=out / "console.log") as child:
            code = _follow(settings, clients, child, client_run, log)
    log.look()
    client_run.has_begun = any(aiperf_load.loop(conc) in log.begun for conc in concs)
    if code in NOT_THERE:
        what = f"the load client {settings.program!r} cannot be run: {aiperf_files.last_word(out / 'console.log')}"
        raise PipelineError(what, hint=INSTALL)
    if code:
        client_run.stop(trouble=_exit_reason(code, out / "console.log"))
    if changes := settings.endpoint.alive():
        client_run.stop(changes=changes)
    if open_ended := len(concs) - client_run.ended:
        snapshot = _snapshot(settings, clients)
        is_told = (
            open_ended == 1 or client_run.last >= 0
        )  # else all have ended, and the log does not say when
        client_run.snapshots += [snapshot if is_told else snapshot.of_no_loop()] * open_ended
    return client_run


def _follow(settings: LoadSettings, clients: Clients, child: Child, client_run: ClientRun, log: Log) -> int:
    """Look at client and deployment until the client has ended or nothing more is to be had of it; its exit code, 0 if it was ended."""
    clock, limit_s = clients.clock, settings.job.recipe.limits.time_s
    start = looked_at = clock.monotonic()
    changed_at: float | None = None
    while (code := child.poll()) is None:
        log.look()
        now = clock.monotonic()
        has_ended = (
            client_run.ended < len(client_run.concs)
            and aiperf_load.loop(client_run.concs[client_run.ended]) in log.ended
        )
        snapshot = (
            _snapshot_between(settings, clients, client_run, log) if has_ended else None
        )  # first: a look may take longer than the pause
        if changed_at is None and (has_ended or now - looked_at > LOOK_S):
            looked_at = now
            if changes := settings.endpoint.alive():
                client_run.stop(changes=changes)
                changed_at = now
        if snapshot is not None:
            client_run.snapshots.append(snapshot)
        if (
            changed_at is not None
            and client_run.last < client_run.ended < len(client_run.concs)
            and now - client_run.snapshots[-1].steady > FLUSHED_S
        ):
            return _ended(child, client_run)
        if changed_at is not None and now - changed_at > DYING_S:
            return _ended(child, client_run, f"ended {DYING_S:.0f} s after the deployment had changed")
        if now - start > limit_s:
            return _ended(child, client_run, f"did not end within {limit_s} s")
        clock.sleep(POLL_S)
    return code


def _ended(child: Child, client_run: ClientRun, trouble: str = "") -> int:
    if trouble:
        client_run.stop(trouble=trouble)
    child.end()
    return 0


def _exit_reason(code: int, log: Path) -> str:
    """Why a client did not end well, without secrets; a program between us and it says signal N as 128 + N."""
    number = -code if code < 0 else code - 128
    said = surroundings.without_secrets(aiperf_files.last_word(log))
    return f"killed by signal {number}" if number > 0 else f"exit code {code}: {said}"


def _environment(scratch: str, limit_s: int) -> list[str]:
    """Prompts of all loops are read before the first: it may take as long as the recipe may, and not AIPerf's five minutes."""
    unset = [word for name in UNSET for word in ("-u", name)]
    patience = [
        f"{name}={limit_s}"
        for name in ("AIPERF_DATASET_CONFIGURATION_TIMEOUT", "AIPERF_SERVICE_PROFILE_CONFIGURE_TIMEOUT")
    ]
    return ["env", *unset, f"TMPDIR={scratch}", *patience]


def _snapshot(settings: LoadSettings, clients: Clients) -> Snapshot:
    return Snapshot(
        counters.read(settings.endpoint, clients.http), clients.clock.now(), clients.clock.monotonic()
    )


def _snapshot_between(settings: LoadSettings, clients: Clients, client_run: ClientRun, log: Log) -> Snapshot:
    """In the pause after a loop."""
    began = clients.clock.monotonic()
    snapshot = _snapshot(settings, clients)
    log.look()
    following = {
        of(conc)
        for conc in client_run.concs[client_run.ended + 1 :][:1]
        for of in (aiperf_load.warmup, aiperf_load.loop)
    }
    took_long = snapshot.steady - began > aiperf_load.pause_s(settings) / 2
    return snapshot.of_no_loop() if following and (took_long or following & log.begun) else snapshot


def _keep(settings: LoadSettings, out: Path, name: str) -> tuple[RawFile, ...]:
    """What AIPerf wrote, and what it was asked for in place of the prompts: those come again from the seed."""
    kept = ((ours, out / theirs) for ours, theirs in KEPT.items())
    return tuple(pack(path, settings.staging, f"{name}/{ours}") for ours, path in kept if path.is_file())
