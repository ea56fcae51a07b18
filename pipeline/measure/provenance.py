"""Where a result comes from: one job of a plan in one attempt of a run, and its record for job.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pipeline import __version__, secret_values
from pipeline.measure import redaction, surroundings
from pipeline.schema.base import digest
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import JobRecord, Measurement, Origin, Provenance

QUICK: Final = 1  # requests per concurrency of a quick run, against the published 10: ramp and drain, hardly a steady state


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What all jobs of one run attempt share; ``seed`` None = each recipe's own."""

    plan: Plan
    run_id: str
    attempt: int
    is_quick: bool
    seed: int | None

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs of the plan by id."""
        return {job.id: job for job in self.plan.jobs}

    def jobs_at_once(self, workers: int) -> int:
        """Return how many jobs run at the same time: live deployments share the racks of their cluster."""
        cluster = self.plan.cluster
        return min(workers, cluster.racks) if cluster.launcher else workers

    def longest_first(self) -> list[Job]:
        """Return the jobs of the plan, those with the most requests first, so that the last ones to end are short."""
        return sorted(self.plan.jobs, key=lambda job: -sum(job.recipe.conc))


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

    @classmethod
    def of(cls, job: Job, settings: RunSettings, *, started_at: str) -> Self:
        """Return the attempt of a job under the settings of its run."""
        client = job.recipe.client
        requests = client.requests_per_conc
        return cls(
            plan=settings.plan,
            job=job,
            run_id=settings.run_id,
            attempt=settings.attempt,
            requests_per_conc=min(QUICK, requests) if settings.is_quick else requests,
            seed=client.seed if settings.seed is None else settings.seed,
            started_at=started_at,
        )


def record(
    attempt: Attempt, measured: Measurement | None, *, env: Mapping[str, str], finished_at: str
) -> JobRecord:
    """Return job.json: what was to run, and all that is known of where and how it ran; ``measured`` None = it failed."""
    plan, job, cluster = attempt.plan, attempt.job, attempt.plan.cluster
    origin: Origin = (
        "simulated" if cluster.measure == "replay" or cluster.engine_override == "mocker" else "measured"
    )
    image = cluster.images.get(job.recipe.image, job.recipe.image)
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
        finished_at=finished_at,
        stages_s=measured.stages_s if measured else {},
        commands=_commands(measured, secret_values.of(env)),
        environment=surroundings.environment(env),
        gpus=measured.gpus if measured else None,
        image_digest=_image_digest(image) if origin == "measured" else None,
        recipe_digest=digest(job.recipe.model_dump(mode="json")),
    )
    return JobRecord(job=job, provenance=provenance)


def _commands(measured: Measurement | None, secrets: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    commands = measured.commands if measured else {}
    return {
        name: tuple(secret_values.without(one, secrets) for one in redaction.command(argv))
        for name, argv in commands.items()
    }


def _image_digest(image: str) -> str | None:
    """The digest in ``name@sha256:…``; None for a tag, which may point elsewhere tomorrow."""
    _, at, found = image.partition("@")
    return found if at else None
