"""plan.json: the one document that passes from the hosted runner to the rack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document, Stored, schema
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.hbm import Hbm
from pipeline.schema.recipe import Recipe, Text
from pipeline.schema.timing import Timing


class Job(Document):
    """One deployment with its list of concurrencies: weights are loaded once. ``id`` is the recipe id."""

    id: Text
    recipe: Recipe
    deployment_digest: Text
    environment: dict[Literal["sku", "llm", "cluster", "timing"], str] = Field(
        description="digest of each document besides the recipe that changes a measurement"
    )
    hbm: tuple[Hbm, ...]
    gpu_hours: float | None = Field(
        description="estimated GPU-hours held; null = no fitted throughput to estimate them from"
    )


class LeftOut(Document):
    """A recipe that is not in the plan, and the reason."""

    recipe: Text
    reason: Text


class Plan(Stored):
    """The jobs for one cluster, with every document that a runner needs."""

    schema_version: int = schema(3)
    plan_id: Text
    event: Literal["nightly", "pull-request", "dispatch"]
    select: str
    since: str | None
    shard: str
    git_sha: str | None
    git_dirty: bool
    created_at: Text
    cluster: Cluster
    skus: dict[str, Sku]
    llms: dict[str, Llm]
    timings: tuple[Timing, ...]
    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...]

    def job(self, job_id: str) -> Job | None:
        """Return a job by its id; None if there is none."""
        return next((job for job in self.jobs if job.id == job_id), None)
