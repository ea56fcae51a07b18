"""plan: recipes and a cluster in, plan.json out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import load
from pipeline import plan as planning
from pipeline.edge.git import Git
from pipeline.errors import PipelineError, PlanError
from pipeline.flow.context import Context, read, texts, write
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import RecipeSet, nearest, scope
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Job, Plan
from pipeline.schema.timing import Timing


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the command line asked for."""

    cluster: str
    event: Literal["nightly", "pull-request", "dispatch"]
    select: str
    since: str | None
    skip_measured: str | None
    shard: str
    out: Path
    plan_id: str | None = None
    any_size: bool = False


def plan(context: Context, options: PlanOptions) -> Plan:
    """Write plan.json and return it."""
    made = make(context, options)
    write(options.out, made.to_json())
    return made


def make(context: Context, options: PlanOptions) -> Plan:
    """The plan that was asked for."""
    recipe_set = read_recipe_set(context)
    cluster = _cluster(recipe_set, options.cluster)
    timing = _timing(context.recipes / cluster.timing) if cluster.timing else None
    before = _identities_at(context, options.since, options.cluster) if options.since else {}
    measured = _measured(options.skip_measured) if options.skip_measured else frozenset()
    candidates = [
        planning.PlanCandidate(
            job, was_identity=before.get(job.id), is_measured=planning.identity(job) in measured
        )
        for job in _jobs(recipe_set, cluster, timing)
    ]
    sha, dirty = Git(context.shell, context.recipes).head()
    request = planning.Request(
        plan_id=options.plan_id or context.new_id(),
        event=options.event,
        select=options.select,
        since=options.since,
        shard=planning.shard(options.shard),
        git_sha=sha,
        git_dirty=dirty,
        created_at=context.clock.now().isoformat(timespec="seconds"),
        any_size=options.any_size,
    )
    return planning.plan(request, cluster, recipe_set.catalogue, timing, candidates)


def survey(context: Context, cluster_name: str) -> tuple[RecipeSet, dict[str, Job]]:
    """Every valid recipe of the folder as a job on a cluster, whatever else is wrong there; no job where the cluster is not known."""
    recipe_set, _ = load.examine(texts(context.recipes))
    cluster = recipe_set.catalogue.clusters.get(cluster_name)
    if cluster is None:
        return recipe_set, {}
    timing = _timing(context.recipes / cluster.timing) if cluster.timing else None
    return recipe_set, {job.id: job for job in _jobs(recipe_set, cluster, timing)}


def github_outputs(plan: Plan) -> dict[str, str]:
    """Return the outputs of a workflow step: the matrix (ids, names, labels) and its size."""
    return {
        "matrix": json.dumps(planning.matrix(plan), separators=(",", ":")),
        "count": str(len(plan.jobs)),
        "max-parallel": str(plan.cluster.racks),
        "plan-id": plan.plan_id,
    }


def read_plan(path: Path) -> Plan:
    """plan.json as a document."""
    plan = Plan.from_json(read(path), where=str(path))
    if not plan.jobs:
        raise PlanError("a plan with nothing in it", where=str(path))
    if len({job.id for job in plan.jobs}) < len(plan.jobs):
        raise PlanError("a plan that names a job twice", where=str(path))
    unknown = {job.recipe.sku for job in plan.jobs} - plan.skus.keys()
    if unknown:
        raise PlanError(
            f"a plan without the SKU that its jobs name: {', '.join(sorted(unknown))}", where=str(path)
        )
    return plan


def one_job(plan: Plan, job_id: str, path: Path) -> Job:
    """Return a job of the plan at ``path``; raise PlanError when it has none of this id."""
    job = plan.job(job_id)
    if job is None:
        hint = nearest(job_id, [one.id for one in plan.jobs])
        raise PlanError(f"no job {job_id!r} in the plan", where=str(path), hint=hint)
    return job


def _cluster(recipe_set: RecipeSet, name: str) -> Cluster:
    found = recipe_set.catalogue.clusters.get(name)
    if found is None:
        raise PlanError(f"unknown cluster {name!r}", hint=nearest(name, recipe_set.catalogue.clusters))
    return found


def _timing(path: Path) -> Timing:
    if not path.is_file():
        raise PlanError(
            "the cluster's timing document is missing",
            where=str(path),
            hint="make it: python -m pipeline calibrate POINTS --out FILE",
        )
    return Timing.from_json(read(path), where=str(path))


def _jobs(recipe_set: RecipeSet, cluster: Cluster, timing: Timing | None) -> list[Job]:
    return [
        planning.job(recipe, cluster, recipe_set.catalogue, timing, scope.hbm_of(recipe_set, recipe))
        for recipe in recipe_set.recipes.values()
    ]


def _measured(history: str) -> frozenset[str]:
    from pipeline import store
    from pipeline.store import selection

    return frozenset(map(planning.identity, selection.jobs_measured_whole(store.rows(history))))


def _identities_at(context: Context, since: str, cluster_name: str) -> dict[str, str]:
    """What each recipe measured where we left another revision; a recipe that did not load there counts as changed."""
    git = Git(context.shell, context.recipes)
    shown = git.files_at(git.merge_base(since), load.SUFFIXES)
    recipe_set, _ = load.examine({name: text for name, text in shown.items() if name.endswith(".yaml")})
    cluster = recipe_set.catalogue.clusters.get(cluster_name)
    if cluster is None:
        return {}
    try:
        timing = Timing.from_json(shown[cluster.timing], where=cluster.timing) if cluster.timing else None
        return {job.id: planning.identity(job) for job in _jobs(recipe_set, cluster, timing)}
    except (KeyError, PipelineError):
        return {}  # no timing that this version can read: everything counts as changed
