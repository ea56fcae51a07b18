"""plan: recipes and a cluster in, plan.json out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import plan as planning
from pipeline.edge.git import Git
from pipeline.errors import PlanError
from pipeline.flow.context import Context, read, write
from pipeline.flow.recipe_jobs import identities_at, jobs_of
from pipeline.flow.recipes import read_recipe_set
from pipeline.flow.timing_files import timings_of
from pipeline.load import RecipeSet, nearest
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Job, Plan


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
    even_untimed: bool = False


def plan(context: Context, options: PlanOptions) -> Plan:
    """Write plan.json and return it."""
    made = make(context, options)
    write(options.out, made.to_json())
    return made


def make(context: Context, options: PlanOptions) -> Plan:
    """Return the plan for the options."""
    recipe_set = read_recipe_set(context)
    cluster = _cluster(recipe_set, options.cluster)
    timings = timings_of(context, cluster)
    sha, dirty = Git(context.shell, context.recipes).head()
    request = planning.PlanRequest(
        plan_id=options.plan_id or context.new_id(),
        event=options.event,
        select=options.select,
        since=options.since,
        shard=planning.shard(options.shard),
        git_sha=sha,
        git_dirty=dirty,
        created_at=context.clock.now().isoformat(timespec="seconds"),
        any_size=options.any_size,
        even_untimed=options.even_untimed,
    )
    candidates = _candidates(context, options, jobs_of(recipe_set, cluster, timings))
    return planning.plan(request, cluster, recipe_set.catalogue, timings, candidates)


def _candidates(context: Context, options: PlanOptions, jobs: Sequence[Job]) -> list[planning.PlanCandidate]:
    before = identities_at(context, options.since, options.cluster) if options.since else {}
    measured = _measured(options.skip_measured) if options.skip_measured else frozenset()
    return [
        planning.PlanCandidate(
            job, was_identity=before.get(job.id), is_measured=planning.identity(job) in measured
        )
        for job in jobs
    ]


def read_plan(path: Path) -> Plan:
    """Return the plan in a file; PlanError when it cannot be run."""
    return planning.checked(Plan.from_json(read(path), where=str(path)), where=str(path))


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


def _measured(history: str) -> frozenset[str]:
    from pipeline import store
    from pipeline.store import selection

    return frozenset(map(planning.identity, selection.jobs_measured_whole(store.rows(history))))
