"""The interface of launchers. How to add one: docs/adding-a-launcher.md."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.engine import EngineChoice
from pipeline.schema.event import JobStatus
from pipeline.schema.plan import Job
from pipeline.schema.timing import SkuTiming

# Environment variables that mark the processes of a run, so that a sweep finds them.
RUN, JOB, ATTEMPT, PROCESS = "RACKBENCH_RUN", "RACKBENCH_JOB", "RACKBENCH_ATTEMPT", "RACKBENCH_PROCESS"


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """One deployment to start, with everything that its recipe refers to, and the run that it belongs to."""

    job: Job
    sku: Sku
    llm: Llm
    timing: SkuTiming | None  # of simulated engines
    model_path: str  # the LLM's files at this site
    run_id: str
    attempt: int
    vllm: EngineChoice | None = None  # catalogue entry of the recipe's vLLM version, or of the nearest one
    excluded: tuple[str, ...] = ()  # nodes that this deployment must not get
    dynamo: EngineChoice | None = None  # the same of Dynamo


class Launcher(Protocol):
    """The functions of a launcher's module."""

    def manifest(self, spec: LaunchSpec, cluster: Cluster) -> str:
        """Return what will be started as text, with run id and wall-clock limit; equal for equal arguments.

        Raise LaunchError where the deployment cannot be started at this site.
        """
        ...

    def deployed(
        self, spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path
    ) -> AbstractContextManager[Endpoint]:
        """Start a deployment, yield it once it answers, and remove everything that was started.

        Logs are written below ``logs``.

        Raise LaunchError when it cannot be started, exits early, or does not answer in time.
        """
        ...

    def status(self, run_id: str, cluster: Cluster, *, clients: Clients) -> list[JobStatus]:
        """Return where the jobs of a run are that have not ended; LaunchError where that cannot be asked."""
        ...

    def sweep(self, run_id: str, cluster: Cluster, *, clients: Clients, job: str | None = None) -> list[str]:
        """End and remove what a killed run, or one job of it, left behind; return one line for each item.

        One job is swept where other jobs of the run may still be running: on a cluster with more than one
        rack.
        """
        ...
