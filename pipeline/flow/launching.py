"""A deployment of a planned job while it is measured; and what a killed run left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import collect, load
from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.edge.files import file_errors
from pipeline.edge.journal import Journal
from pipeline.errors import LaunchError, PipelineError, PlanError
from pipeline.flow import launch_specs
from pipeline.flow.context import Context, texts
from pipeline.flow.planning import one_job, read_plan
from pipeline.launch import machine, retries
from pipeline.launch.base import Launcher, LaunchSpec
from pipeline.launch.launchers import LAUNCHERS
from pipeline.load import nearest
from pipeline.schema.cluster import Cluster
from pipeline.schema.event import JobStatus

EXIT_GRACE_S = 10.0  # for a process that measures in virtual time


def manifest(context: Context, path: Path, job_id: str | None, run_id: str) -> str:
    """Return what the launcher would start for a plan, or for one job of it, as text."""
    plan = read_plan(path)
    jobs = plan.jobs if job_id is None else [one_job(plan, job_id, path)]
    launcher = _launcher(plan.cluster)
    return "\n".join(
        launcher.manifest(launch_specs.spec(context, plan, job, run_id=run_id, attempt=1), plan.cluster)
        for job in jobs
    )


@contextmanager
def deployed(
    context: Context, cluster: Cluster, spec: LaunchSpec, logs: Path, journal: Journal
) -> Iterator[Endpoint]:
    """Yield the deployment, started by the launcher of the cluster; LaunchError when it has none."""
    clients = _clients(context, journal)
    with retries.deployed(_launcher(cluster), spec, cluster, clients=clients, logs=logs) as endpoint:
        yield endpoint


def status(context: Context, run_id: str, on: str) -> list[JobStatus]:
    """Return where the jobs of a run are that have not ended, as far as the launcher of the cluster knows."""
    cluster = _cluster(context, on)
    return _launcher(cluster).status(run_id, cluster, clients=_clients(context))


def sweep(context: Context, run_id: str, on: str, *, job: str | None, out: Path | None) -> list[str]:
    """End what a killed run, or one job of it, left on a cluster; remove its unfinished folders in ``out``.

    Return one line for each. Broken recipes do not matter: only the cluster is read.
    """
    cluster = _cluster(context, on)
    if cluster.launcher:
        lines = _launcher(cluster).sweep(run_id, cluster, clients=_clients(context), job=job)
    else:
        lines = machine.end_run(run_id, job, grace_s=EXIT_GRACE_S)
    return lines + _remove_unfinished(out, run_id) if out else lines


def _cluster(context: Context, name: str) -> Cluster:
    clusters = load.examine(texts(context.recipes))[0].catalogue.clusters
    if name not in clusters:
        raise PlanError(f"unknown cluster {name!r}", hint=nearest(name, clusters))
    return clusters[name]


def _remove_unfinished(out: Path, run_id: str) -> list[str]:
    if not out.is_dir():
        raise PipelineError("no such folder", where=str(out), hint="name the --out folder of the run")
    with file_errors("remove"):
        return [f"removed {folder}" for folder in collect.sweep(out, run_id)]


def _launcher(cluster: Cluster) -> Launcher:
    launcher = LAUNCHERS.get(cluster.launcher or "")
    if launcher is None:
        what = (
            f"launcher {cluster.launcher} is not built yet"
            if cluster.launcher
            else "a cluster without a launcher deploys nothing"
        )
        hint = f"launchers that exist: {', '.join(LAUNCHERS)}"
        raise LaunchError(what, where=f"cluster {cluster.id}", hint=hint)
    return launcher


def _clients(context: Context, journal: Journal | None = None) -> Clients:
    return Clients(
        context.shell, context.http(through_proxy=False), context.clock, journal or Journal(context.clock)
    )
