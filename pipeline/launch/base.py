"""What every launcher is given and promises. Adding one: docs/adding-a-launcher.md."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.edge.shell import Shell
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.endpoint import Endpoint
from pipeline.schema.plan import Job
from pipeline.schema.timing import SkuTiming

# What a process of a run carries in its environment, so that a sweep finds it when nobody is left who knows its id.
RUN, JOB, ATTEMPT, PROCESS = "RACKBENCH_RUN", "RACKBENCH_JOB", "RACKBENCH_ATTEMPT", "RACKBENCH_PROCESS"


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """One deployment to bring up, with all that its recipe refers to, and the run that it is for."""

    job: Job
    sku: Sku
    llm: Llm
    timing: SkuTiming | None  # of simulated engines
    model_path: str  # the LLM's files, as this cluster names them
    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Clients:
    """Everything outside that a launcher may use."""

    shell: Shell
    http: Http
    clock: Clock


class Launcher(Protocol):
    """A module with these three functions."""

    def manifest(self, spec: LaunchSpec, cluster: Cluster) -> str:
        """All that will be started, as text: the same for the same order, with run id and wall-clock limit; LaunchError if refused."""
        ...

    def deployed(
        self, spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path
    ) -> AbstractContextManager[Endpoint]:
        """Lends the deployment once it answers, and takes down all that it put up; logs of its processes go below ``logs``.

        LaunchError when it is refused, dies, or does not answer in time.
        """
        ...

    def sweep(self, run_id: str, cluster: Cluster, *, clients: Clients, job: str | None = None) -> list[str]:
        """End and remove what a killed run, or one job of it, left behind, by its id alone; says what, and nothing when there was nothing.

        A job is swept alone where other jobs of the run still live: on a cluster with more than one rack.
        """
        ...
