"""Commands of Slurm: submit, look, cancel. Written for Slurm 22.05; no output for people is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Literal

from pipeline.edge.shell import Completed, Shell
from pipeline.errors import FailureKind, LaunchError, PipelineError

NOTHING = "None"  # Slurm's name of no value
COMMAND_S = 60.0  # a command waits up to 18 s for a controller that does not answer
FIELD = re.compile(r"(?:^| )([A-Za-z:/]+)=([^ ]*)")
UNKNOWN_JOB = re.compile("Invalid job id specified")


class Phase(StrEnum):
    """Where in its life a job is."""

    QUEUED = "queued"
    CONFIGURING = "configuring"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    UNKNOWN = "unknown"  # Slurm does not answer, or does not know the job any more


PHASES = {
    "PENDING": Phase.QUEUED,
    "REQUEUED": Phase.QUEUED,
    "REQUEUE_HOLD": Phase.QUEUED,
    "CONFIGURING": Phase.CONFIGURING,
    "RUNNING": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,
    "COMPLETING": Phase.ENDING,
    "STAGE_OUT": Phase.ENDING,
}


@dataclass(frozen=True, slots=True)
class JobState:
    """What Slurm says about a job."""

    state: str  # Slurm's name; empty where it is unknown
    reason: str = ""
    exit_code: str = ""  # code:signal of the batch script
    nodes: str = ""
    preempted: bool = False
    timed_out: bool = False
    held: bool = False  # it does not start by itself

    @property
    def phase(self) -> Phase:
        """Where in its life the job is; a state that is none of the others is an end."""
        return PHASES.get(self.state, Phase.ENDED) if self.state else Phase.UNKNOWN

    @property
    def is_success(self) -> bool:
        """Whether Slurm calls it a success: COMPLETED with exit code 0:0, nothing else."""
        return (self.state, self.exit_code) == ("COMPLETED", "0:0")

    def __str__(self) -> str:
        parts = [self.state or "unknown to Slurm"]
        parts += [f"reason {self.reason}"] if self.reason else []
        parts += [f"exit code {self.exit_code}"] if self.phase is Phase.ENDED else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Listed:
    """A job in the queue: its id, name and comment."""

    id: str
    name: str
    comment: str


class Slurm:
    """The commands of one Slurm, as programs of this machine."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def has_option(self, option: str) -> bool:
        """Return whether ``sbatch`` of this machine knows an option, e.g. ``--segment``."""
        return option in self._run("sbatch", "--help").stdout

    def version(self) -> str:
        """Return the version of the client commands."""
        return self._run("sbatch", "--version").stdout.strip().rpartition(" ")[2]

    def submit(self, script: PurePath, options: Sequence[str]) -> str:
        """Submit a batch script and return the id of its job; LaunchError with Slurm's words where it is refused.

        A trial comes first: ``sbatch`` itself accepts a job that can never start.
        """
        for trial in (True, False):
            how = "--test-only" if trial else "--parsable"
            done = self._run("sbatch", how, *options, str(script))
            if done.code:
                hint = "change the recipe, or partition, account and options in the cluster document"
                what = f"Slurm refuses the job: {words(done)}"
                raise LaunchError(what, where=f"sbatch {how}", hint=hint, kind=FailureKind.REJECTED)
        return done.stdout.strip().split(";")[0]

    def state(self, job: str) -> JobState:
        """Return what Slurm says about a job, also some minutes after its end.

        PipelineError where it does not answer.
        """
        done = self._run("scontrol", "--oneliner", "show", "job", job)
        if done.code:
            return self._accounted(job) if UNKNOWN_JOB.search(done.stderr) else JobState("")
        found = dict(FIELD.findall(done.stdout.strip()))
        state, why = found.get("JobState", ""), found.get("Reason", NOTHING)
        return JobState(
            state=state,
            reason="" if why == NOTHING else why,
            exit_code=found.get("ExitCode", ""),
            nodes=found.get("NodeList", "").replace("(null)", ""),
            preempted=found.get("PreemptTime", NOTHING) != NOTHING or state == "PREEMPTED",
            timed_out=state == "TIMEOUT" or why == "TimeLimit",
            held="held" in why.lower(),
        )

    def jobs(self) -> list[Listed]:
        """Return the jobs of this user that have not ended; LaunchError where Slurm does not answer."""
        done = self._run("squeue", "--me", "--noheader", "--format=%i|%j|%k")
        if done.code:
            raise LaunchError(words(done), where="squeue --me", hint="is the controller of Slurm running?")
        rows = (line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
        return [Listed(*row) for row in rows]

    def is_listed(self, job: str) -> bool:
        """Return whether a job has not ended, as far as the queue tells; True where it does not."""
        done = self._run("squeue", "--noheader", f"--jobs={job}", "--format=%i")
        return bool(done.stdout.strip()) or (done.code != 0 and not UNKNOWN_JOB.search(done.stderr))

    def lost_nodes(self, nodes: str) -> list[str]:
        """Return the nodes of a list that do not answer or are down."""
        done = self._run("sinfo", "--noheader", "--Node", f"--nodes={nodes}", "--format=%N %T")
        rows = [line.split() for line in done.stdout.splitlines()]
        return list(dict.fromkeys(row[0] for row in rows if "*" in row[-1] or "down" in row[-1].lower()))

    def signal_script(self, job: str, name: Literal["USR2", "HUP"]) -> None:
        """Send a signal to the batch script of a job; a job that has ended is no error."""
        self._run("scancel", "--batch", f"--signal={name}", job)

    def cancel(self, job: str) -> None:
        """Cancel a job; one that has ended is no error."""
        self._run("scancel", job)

    def _accounted(self, job: str) -> JobState:
        """Return the state of a job in the accounting; of no state where there is no accounting."""
        fields = ("--allocations", "--noheader", "--parsable2", "--format=State,ExitCode,NodeList")
        for own in ((), ("--completion",)):  # a database, or the text file of a small site
            done = self._run("sacct", *own, *fields, f"--jobs={job}")
            rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
            if not done.code and rows:
                state, code, nodes = rows[-1]
                return JobState(
                    state.split(" ")[0], "", code, nodes, state == "PREEMPTED", state == "TIMEOUT"
                )
        return JobState("")

    def _run(self, *argv: str) -> Completed:
        try:
            done = self._shell.run(argv, timeout_s=COMMAND_S)
        except PipelineError as error:
            hint = error.hint or "run the pipeline on a machine with the client commands of Slurm"
            raise LaunchError(error.what, where=error.where, hint=hint) from error
        return done


def words(done: Completed) -> str:
    """Return what a command of Slurm said, in one line."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return "; ".join(lines)[-400:] or f"exit code {done.code} without a word"
