"""The recipe: what to measure. Where it runs is stated by a cluster document."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from pipeline.schema.base import DISTINCT, Document, digest

LARGEST = 2**31 - 1  # of every count: what a column of the history holds
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Conc = Annotated[int, Field(ge=1, le=100_000)]
Role = Literal["prefill", "decode"]
ROLES: tuple[Role, ...] = ("prefill", "decode")
# Of the weights of most layers. fp4: any four-bit floating point, as in recipes that name no format.
Precision = Literal["fp4", "mxfp4", "nvfp4", "int4", "fp8", "bf16"]
Purpose = Literal["benchmark", "smoke"]  # smoke: reduced to what one machine without GPUs can run live
Text = Annotated[str, Field(min_length=1)]


class WorkerPool(Document):
    """Equal workers of one role. EP re-shards experts over the GPUs of a worker; it never multiplies them.

    >>> WorkerPool(workers=2, tp=1, pp=1, dp=16, ep=16).gpus
    32
    """

    workers: Count
    tp: Count
    pp: Count
    dp: Count
    ep: Count

    @property
    def gpus_per_worker(self) -> int:
        """``tp · pp · dp``."""
        return self.tp * self.pp * self.dp

    @property
    def gpus(self) -> int:
        """GPUs of the whole pool."""
        return self.workers * self.gpus_per_worker

    def trays(self, gpus_per_tray: int) -> int:
        """Return the trays of the whole pool: a worker of a tray or more takes whole trays, smaller workers share one."""
        if self.gpus_per_worker < gpus_per_tray:
            return ceil(self.workers / (gpus_per_tray // self.gpus_per_worker))
        return self.workers * ceil(self.gpus_per_worker / gpus_per_tray)

    @property
    def ranks(self) -> int:
        """Schedulers of the whole pool: one per data-parallel rank of each worker."""
        return self.workers * self.dp

    @property
    def gpus_per_rank(self) -> int:
        """GPUs that one scheduler drives: ``tp · pp``."""
        return self.tp * self.pp

    @property
    def shape(self) -> str:
        """Worker shape in the field's shorthand.

        >>> WorkerPool(workers=1, tp=4, pp=1, dp=1, ep=4).shape, WorkerPool(workers=1, tp=1, pp=1, dp=8, ep=8).shape
        ('TEP4', 'DEP8')
        """
        kind = "D" if self.tp == 1 and self.dp > 1 else "T"
        if self.tp > 1 and self.dp > 1:
            kind = f"T{self.tp}D"
        expert = "EP" if self.ep > 1 else "P"
        width = self.dp if self.dp > 1 else self.tp
        pipeline = f"PP{self.pp}" if self.pp > 1 else ""
        return f"{kind}{expert}{width}{pipeline}"


class Pool(WorkerPool):
    """A pool with its vLLM flags and environment.

    ``flags``: kebab-case vLLM options; true = bare flag, false = ``--no-…`` where vLLM spells it so, else absent;
    a mapping = JSON; a list = repeated option. ``gpus_stated`` (key ``gpus``) is checked against the arithmetic.
    """

    gpus_stated: Count | None = Field(default=None, alias="gpus")
    crosses_trays: bool = Field(
        default=False, description="tensor parallelism over more than one tray is meant"
    )
    flags: dict[str, JsonValue] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)


class Workload(Document):
    """Nominal lengths in tokens."""

    isl: Count
    osl: Count


class Client(Document):
    """How the load client behaves; part of the point key, not of the deployment digest."""

    requests_per_conc: Count = Field(description="measured requests = this times the concurrency")
    warmup_per_conc: int = Field(ge=0, description="warm-up requests = this times the concurrency")
    warmup_req_s: float = Field(gt=0, description="request rate of the warm-up, 1/s")
    shortest: float = Field(
        gt=0, le=1, description="lengths are uniform integers in [floor(shortest * L), L]"
    )
    seed: int = Field(ge=0, lt=2**32)
    ignore_eos: bool
    chat_template: bool


class Limits(Document):
    """Wall-clock limits on a rack, in seconds."""

    time_s: Count
    ready_s: Count


class SimulatedPool(Document):
    """What a simulator needs and vLLM leaves to its default, keyed as the vLLM flag it stands for."""

    max_num_seqs: Count | None = Field(default=None, alias="max-num-seqs")
    max_num_batched_tokens: Count | None = Field(default=None, alias="max-num-batched-tokens")


class Simulate(Document):
    """Declared, never guessed."""

    prefill: SimulatedPool = SimulatedPool()
    decode: SimulatedPool = SimulatedPool()


class Fit(Document):
    """The author's answer to `fit`."""

    accept: Text = Field(
        description="reason to go on although the deployment does not fit into HBM by the estimate"
    )


class Recipe(Document):
    """One deployment shape and its concurrencies, with every inherited value filled in."""

    id: str = Field(pattern=r"^[a-z0-9.-]{1,100}$")
    was: Annotated[tuple[str, ...], DISTINCT] = ()
    title: Text
    notes: str = ""
    source: Text
    purpose: Purpose = Field(default="benchmark", description="it runs on clusters of the same purpose")

    model: Text
    precision: Precision
    model_revision: str | None = Field(
        default=None, description="revision of the checkpoint; null = not recorded"
    )
    sku: Text
    engine: Literal["vllm"]
    image: Text
    versions: dict[str, str]
    dp_launch: Literal["per-gpu", "per-tray"] = Field(
        description="one process a GPU, or one a tray, for data-parallel workers"
    )

    workload: Workload
    client: Client
    conc: Annotated[tuple[Conc, ...], Field(min_length=1, max_length=100)]

    prefill: Pool
    decode: Pool
    infra_trays: int = Field(
        ge=0, description="trays that the scheduler gives for NATS and etcd alone; held, not counted"
    )
    limits: Limits
    simulate: Simulate = Simulate()
    fit: Fit | None = Field(default=None, description="null = a deployment that does not fit is an error")

    @property
    def pools(self) -> dict[Role, Pool]:
        """Both pools by role, prefill first."""
        return {"prefill": self.prefill, "decode": self.decode}

    @property
    def gpus_counted(self) -> int:
        """GPUs in the denominator of tok/s/GPU: prefill + decode."""
        return self.prefill.gpus + self.decode.gpus

    def gpus_held(self, gpus_per_tray: int) -> int:
        """Return the GPUs that the scheduler allocates: every GPU of every tray, the trays of NATS and etcd and idle GPUs included."""
        trays = self.infra_trays + sum(pool.trays(gpus_per_tray) for pool in self.pools.values())
        return trays * gpus_per_tray

    @property
    def shape(self) -> str:
        """Short label of the deployment, e.g. ``6P1D DEP4/DEP8``."""
        return f"{self.prefill.workers}P{self.decode.workers}D {self.prefill.shape}/{self.decode.shape}"

    @property
    def measured_fields(self) -> dict[str, Any]:
        """The fields that change a measurement.

        Not title, notes, source, purpose, limits, concurrencies, client or the override of `fit`.
        """
        drop = {"id", "was", "title", "notes", "source", "purpose", "client", "conc", "limits", "infra_trays"}
        drop.add("fit")
        per_pool = {"gpus_stated", "crosses_trays"}
        return self.model_dump(
            mode="json", exclude={**dict.fromkeys(drop, True), "prefill": per_pool, "decode": per_pool}
        )

    @property
    def deployment_digest(self) -> str:
        """The identity of a deployment (docs/contracts.md, section 1)."""
        return digest(self.measured_fields)
