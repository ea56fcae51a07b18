"""A deployment of a planned job while it is measured; and what a killed run left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import collect, load
from pipeline.deployment.simulated import sku_timing
from pipeline.edge.files import file_errors
from pipeline.errors import LaunchError
from pipeline.flow.context import Context, recipes_root, texts
from pipeline.flow.planning import one_job, read_plan
from pipeline.launch import machine
from pipeline.launch.base import Clients, Launcher, LaunchSpec
from pipeline.launch.launchers import LAUNCHERS
from pipeline.load import nearest
from pipeline.schema.cluster import Cluster
from pipeline.schema.endpoint import Endpoint
from pipeline.schema.plan import Job, Plan

LEAVING_S = 10.0  # what a job that measures in virtual time may take to leave


def spec(context: Context, plan: Plan, job: Job, *, run_id: str, attempt: int) -> LaunchSpec:
    """A planned job with all that its launcher needs to know."""
    recipe = job.recipe
    return LaunchSpec(
        job=job,
        sku=plan.skus[recipe.sku],
        llm=plan.llms[recipe.model],
        timing=sku_timing(plan.timing, recipe.sku) if plan.timing else None,
        model_path=_model_path(context, plan.cluster, recipe.model),
        run_id=run_id,
        attempt=attempt,
    )


def manifest(context: Context, path: Path, job_id: str | None, run_id: str) -> str:
    """All that would be started for a plan, or for one job of it."""
    plan = read_plan(path)
    jobs = plan.jobs if job_id is None else [one_job(plan, job_id, path)]
    launcher = _launcher(plan.cluster)
    return "\n".join(
        launcher.manifest(spec(context, plan, job, run_id=run_id, attempt=1), plan.cluster) for job in jobs
    )


@contextmanager
def deployed(context: Context, cluster: Cluster, spec: LaunchSpec, logs: Path) -> Iterator[Endpoint]:
    """The deployment, by the cluster's launcher; LaunchError where there is none."""
    launcher = _launcher(cluster)
    with launcher.deployed(spec, cluster, clients=_clients(context), logs=logs) as endpoint:
        yield endpoint


def sweep(context: Context, run_id: str, on: str, *, job: str | None, out: Path | None) -> list[str]:
    """End what a killed run, or one job of it, left on a cluster, and remove the run's unfinished folders in ``out``; says what was."""
    recipe_set, _ = load.examine(
        texts(context.recipes)
    )  # also where some recipe is broken: only the cluster matters
    clusters = recipe_set.catalogue.clusters
    cluster = clusters.get(on)
    if cluster is None:
        raise LaunchError(f"unknown cluster {on!r}", hint=nearest(on, clusters))
    if cluster.launcher:
        said = _launcher(cluster).sweep(run_id, cluster, clients=_clients(context), job=job)
    else:
        said = machine.end_run(run_id, job, grace_s=LEAVING_S)  # those that measure in virtual time
    if out is not None and not out.is_dir():
        raise LaunchError("no such folder", where=str(out), hint="it is the --out of the run")
    with file_errors("remove"):
        return said + [f"removed {folder}" for folder in (collect.sweep(out, run_id) if out else ())]


def _launcher(cluster: Cluster) -> Launcher:
    launcher = LAUNCHERS.get(cluster.launcher or "")
    if launcher is None:
        what = (
            f"launcher {cluster.launcher} is not built yet"
            if cluster.launcher
            else "a cluster without a launcher deploys nothing"
        )
        raise LaunchError(what, where=f"cluster {cluster.id}", hint=f"built: {', '.join(LAUNCHERS)}")
    return launcher


def _clients(context: Context) -> Clients:
    return Clients(context.shell, context.http(through_proxy=False), context.clock)


def _model_path(context: Context, cluster: Cluster, model: str) -> str:
    stated = cluster.model_paths.get(model)
    if stated is None:
        raise LaunchError(
            f"no files of {model} on this cluster",
            where=f"cluster {cluster.id}",
            hint=f"say where: model_paths.{model}",
        )
    if not cluster.site.on_this_machine or Path(stated).is_absolute():
        return stated
    return str((recipes_root(context.recipes) / stated).resolve())
