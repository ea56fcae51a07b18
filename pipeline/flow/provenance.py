"""Where a result comes from, whatever became of it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import __version__
from pipeline.errors import PipelineError
from pipeline.flow.context import Context
from pipeline.measure import redaction, surroundings
from pipeline.schema.base import digest
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import Failure, JobRecord, Measurement, Origin, Provenance


@dataclass(frozen=True, slots=True)
class Attempt:
    """One job of a plan in one attempt of a run: what is known before it starts."""

    plan: Plan
    job: Job
    run_id: str
    attempt: int
    requests_per_conc: int
    seed: int
    started_at: str


def record(context: Context, attempt: Attempt, outcome: Measurement | PipelineError) -> JobRecord:
    """job.json: what was to run, and all that is known of where and how it ran."""
    plan, job, cluster = attempt.plan, attempt.job, attempt.plan.cluster
    origin: Origin = (
        "simulated" if cluster.measure == "replay" or cluster.engine_override == "mocker" else "measured"
    )
    measured = outcome if isinstance(outcome, Measurement) else None
    provenance = Provenance(
        run_id=attempt.run_id,
        attempt=attempt.attempt,
        plan_id=plan.plan_id,
        git_sha=plan.git_sha,
        git_dirty=plan.git_dirty,
        cluster=cluster.id,
        origin=origin,
        measure=cluster.measure,
        requests_per_conc=attempt.requests_per_conc,
        seed=attempt.seed,
        time_scale=cluster.site.slowdown,
        versions={"rackbench": __version__, **(measured.versions if measured else {})},
        host=surroundings.host(),
        started_at=attempt.started_at,
        finished_at=context.clock.now().isoformat(timespec="seconds"),
        stages_s=measured.stages_s if measured else {},
        commands={name: redaction.command(argv) for name, argv in measured.commands.items()}
        if measured
        else {},
        environment=surroundings.environment(context.env),
        gpus=measured.gpus if measured else None,
        image_digest=_image_digest(cluster.images.get(job.recipe.image, job.recipe.image))
        if origin == "measured"
        else None,
        recipe_digest=digest(job.recipe.model_dump(mode="json")),
    )
    return JobRecord(job=job, provenance=provenance)


def failure(error: PipelineError) -> Failure:
    """error.json; what a log said last is in it, so it is told without secrets."""
    return Failure(
        error=type(error).__name__,
        what=redaction.without_secrets(error.what),
        where=redaction.without_secrets(error.where),
        hint=redaction.without_secrets(error.hint),
        exit_code=error.exit_code,
        retryable=error.retryable,
    )


def _image_digest(image: str) -> str | None:
    """The digest in ``name@sha256:…``; None for a tag, which may point elsewhere tomorrow."""
    _, at, found = image.partition("@")
    return found if at else None
