"""plan.json: the one document that passes from the hosted runner to the rack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document, Stored, schema
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.recipe import Recipe, Role, Text
from pipeline.schema.timing import Timing


class Hbm(Document):
    """HBM of one GPU of one role, decimal GB. ``budget_gb`` = utilisation x capacity."""

    role: Role
    shape: Text
    capacity_gb: float
    utilisation: float
    routed_gb: float
    shared_gb: float
    attention_gb: float
    embeddings_gb: float
    replicated_gb: float
    offload_gb: float = Field(description="routed weights that live on the host; taken off")
    overhead_gb: float
    activation_gb: float = Field(description="upper bound")
    kv_gb: float = Field(description="KV of the sequences that must fit at full length")
    sequences: int = Field(description="max-num-seqs: sequences of a rank that must fit")
    sequence_gb: float
    kv_bytes_per_token: float
    kv_bytes_per_sequence: float

    @property
    def weights_gb(self) -> float:
        """Weights that stay in HBM, GB."""
        return (
            self.routed_gb
            + self.shared_gb
            + self.attention_gb
            + self.embeddings_gb
            + self.replicated_gb
            - self.offload_gb
        )

    @property
    def budget_gb(self) -> float:
        """HBM that vLLM may use, GB."""
        return self.utilisation * self.capacity_gb

    @property
    def kv_budget_gb(self) -> float:
        """HBM left for KV, GB; negative when the weights alone do not fit."""
        return self.budget_gb - self.weights_gb - self.overhead_gb - self.activation_gb

    @property
    def headroom_gb(self) -> float:
        """HBM left beside everything that must fit, GB."""
        return self.kv_budget_gb - self.kv_gb

    @property
    def max_sequences(self) -> int:
        """Sequences of full length that fit beside the weights."""
        return max(0, int(self.kv_budget_gb / self.sequence_gb))

    @property
    def fits(self) -> bool:
        """Whether the weights and the sequences that must fit do fit, with or without a margin."""
        return self.headroom_gb >= 0

    @property
    def verdict(self) -> Literal["fits", "tight", "does not fit"]:
        """``tight``: less than 5 % of the capacity is left, which is within the error of the estimate."""
        if not self.fits:
            return "does not fit"
        return "tight" if self.headroom_gb < 0.05 * self.capacity_gb else "fits"

    def kv_blocks(self, block_size: int) -> int:
        """Return the KV blocks of ``block_size`` tokens in the budget, after the fixed state of the sequences that must fit."""
        free = self.kv_budget_gb * 1e9 - self.sequences * self.kv_bytes_per_sequence
        return max(0, int(free // (block_size * self.kv_bytes_per_token)))


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
