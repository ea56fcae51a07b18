"""run: plan.json in, one result folder for each job out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import collect
from pipeline.deployment import invariants, timings
from pipeline.edge.files import file_errors
from pipeline.edge.scratch import sole
from pipeline.errors import ArtifactError, PipelineError, PlanError
from pipeline.flow.context import Context
from pipeline.flow.planning import one_job, read_plan
from pipeline.measure.outcome import failure, untrusted, without_values
from pipeline.measure.provenance import Attempt, RunSettings, record
from pipeline.schema.plan import Job
from pipeline.schema.result import Failure, Measurement


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for; ``job`` None = every job of the plan."""

    plan: Path
    out: Path
    job: str | None
    quick: bool
    seed: int | None
    run_id: str
    attempt: int
    workers: int


def run(context: Context, options: RunOptions) -> list[Path]:
    """Measure one job here, or every job of the plan in processes of their own; return the result folders."""
    plan = read_plan(options.plan)
    with file_errors("create", options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    settings = RunSettings(plan, options.run_id, options.attempt, options.quick, options.seed)
    if options.job is not None:
        return [_run_one(context, settings, one_job(plan, options.job, options.plan), options.out)]
    from pipeline.flow import job_processes

    return job_processes.run_all(context, options, settings)


def attempt_of(context: Context, settings: RunSettings, job: Job) -> Attempt:
    """Return the attempt of a job that starts now."""
    return Attempt.of(job, settings, started_at=context.clock.now().isoformat(timespec="seconds"))


def pack(
    context: Context, attempt: Attempt, result: Measurement | Failure, *, staging: Path, out: Path
) -> Path:
    """Write the result folder of an attempt and return it."""
    measured = result if isinstance(result, Measurement) else None
    if isinstance(result, Failure):
        result = without_values(result, context.env)
    now = context.clock.now().isoformat(timespec="seconds")
    return collect.collect(result, record(attempt, measured, env=context.env, finished_at=now), staging, out)


def _run_one(context: Context, settings: RunSettings, job: Job, out: Path) -> Path:
    attempt = attempt_of(context, settings, job)
    staging = collect.workplace(out, attempt.run_id, attempt.attempt, job.id)
    with sole(staging) as is_ours:
        if not is_ours:
            what = "another process is at work on the result of this name"
            raise ArtifactError(what, where=str(staging), hint=collect.RETRY)
        collect.refuse_taken(out, attempt.run_id, attempt.attempt, job.id)
        try:
            measured = _measure(context, attempt, staging)
        except PipelineError as error:
            folder = pack(context, attempt, failure(error), staging=staging, out=out)
            error.hint = "; ".join(filter(None, (error.hint, f"kept in {folder}")))
            raise
        folder = pack(context, attempt, measured, staging=staging, out=out)
    if problem := untrusted(measured, job):
        problem.hint = f"kept in {folder}"
        raise problem
    return folder


def _measure(context: Context, attempt: Attempt, staging: Path) -> Measurement:
    plan, sku = attempt.plan, attempt.job.recipe.sku
    if plan.cluster.measure == "aiperf":
        from pipeline.flow import serving

        return _marked(attempt, serving.measure(context, attempt, staging))
    if not plan.timings:
        where = f"cluster {plan.cluster.id}"
        raise PlanError("the plan has no timing for a replay", where=where, hint="plan again")
    from pipeline.measure import replay

    settings = replay.ReplaySettings(
        job=attempt.job,
        sku=plan.skus[sku],
        timing=timings.sku_timing(plan.timings, attempt.job.recipe),
        requests_per_conc=attempt.requests_per_conc,
        seed=attempt.seed,
        staging=staging,
    )
    return _marked(attempt, replay.measure(settings, clock=context.clock))


def _marked(attempt: Attempt, measured: Measurement) -> Measurement:
    """Return the measurement with points invalid where they break an invariant (docs/invariants.md)."""
    recipe, tray = attempt.job.recipe, attempt.plan.skus[attempt.job.recipe.sku].gpus_per_tray
    made = [invariants.Made(recipe, attempt.requests_per_conc, point, tray) for point in measured.points]
    return measured.model_copy(update={"points": tuple(map(invariants.marked, made))})
