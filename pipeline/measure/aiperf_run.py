"""One run of AIPerf as a process, watched together with the deployment.

Counters are read between its loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pipeline.edge.clients import Clients
from pipeline.edge.shell import Child
from pipeline.errors import PipelineError
from pipeline.measure import aiperf_files, aiperf_load, counters
from pipeline.measure.aiperf_files import Log
from pipeline.measure.aiperf_load import LoadSettings
from pipeline.measure.counters import CounterSnapshot
from pipeline.measure.redaction import without_secrets
from pipeline.schema.endpoint import DeploymentChange, scratch_prefix

INSTALL = (
    "`nox -s client` installs it; then put .nox/client/bin on PATH,"
    " or name the program in the cluster document as `client`"
)
# With either of these, AIPerf 0.13.0 rejects a tokenizer that is a folder.
UNSET = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
POLL_S, CHECK_S = 0.1, 1.0  # how often the client is polled, and the deployment checked
CHANGED_S = 300.0  # limit of a loop after the deployment has changed, so that the client writes its records
FLUSHED_S = 3.0  # until a record is in AIPerf's file
NOT_FOUND = (126, 127)  # exit codes of `env` for a program that it cannot run or find


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters of the deployment while no request is in flight, and the time on two clocks."""

    counts: CounterSnapshot
    wall: datetime
    monotonic_s: float

    def without_counts(self) -> Snapshot:
        """Return a copy without counters, for one that was not taken between two loops."""
        return replace(self, counts=counters.unread(self.counts))


@dataclass(slots=True)
class ClientRun:
    """Progress of one run of AIPerf: a snapshot before the first loop and one after each that ended."""

    concs: Sequence[int]
    snapshots: list[Snapshot]
    changes: list[DeploymentChange] = field(default_factory=list)  # the first that were found
    trouble: str = ""  # why the client failed
    loop_started: bool = False  # according to the log; records are written later, or never
    last: int = -1  # index of the loop in which a change or a failure was found; none is measured after it

    @property
    def ended(self) -> int:
        """Number of loops that have ended."""
        return len(self.snapshots) - 1

    @property
    def last_loop(self) -> int:
        """Index of the last loop that counts."""
        return len(self.concs) - 1 if self.last < 0 else self.last

    def stop(self, *, changes: Sequence[DeploymentChange] = (), trouble: str = "") -> None:
        """Record a change or a failure in the current loop; the first of each kind is kept."""
        if self.last < 0:
            self.last = min(self.ended, len(self.concs) - 1)
        self.changes = self.changes or list(changes)
        self.trouble = self.trouble or trouble


def run(settings: LoadSettings, clients: Clients, concs: Sequence[int], out: Path) -> ClientRun:
    """Run AIPerf to its end, or to the end of the loop in which the deployment changed."""
    place = settings.endpoint.place
    place.put(out)
    client_run, log = (
        ClientRun(concs, [_snapshot(settings, clients)]),
        Log(place, place.path(out) / aiperf_files.LOG),
    )
    console = out / "console.log"
    with place.scratch(scratch_prefix(settings.run_id, settings.job.id)) as scratch:
        variables = _environment(scratch, settings.job.recipe.limits.time_s)
        argv = place.command([*variables, *aiperf_load.command(settings, out)])
        with clients.shell.spawn(argv, log=console) as child:
            code = _follow(settings, clients, child, client_run, log)
    log.update()
    place.get(out)
    client_run.loop_started = any(aiperf_load.loop(conc) in log.started for conc in concs)
    if code in NOT_FOUND:
        last = aiperf_files.last_message(console)
        raise PipelineError(f"the load client {settings.program!r} cannot be run: {last}", hint=INSTALL)
    if code:
        client_run.stop(trouble=_exit_reason(code, console))
    if changes := settings.endpoint.changes():
        client_run.stop(changes=changes)
    if client_run.ended < len(concs):
        _complete_snapshots(client_run, _snapshot(settings, clients))
    return client_run


def _complete_snapshots(client_run: ClientRun, snapshot: Snapshot) -> None:
    """Use a snapshot from after the run for the loops without one.

    It keeps its counters only where it closes a single loop.
    """
    missing = len(client_run.concs) - client_run.ended
    closes_one = (
        missing == 1 or client_run.last >= 0
    )  # otherwise several have ended, and the log does not say when
    client_run.snapshots += [snapshot if closes_one else snapshot.without_counts()] * missing


