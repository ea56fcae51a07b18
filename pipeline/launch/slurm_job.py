"""A submitted job while it lives: its state in Slurm, and the marks that its processes leave in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.edge.clock import Clock
from pipeline.edge.journal import Journal
from pipeline.errors import FailureKind, LaunchError
from pipeline.launch import failures, probe, slurm_script
from pipeline.launch.probe import NodeIdentity
from pipeline.launch.slurm_client import JobState, Phase, Slurm
from pipeline.schema.endpoint import Cause, DeploymentChange, describe
from pipeline.schema.event import Stage

LOOK_S, POLL_S = 0.5, 5.0  # how often the folder and Slurm are asked at most
FIRST_S, LONGEST_S, GROWTH = 0.2, 15.0, 1.4  # pauses between looks at a job in the queue
ENDING_S = 15.0  # that the cause of an end is waited for
AWAY_S = 600.0  # after which a Slurm that does not answer is an end
STAGES: dict[Phase, Stage] = {
    Phase.QUEUED: "queue",
    Phase.CONFIGURING: "start",
    Phase.RUNNING: "start",
    Phase.ENDING: "teardown",
    Phase.ENDED: "end",
}
OF_SCRIPT = {
    slurm_script.TIME_LIMIT: Cause.TIME_LIMIT,
    slurm_script.ABANDONED: Cause.CANCELLED,
    slurm_script.TERMINATED: Cause.CANCELLED,
}
TAIL = 12  # lines of a log in an error
SIGNALLED = 128  # an exit code above is that of a signal


@dataclass(slots=True)
class RunningJob:
    """One job; ``find`` and ``look`` ask again only after a while."""

    id: str
    folder: Path
    slurm: Slurm
    clock: Clock
    journal: Journal = field(default_factory=Journal)
    processes: frozenset[str] = frozenset()
    last: JobState = field(default_factory=lambda: JobState(""))
    lost: tuple[str, ...] = ()  # nodes, as Slurm named them while the job ended
    _asked_s: float = float("-inf")
    _answered_s: float = float("-inf")
    _looked_s: float = float("-inf")
    _changes: list[DeploymentChange] = field(default_factory=list)

    def state(self, *, within_s: float = 0.0) -> JobState:
        """Return the state that Slurm gave within the last seconds, or the last known one while it does not answer."""
        now = self.clock.monotonic()
        if now - self._asked_s < within_s and self.last.phase is not Phase.ENDED:
            return self.last
        self._asked_s = now
        found = self.slurm.state(self.id)
        if found.phase is not Phase.UNKNOWN:
            if found.state != self.last.state:
                self.journal.add(STAGES[found.phase], found.state, what=f"job {self.id}")
            self.last, self._answered_s = found, now
        elif self._answered_s == float("-inf"):
            self._answered_s = now
        if not self.lost and found.nodes and (found.phase is Phase.ENDING or found.state == "NODE_FAIL"):
            self.lost = tuple(self.slurm.lost_nodes(found.nodes))
            for node in self.lost:
                self.journal.add("end", found.state, node=node, kind=FailureKind.NODE_LOST)
        return self.last

    def changes(self, *, fresh: bool = False) -> list[DeploymentChange]:
        """Return why the job is no longer the one that was started; the first finding is kept.

        ``fresh``: something is wrong, so that Slurm is asked now, until a job that is ending has ended.
        """
        now = self.clock.monotonic()
        if self._changes or (now - self._looked_s < LOOK_S and not fresh):
            return self._changes
        self._looked_s = now
        has_ended = fresh or (self.folder / "state" / "ended").is_file()
        state = self.state(within_s=0.0 if has_ended else POLL_S)
        while has_ended and state.phase is Phase.ENDING and not self._of_job(state):
            if self.clock.monotonic() - now > ENDING_S:
                break
            self.clock.sleep(LOOK_S)
            state = self.state()
        self._changes = self._of_job(state) or self._gone()
        for one in self._changes[:1]:
            self.journal.add("end", state.state, node=one.node, kind=failures.kind(one), what=describe(one))
        return self._changes

    def away_s(self) -> float:
        """Return the seconds since Slurm last answered."""
        return max(0.0, self.clock.monotonic() - self._answered_s)

    def wait_ended(self, limit_s: float) -> bool:
        """Wait until the job is out of the queue; return whether it is."""
        deadline, pause = self.clock.monotonic() + limit_s, FIRST_S
        while self.slurm.is_listed(self.id):
            if self.clock.monotonic() >= deadline:
                return False
            self.clock.sleep(min(pause, 1.0))
            self.state(within_s=1.0)
            pause *= GROWTH
        return True

    def wait_running(self, queue_s: float) -> dict[Phase, float]:
        """Wait until the job runs and has named its trays; return the seconds in each phase before.

        Raise LaunchError where it has ended, is held, or waits for longer than ``queue_s``.
        """
        began = since = self.clock.monotonic()
        spent, pause, phase = {Phase.QUEUED: 0.0, Phase.CONFIGURING: 0.0}, FIRST_S, Phase.QUEUED
        while True:
            state = self.state()
            now = self.clock.monotonic()
            spent[phase] = spent.get(phase, 0.0) + now - since
            phase, since = (state.phase if state.phase in spent else Phase.CONFIGURING), now
            if state.phase not in spent and (self.folder / "trays").is_file():
                return spent
            if changes := self._of_job(state):
                raise failures.error(changes, f"job {self.id}")
            if state.phase in (Phase.ENDING, Phase.ENDED):
                raise LaunchError(
                    f"the job ended before it ran: {state}{self._said('batch')}", where=f"job {self.id}"
                )
            if state.held or now - began > queue_s:
                what = f"never scheduled: {state} for {now - began:.0f} s"
                hint = "see squeue; site.queue_s is the limit"
                kind = FailureKind.NEVER_SCHEDULED
                raise LaunchError(what, where=f"job {self.id}", hint=hint, kind=kind)
            self.clock.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_S)

    def wait_identified(self, limit_s: float) -> list[NodeIdentity]:
        """Wait until every node has said what it is; LaunchError where the job ends before, or at the limit."""
        deadline, count = self.clock.monotonic() + limit_s, len(self.trays())
        while len(found := probe.read(self.folder / "probe")) < count:
            if changes := self.changes():
                raise failures.error(changes, f"job {self.id}")
            if self.clock.monotonic() > deadline:
                what = f"{len(found)} of {count} nodes have started a container after {limit_s:g} s"
                raise LaunchError(what, where=f"job {self.id}", kind=FailureKind.NEVER_READY)
            self.clock.sleep(LOOK_S)
        return found

    def trays(self) -> list[tuple[str, str]]:
        """Return name and address of each tray of the allocation, in the order of the layout."""
        lines = (self.folder / "trays").read_text("utf-8").splitlines()
        return [(name, address) for name, _, address in (line.partition(" ") for line in lines)]

    def log(self, name: str) -> Path:
        """Return the log of a process."""
        return self.folder / "logs" / f"{name}.log"

    def _gone(self) -> list[DeploymentChange]:
        """Return the processes that have ended or never ran, by the marks in the folder."""
        marks = self.folder / "state"
        ended = marks / "ended"
        reason = ended.read_text("utf-8").strip() if ended.is_file() else ""
        if reason in OF_SCRIPT:
            return [DeploymentChange(OF_SCRIPT[reason], f"job {self.id}")]
        first = reason.removeprefix(slurm_script.EXITED) if reason.startswith(slurm_script.EXITED) else ""
        ended_first = sorted(self.processes, key=lambda name: (name != first, name))
        marked = [(name, marks / f"{name}.exit") for name in ended_first]
        found = [self._exit(name, path) for name, path in marked if path.is_file()]
        if first and first not in {one.subject for one in found}:
            cause = Cause.EXITED if (marks / f"{first}.started").is_file() else Cause.NEVER_RAN
            found.insert(0, self._change(cause, first, None))
        return found

    def _exit(self, name: str, path: Path) -> DeploymentChange:
        code = int(path.read_text("utf-8").strip() or 1)
        if code > SIGNALLED:
            return self._change(Cause.KILLED, name, SIGNALLED - code)
        return self._change(Cause.EXITED, name, code)

    def _change(self, cause: Cause, name: str, code: int | None) -> DeploymentChange:
        log, started = self.log(name), self.folder / "state" / f"{name}.started"
        node = started.read_text("utf-8").partition(" ")[0] if started.is_file() else ""
        return DeploymentChange(cause, name, code, log, tuple(_tail(log)), node)

    def _of_job(self, state: JobState) -> list[DeploymentChange]:
        """Return what happened to the whole job: it is the cause of what its processes then did."""
        job = f"job {self.id}"
        if self.lost:
            return [DeploymentChange(Cause.NODE_LOST, name) for name in self.lost]
        if state.preempted:
            return [DeploymentChange(Cause.PREEMPTED, job)]
        if state.state == "CANCELLED":
            return [DeploymentChange(Cause.CANCELLED, job)]
        if state.timed_out:
            return [DeploymentChange(Cause.TIME_LIMIT, job)]
        if self.away_s() > AWAY_S:
            return [DeploymentChange(Cause.JOB_ENDED, f"{job}, as far as is known: Slurm does not answer,")]
        if state.phase is Phase.ENDED and state.state != "FAILED":
            return [DeploymentChange(Cause.JOB_ENDED, f"{job} ({state})")]
        return []

    def _said(self, name: str) -> str:
        lines = _tail(self.log(name))
        return "; the end of its log:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _tail(log: Path) -> list[str]:
    return log.read_text("utf-8", errors="replace").splitlines()[-TAIL:] if log.is_file() else []
