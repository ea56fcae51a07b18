"""The plan: which deployments run on a cluster, as one document with everything that a runner needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil
from typing import Literal

from pipeline.deployment.scheduler import mean_lengths
from pipeline.deployment.timings import choose
from pipeline.errors import MeasureError, PlanError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.cluster import Cluster
from pipeline.schema.hbm import Hbm
from pipeline.schema.plan import Job, LeftOut, Plan
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import Timing

MAX_JOBS = 256  # in the matrix of one GitHub workflow run


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan.

    With ``any_size``, an empty plan is no error, and neither is one of more jobs than GitHub takes. With
    ``even_untimed``, a recipe without timing is planned, so that its run states the reason.
    """

    plan_id: str
    event: Literal["nightly", "pull-request", "dispatch"]
    select: str = "*"
    since: str | None = None
    shard: tuple[int, int] = (1, 1)
    git_sha: str | None = None
    git_dirty: bool = False
    created_at: str = ""
    any_size: bool = False
    even_untimed: bool = False


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """A job that could run, its identity at revision ``since``, and whether the history has its results."""

    job: Job
    was_identity: str | None = None
    is_measured: bool = False


def plan(
    request: PlanRequest,
    cluster: Cluster,
    catalogue: Catalogue,
    timings: Sequence[Timing],
    candidates: Iterable[PlanCandidate],
) -> Plan:
    """Return the jobs of a cluster in order of their ids, and the recipes left out, each with its reason.

    Raise PlanError when no job is left, or more jobs than GitHub takes.
    """
    jobs: list[Job] = []
    left_out: list[LeftOut] = []
    selected = [one for one in candidates if fnmatchcase(one.job.id, request.select)]
    for one in sorted(selected, key=lambda one: one.job.id):
        reason = _reason(one, request, cluster, timings)
        if reason is None:
            jobs.append(one.job)
        else:
            left_out.append(LeftOut(recipe=one.job.id, reason=reason))
    index, count = request.shard
    if 0 < len(jobs) < index and not request.any_size:
        reason = f"there are only {len(jobs)} jobs in all shards together"
        left_out.append(LeftOut(recipe=f"shard {index}/{count}", reason=reason))
    jobs = jobs[index - 1 :: count]
    if not request.any_size:
        _check_size(jobs, left_out, request, cluster)
    recipes = [job.recipe for job in jobs]
    return Plan(
        plan_id=request.plan_id,
        event=request.event,
        select=request.select,
        since=request.since,
        shard=f"{index}/{count}",
        git_sha=request.git_sha,
        git_dirty=request.git_dirty,
        created_at=request.created_at,
        cluster=cluster,
        skus={name: catalogue.skus[name] for name in sorted({recipe.sku for recipe in recipes})},
        llms={name: catalogue.llms[name] for name in sorted({recipe.model for recipe in recipes})},
        timings=tuple(timings),
        jobs=tuple(jobs),
        left_out=tuple(left_out),
    )


def job(
    recipe: Recipe,
    cluster: Cluster,
    catalogue: Catalogue,
    timings: Sequence[Timing],
    hbm: tuple[Hbm, ...] | None,
) -> Job:
    """Return a recipe as a job of a cluster: its digests, its HBM, its estimated GPU-hours."""
    timing = _timing(timings, recipe)
    environment = {
        "sku": catalogue.skus[recipe.sku].measured_digest,
        "llm": catalogue.llms[recipe.model].measured_digest,
        "cluster": cluster.measured_digest,
    }
    if timing is not None:
        environment["timing"] = timing.measured_digest
    return Job(
        id=recipe.id,
        recipe=recipe,
        deployment_digest=recipe.deployment_digest,
        environment=environment,  # type: ignore[arg-type]  # the four names above
        hbm=hbm or (),
        gpu_hours=_gpu_hours(recipe, catalogue.skus[recipe.sku].gpus_per_tray, timing),
    )


def _timing(timings: Sequence[Timing], recipe: Recipe) -> Timing | None:
    try:
        return choose(timings, recipe)
    except MeasureError:
        return None  # ``plan`` leaves the recipe out with this error as the reason