def _follow(settings: LoadSettings, clients: Clients, child: Child, client_run: ClientRun, log: Log) -> int:
    """Poll client and deployment until the client has ended or is stopped.

    Return its exit code, 0 where it was stopped.
    """
    clock = clients.clock
    start = checked_at = clock.monotonic()
    changed_at: float | None = None
    while (code := child.poll()) is None:
        log.update()
        now = clock.monotonic()
        # Before the check of the deployment, which may take longer than the pause between two loops.
        snapshot = (
            _snapshot_between(settings, clients, client_run, log) if _loop_ended(client_run, log) else None
        )
        if changed_at is None and (snapshot is not None or now - checked_at > CHECK_S):
            checked_at = now
            if changes := settings.endpoint.changes():
                client_run.stop(changes=changes)
                changed_at = now
        if snapshot is not None:
            client_run.snapshots.append(snapshot)
        is_flushed = changed_at is not None and _is_flushed(client_run, now)
        since_change = 0.0 if changed_at is None else now - changed_at
        if trouble := "" if is_flushed else _overrun(settings, now - start, since_change):
            client_run.stop(trouble=trouble)
        if is_flushed or trouble:
            child.end()
            return 0
        clock.sleep(POLL_S)
    return code


def _loop_ended(client_run: ClientRun, log: Log) -> bool:
    """Whether the log reports the end of the current loop."""
    at = client_run.ended
    return at < len(client_run.concs) and aiperf_load.loop(client_run.concs[at]) in log.ended


def _is_flushed(client_run: ClientRun, now: float) -> bool:
    """Whether the loop in which the deployment changed has ended and its records are written."""
    in_pause = client_run.last < client_run.ended < len(client_run.concs)
    return in_pause and now - client_run.snapshots[-1].monotonic_s > FLUSHED_S


def _overrun(settings: LoadSettings, elapsed_s: float, since_change_s: float) -> str:
    """Return which time limit is exceeded; empty where none is."""
    if since_change_s > CHANGED_S:
        return f"ended {CHANGED_S:.0f} s after the deployment had changed"
    limit_s = settings.job.recipe.limits.time_s
    return f"did not end within {limit_s} s" if elapsed_s > limit_s else ""


def _exit_reason(code: int, console: Path) -> str:
    """Return why a client failed, without secrets; a wrapper program reports signal N as 128 + N."""
    number = -code if code < 0 else code - 128
    if number > 0:
        return f"killed by signal {number}"
    return f"exit code {code}: {without_secrets(aiperf_files.last_message(console))}"


def _environment(scratch: Mapping[str, str], limit_s: int) -> list[str]:
    """Return the `env` command of AIPerf.

    Reading all prompts may take as long as the recipe allows, not five minutes.
    """
    unset = [argument for name in UNSET for argument in ("-u", name)]
    timeouts = ("AIPERF_DATASET_CONFIGURATION_TIMEOUT", "AIPERF_SERVICE_PROFILE_CONFIGURE_TIMEOUT")
    return [
        "env",
        *unset,
        *(f"{name}={value}" for name, value in scratch.items()),
        *(f"{name}={limit_s}" for name in timeouts),
    ]


def _snapshot(settings: LoadSettings, clients: Clients) -> Snapshot:
    counts = counters.read(settings.endpoint, clients.http)
    return Snapshot(counts, clients.clock.now(), clients.clock.monotonic())


def _snapshot_between(settings: LoadSettings, clients: Clients, client_run: ClientRun, log: Log) -> Snapshot:
    """Take a snapshot in the pause after a loop.

    It has no counters where it took so long that the next loop may have begun.
    """
    began = clients.clock.monotonic()
    snapshot = _snapshot(settings, clients)
    log.update()
    following = {
        phase(conc)
        for conc in client_run.concs[client_run.ended + 1 :][:1]
        for phase in (aiperf_load.warmup, aiperf_load.loop)
    }
    took_long = snapshot.monotonic_s - began > aiperf_load.pause_s(settings) / 2
    return snapshot.without_counts() if following and (took_long or following & log.started) else snapshot
