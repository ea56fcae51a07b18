"""What a launcher and a measure both know of a deployment: its instances, and what can change while it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.schema.base import digest
from pipeline.schema.recipe import Role

READABLE = (
    14  # characters of a run id, as many as GitHub's has; a longer id is replaced by the start of its digest
)


def scratch_prefix(run_id: str, job: str | None = None) -> str:
    """Return the prefix of the names of temporary folders of a run, or of one job of it.

    It is short because Unix sockets are created in these folders. A sweep finds the folders by it.

    >>> scratch_prefix("a"), scratch_prefix("a", "b.c")
    ('rackbench-a@', 'rackbench-a@eaba6f-')
    """
    name = run_id if len(run_id) <= READABLE else digest(run_id)[:8]
    suffix = f"{digest(job)[:6]}-" if job else ""
    return f"rackbench-{name}@{suffix}"  # no run id contains @: run `a` does not match run `a-b`


class Cause(StrEnum):
    """Why a deployment is no longer the one that was launched."""

    EXITED = "exited"
    KILLED = "killed"
    TIME_LIMIT = "time_limit"
    INSTANCES_CHANGED = "instances_changed"
    PROCESS_REPLACED = "process_replaced"
    FRONTEND_UNREACHABLE = "frontend_unreachable"
    NEVER_RAN = "never_ran"
    NODE_LOST = "node_lost"
    NODE_SILENT = "node_silent"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    JOB_ENDED = "job_ended"


@dataclass(frozen=True, slots=True)
class DeploymentChange:
    """One difference between a deployment and its state when it was ready."""

    cause: Cause
    subject: str  # name of the process or, for INSTANCES_CHANGED, the role
    code: int | None = None  # exit code of the process; negative = signal
    log: Path | None = None
    last_output: tuple[str, ...] = ()  # last lines of the log
    node: str = ""  # where the process ran; empty for this machine

    @property
    def signal(self) -> int | None:
        """Number of the signal that ended the process."""
        return -self.code if self.code is not None and self.code < 0 else None


def describe(change: DeploymentChange) -> str:
    """Return a change as one line of text.

    >>> describe(DeploymentChange(Cause.KILLED, "decode-0", code=-9))
    'decode-0 was killed by signal 9'
    """
    subject = f"{change.subject} on {change.node}" if change.node else change.subject
    texts = {
        Cause.EXITED: f"{subject} exited with {change.code}",
        Cause.KILLED: f"{subject} was killed by signal {change.signal}",
        Cause.TIME_LIMIT: f"{subject} reached its wall-clock limit",
        Cause.INSTANCES_CHANGED: f"{change.subject} instances are not those from the start",
        Cause.PROCESS_REPLACED: f"{change.subject} is another process than before",
        Cause.FRONTEND_UNREACHABLE: f"the {change.subject} does not answer",
        Cause.NEVER_RAN: f"{subject} was never started",
        Cause.NODE_SILENT: f"node {change.subject} does not answer",
        Cause.NODE_LOST: f"node {change.subject} was lost",
        Cause.PREEMPTED: f"{change.subject} was preempted",
        Cause.CANCELLED: f"{change.subject} was cancelled from outside",
        Cause.JOB_ENDED: f"{change.subject} has ended",
    }
    return texts[change.cause]


def describe_with_output(change: DeploymentChange) -> str:
    """Return a change as text, followed by the last output of its process."""
    if change.log is None:
        return describe(change)
    lines = "\n".join(f"  {line}" for line in change.last_output)
    return f"{describe(change)}; the end of {change.log}:\n{lines}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One generate instance that must be present from the first request to the last."""

    name: str
    role: Role
    metrics_url: str | None  # Prometheus text; None where there are no metrics