def identity(job: Job) -> str:
    """Return the identity of what a job measures: a job with an equal one need not be measured again."""
    environment = [f"{name}={digest}" for name, digest in sorted(job.environment.items())]
    client = job.recipe.client.model_dump_json()
    return "|".join([job.deployment_digest, client, str(job.recipe.conc), *environment])


def accepted(plan: Plan) -> list[str]:
    """Return a line for each role of a plan that does not fit into HBM, which its author accepts."""
    return [
        f"{job.id}: {hbm.role} {hbm.shape} does not fit into HBM by the estimate; accepted: {hbm.accepted}"
        for job in plan.jobs
        for hbm in job.hbm
        if not hbm.fits
    ]


def checked(plan: Plan, *, where: str) -> Plan:
    """Return a plan that was read from a file; PlanError when it has no job, one twice, or lacks a SKU."""
    if not plan.jobs:
        raise PlanError("the plan has no jobs", where=where, hint="plan again with another --select")
    if len({job.id for job in plan.jobs}) < len(plan.jobs):
        raise PlanError("the plan has two jobs of the same id", where=where, hint="plan again")
    unknown = {job.recipe.sku for job in plan.jobs} - plan.skus.keys()
    if unknown:
        what = f"the plan lacks SKUs of its jobs: {', '.join(sorted(unknown))}"
        raise PlanError(what, where=where, hint="plan again")
    return plan


def _reason(
    one: PlanCandidate, request: PlanRequest, cluster: Cluster, timings: Sequence[Timing]
) -> str | None:
    """Return why a job is left out, as text for people, or None."""
    recipe = one.job.recipe
    if recipe.purpose != cluster.purpose:
        return f"its purpose is {recipe.purpose}, but cluster {cluster.id} runs {cluster.purpose} recipes"
    if recipe.sku not in cluster.skus:
        return f"cluster {cluster.id} has no {recipe.sku}"
    if any(hbm.stops for hbm in one.job.hbm):
        return f"it does not fit in HBM; run: python -m pipeline fit {recipe.id}"
    if cluster.is_simulated and not request.even_untimed and (untimed := _untimed(timings, recipe)):
        return untimed
    if request.since is not None and one.was_identity == identity(one.job):
        return f"unchanged since {request.since}"
    if one.is_measured:
        return "measured already: the history has this deployment in the same environment"
    return None


def _untimed(timings: Sequence[Timing], recipe: Recipe) -> str:
    """Return why a recipe cannot be simulated, and what would be needed; an empty text when it can."""
    try:
        choose(timings, recipe)
    except MeasureError as error:
        return f"{error.what} ({error.hint})"
    return ""


def _check_size(jobs: list[Job], left_out: list[LeftOut], request: PlanRequest, cluster: Cluster) -> None:
    if not jobs:
        reasons = [f"{one.recipe}: {one.reason}" for one in left_out[:3]]
        if len(left_out) > 3:
            reasons.append(f"and {len(left_out) - 3} more")
        hint = "; ".join(reasons) or f"no recipe matches --select {request.select!r}"
        raise PlanError("nothing to run", where=f"cluster {cluster.id}", hint=hint)
    if len(jobs) > MAX_JOBS:
        shards = ceil(len(jobs) * request.shard[1] / MAX_JOBS)
        raise PlanError(
            f"the plan has {len(jobs)} jobs, and a GitHub workflow run takes at most {MAX_JOBS}",
            hint=f"split it into {shards} plans: --shard 1/{shards} … --shard {shards}/{shards}",
        )


def _gpu_hours(recipe: Recipe, gpus_per_tray: int, timing: Timing | None) -> float | None:
    """Return the estimated GPU-hours held; None where the timing has no fitted throughput for a concurrency.

    GPUs held x seconds; the seconds are all tokens, those of the warm-up too, over the fitted throughput.
    """
    errors = timing.errors if timing else ()
    fitted = {(error.recipe, error.conc): error.fitted_total_tok_s_gpu for error in errors}
    hours = 0.0
    for conc in recipe.conc:
        rate = fitted.get((recipe.id, conc))
        if rate is None:
            return None
        requests = conc * (recipe.client.requests_per_conc + recipe.client.warmup_per_conc)
        hours += requests * sum(mean_lengths(recipe)) / (rate * recipe.gpus_counted) / 3600
    return hours * recipe.gpus_held(gpus_per_tray)
