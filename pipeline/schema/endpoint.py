"""What a launcher lends and a measure uses: a deployment that answers. It is alive, so it is never stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.schema.base import digest
from pipeline.schema.recipe import Role

READABLE = 14  # characters of a run id, GitHub's among them; in place of a longer one stands the beginning of its digest


def scratch_prefix(run_id: str, job: str | None = None) -> str:
    """How the names of a run's folders for temporary files begin, or of one job's: short, since sockets lie in them; a sweep finds them.

    >>> scratch_prefix("a"), scratch_prefix("a", "b.c")
    ('rackbench-a@', 'rackbench-a@eaba6f-')
    """
    name = run_id if len(run_id) <= READABLE else digest(run_id)[:8]
    return f"rackbench-{name}@" + (
        f"{digest(job)[:6]}-" if job else ""
    )  # @ is in no run id: run a is not run a-b


@dataclass(frozen=True, slots=True)
class Instance:
    """One generate instance that must be there from the first request to the last."""

    name: str
    role: Role
    metrics_url: str | None  # Prometheus text; None where nothing can be asked


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployment that is ready, inside its launcher's ``with`` only."""

    url: str  # of the frontend, without a path
    served_name: str
    tokenizer: str  # folder with the model's tokenizer.json, where the pipeline and the load client run
    instances: tuple[Instance, ...]
    logs: Path  # one file a process; what is in it belongs to the raw files
    frontend_log: Path
    beside: Callable[[Sequence[str]], list[str]]  # how a command is run next to the frontend
    alive: Callable[
        [], list[str]
    ]  # why the deployment is no longer what was launched; empty while all is well
    versions: dict[str, str]
    stages_s: dict[str, float]  # seconds from start to ready, by stage
    commands: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # argument list of each process, as it was started
