"""Room 3: which deployments run, as one document with everything that a runner needs to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil
from typing import Literal

from pipeline.errors import PlanError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Hbm, Job, LeftOut, Plan
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import Timing

MAX_JOBS = 256  # GitHub takes no more jobs in the matrix of one workflow run


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller asked for; ``any_size``: neither an empty plan nor one too large for a run is refused, the caller shards."""

    plan_id: str
    event: Literal["nightly", "pull-request", "dispatch"]
    select: str = "*"
    since: str | None = None
    shard: tuple[int, int] = (1, 1)
    git_sha: str | None = None
    git_dirty: bool = False
    created_at: str = ""
    any_size: bool = False


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """A recipe with what ``fit`` said of it, its identity on this cluster, and what is known of it already."""

    job: Job
    was_identity: str | None = None
    is_measured: bool = False


def plan(
    request: Request,
    cluster: Cluster,
    catalogue: Catalogue,
    timing: Timing | None,
    candidates: Iterable[PlanCandidate],
) -> Plan:
    """Jobs of ``cluster`` in id order, and every recipe left out with its reason; PlanError when nothing is left."""
    jobs: list[Job] = []
    left_out: list[LeftOut] = []
    for one in sorted(candidates, key=lambda one: one.job.id):
        reason = _reason(one, request, cluster)
        if reason is None:
            jobs.append(one.job)
        elif fnmatchcase(one.job.id, request.select):
            left_out.append(LeftOut(recipe=one.job.id, reason=reason))
    if len(jobs) < request.shard[0] and not request.any_size:
        left_out.append(
            LeftOut(
                recipe=f"shard {request.shard[0]}/{request.shard[1]}",
                reason=f"there are {len(jobs)} jobs in all",
            )
        )
    jobs = jobs[request.shard[0] - 1 :: request.shard[1]]
    _refuse_impossible(jobs, left_out, request, cluster)
    recipes = [job.recipe for job in jobs]
    return Plan(
        plan_id=request.plan_id,
        event=request.event,
        select=request.select,
        since=request.since,
        shard=f"{request.shard[0]}/{request.shard[1]}",
        git_sha=request.git_sha,
        git_dirty=request.git_dirty,
        created_at=request.created_at,
        cluster=cluster,
        skus={name: catalogue.skus[name] for name in sorted({recipe.sku for recipe in recipes})},
        llms={name: catalogue.llms[name] for name in sorted({recipe.model for recipe in recipes})},
        timing=timing,
        jobs=tuple(jobs),
        left_out=tuple(left_out),
    )


def job(
    recipe: Recipe, cluster: Cluster, catalogue: Catalogue, timing: Timing | None, hbm: tuple[Hbm, ...] | None
) -> Job:
    """One recipe as a job: its digests, its fit, its price in GPU-hours."""
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


def identity(job: Job) -> str:
    """What a job measures: equal identities need no second measurement."""
    client = job.recipe.client.model_dump_json()
    return "|".join(
        [
            job.deployment_digest,
            client,
            str(job.recipe.conc),
            *(f"{k}={v}" for k, v in sorted(job.environment.items())),
        ]
    )


def matrix(plan: Plan) -> Mapping[str, list[dict[str, object]]]:
    """GitHub's matrix: ids, names and labels only, so that a job output stays far below 1 MB."""
    return {"include": legs(plan)}


def legs(plan: Plan) -> list[dict[str, object]]:
    """One entry a job: its id, its name as GitHub shows it, the labels of the runner that takes it."""
    runs_on = list(plan.cluster.runs_on)
    return [
        {"id": job.id, "name": f"{job.recipe.sku} {job.recipe.shape}", "runs_on": runs_on}
        for job in plan.jobs
    ]


def shards_needed(jobs: Sequence[int], size: int) -> int:
    """Runs that plans of so many jobs take together, when each run has room for ``size`` jobs and a share of every plan.

    >>> shards_needed([3, 2], 5), shards_needed([3, 2], 3), shards_needed([300], 250)
    (1, 2, 2)
    """
    return next(
        count
        for count in range(1, sum(jobs) + 2)
        if sum(ceil(one / count) for one in jobs) <= max(size, len(jobs))
    )


def part(plan: Plan, whole: Plan, shard: tuple[int, int]) -> Plan:
    """Of a plan, the jobs that are every N-th of ``whole`` from the I-th on, under the same plan id."""
    share = {job.id for job in whole.jobs[shard[0] - 1 :: shard[1]]}
    return plan.model_copy(
        update={"jobs": tuple(job for job in plan.jobs if job.id in share), "shard": f"{shard[0]}/{shard[1]}"}
    )


def shard(text: str) -> tuple[int, int]:
    """``I/N`` → (I, N), counted from 1; PlanError otherwise."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise PlanError(f"--shard {text} is not I/N with 1 ≤ I ≤ N", hint="for example --shard 1/4")
    return int(number), int(count)


def _reason(one: PlanCandidate, request: Request, cluster: Cluster) -> str | None:
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (
        (not fnmatchcase(one.job.id, request.select), lambda: "not selected"),
        (
            one.job.recipe.purpose != cluster.purpose,
            lambda: f"a {one.job.recipe.purpose} recipe; {cluster.id} runs {cluster.purpose} ones",
        ),
        (one.job.recipe.sku not in cluster.skus, lambda: f"cluster {cluster.id} has no {one.job.recipe.sku}"),
        (any(h.verdict == "does not fit" for h in one.job.hbm), lambda: "does not fit into HBM; see `fit`"),
        (
            request.since is not None and one.was_identity == identity(one.job),
            lambda: f"unchanged since {request.since}",
        ),
        (one.is_measured, lambda: "this deployment has been measured already, in the same environment"),
    )
    return next((say() for applies, say in checks if applies), None)


def _refuse_impossible(jobs: list[Job], left_out: list[LeftOut], request: Request, cluster: Cluster) -> None:
    if not jobs and not request.any_size:
        why = (
            "; ".join(f"{one.recipe}: {one.reason}" for one in left_out[:3])
            or f"no recipe matches {request.select!r}"
        )
        raise PlanError("nothing to run", where=f"cluster {cluster.id}", hint=why)
    if len(jobs) > MAX_JOBS and not request.any_size:
        shards = ceil(len(jobs) * request.shard[1] / MAX_JOBS)
        raise PlanError(
            f"{len(jobs)} jobs, and a workflow run takes {MAX_JOBS}",
            hint=f"plan {shards} shards: --shard 1/{shards} …",
        )


def _gpu_hours(recipe: Recipe, gpus_per_tray: int, timing: Timing | None) -> float | None:
    """GPUs held x the seconds that the fitted throughputs give for all measured tokens; None where a point was never fitted."""
    fitted = (
        {(error.recipe, error.conc): error.fitted_total_tok_s_gpu for error in timing.errors}
        if timing
        else {}
    )
    mean_tokens = (recipe.workload.isl + recipe.workload.osl) * (1 + recipe.client.shortest) / 2
    hours = 0.0
    for conc in recipe.conc:
        rate = fitted.get((recipe.id, conc))
        if rate is None:
            return None
        requests = conc * (recipe.client.requests_per_conc + recipe.client.warmup_per_conc)
        hours += requests * mean_tokens / (rate * recipe.gpus_counted) / 3600
    return hours * recipe.gpus_held(gpus_per_tray)
