"""The class of a failure: from what changed in a deployment, and from what its processes wrote last."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.errors import FailureKind, LaunchError
from pipeline.schema.endpoint import Cause, DeploymentChange, describe_with_output

KINDS = {
    Cause.TIME_LIMIT: FailureKind.TIME_LIMIT,
    Cause.NODE_LOST: FailureKind.NODE_LOST,
    Cause.NODE_SILENT: FailureKind.NODE_LOST,
    Cause.PREEMPTED: FailureKind.PREEMPTED,
    Cause.CANCELLED: FailureKind.CANCELLED,
    Cause.NEVER_RAN: FailureKind.IMAGE,
    Cause.JOB_ENDED: FailureKind.UNKNOWN,
}
# Of a control group (as Slurm and the kernel report it), of CUDA, of PyTorch.
OUT_OF_MEMORY = re.compile(r"oom[-_]kill|out[ -]of[ -]memory|OutOfMemoryError", re.IGNORECASE)


def kind(change: DeploymentChange) -> FailureKind:
    """Return the class of the failure that a change is.

    >>> kind(DeploymentChange(Cause.KILLED, "decode-0", -9, last_output=("Detected 1 oom_kill event",))).value
    'out-of-memory'
    """
    said = "\n".join(change.last_output)
    if change.cause in (Cause.EXITED, Cause.KILLED) and OUT_OF_MEMORY.search(said):
        return FailureKind.OUT_OF_MEMORY
    return KINDS.get(change.cause, FailureKind.ENGINE_DIED)


def error(changes: Sequence[DeploymentChange], where: str) -> LaunchError:
    """Return the error of a deployment that has changed before it was ready; the first change is the cause."""
    others = ", ".join(one.subject for one in changes[1:])
    hint = f"also ended: {others}" if others else ""
    found = LaunchError(describe_with_output(changes[0]), where=where, hint=hint, kind=kind(changes[0]))
    found.node = changes[0].subject if found.kind is FailureKind.NODE_LOST else changes[0].node
    return found
