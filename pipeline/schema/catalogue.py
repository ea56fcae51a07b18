"""What recipes refer to: SKUs, LLMs and clusters. Facts with sources; prices carry dates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from pipeline.schema.base import Document, digest
from pipeline.schema.recipe import Count, Purpose, Text

Positive = Annotated[float, Field(gt=0)]


class Price(Document):
    """What a GPU-hour costs in one tier, and who said so when."""

    tier: Literal["hyperscaler", "neocloud", "rental-3y"]
    usd_per_gpu_hour: Positive
    source: Text
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    provisional: str | None = Field(
        default=None, description="why the figure is a placeholder; null = it is not"
    )


class Sku(Document):
    """One kind of GPU in its scale-up domain. Bandwidths and FLOP/s are dense, per GPU, one direction."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: Text
    aliases: tuple[str, ...] = ()
    vendor: Literal["nvidia", "amd"]
    hbm_gb: Positive = Field(description="nominal size as sold, GB")
    hbm_usable_mib: Count | None = Field(
        default=None, description="total memory as nvidia-smi prints it, MiB; null = unknown"
    )
    hbm_tb_s: Positive
    fp4_tflops: Positive | None = None
    fp8_tflops: Positive
    bf16_tflops: Positive
    scaleup: Text
    scaleup_gb_s: Positive
    domain_gpus: Count = Field(description="GPUs in one scale-up domain")
    gpus_per_tray: Count = Field(description="GPUs of one node")
    scaleout_gbit_s: Positive | None = None
    kw_per_gpu: Positive = Field(description="provisioned all-in utility power, kW")
    prices: tuple[Price, ...]
    source: Text
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    notes: str = ""

    @property
    def hbm_bytes(self) -> int | None:
        """Usable bytes of HBM of one GPU, or None where nobody has read them off a machine."""
        return None if self.hbm_usable_mib is None else self.hbm_usable_mib * 2**20

    @property
    def trays(self) -> int:
        """Compute trays of one scale-up domain."""
        return self.domain_gpus // self.gpus_per_tray

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a (simulated) measurement; prices and prose cannot."""
        return digest(
            self.model_dump(
                mode="json", exclude={"title", "aliases", "prices", "source", "date", "notes", "kw_per_gpu"}
            )
        )

    def price(self, tier: str) -> Price | None:
        """The price of a tier, or None."""
        return next((price for price in self.prices if price.tier == tier), None)


class Weights(Document):
    """Bytes of one full copy of the weights, by how they are sharded; decimal GB."""

    routed_gb: Positive = Field(description="routed experts: over tp * dp, by EP or by TP alike")
    shared_gb: Positive = Field(description="shared experts: over tp")
    attention_gb: Positive = Field(description="sharded attention projections: over tp")
    embeddings_gb: Positive = Field(description="embedding and head: over tp")
    replicated_gb: Positive = Field(description="a full copy on every GPU")

    @property
    def total_gb(self) -> float:
        """One full copy."""
        return self.routed_gb + self.shared_gb + self.attention_gb + self.embeddings_gb + self.replicated_gb


class KvCache(Document):
    """Bytes that one sequence holds. KV is replicated over TP ranks and split over DP ranks."""

    bytes_per_token: dict[Literal["fp8-indexer", "fp4-indexer"], Positive]
    bytes_per_sequence: Positive = Field(
        description="sliding window and compressor state, whatever the length"
    )


class Llm(Document):
    """Architecture facts of one LLM, as far as memory and sharding need them."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    title: Text
    served_name: Text
    layers: Count
    hidden: Count
    vocabulary: Count
    attention_heads: Count
    head_dim: Count
    experts: Count
    experts_per_token: Count
    shared_experts: Count
    expert_intermediate: Count
    parameters_total: Positive
    parameters_active: Positive
    precisions: dict[Literal["fp4", "fp8", "bf16"], Weights]
    kv: KvCache
    overhead_gb: Positive = Field(description="CUDA context, NCCL and other fixed memory of a process")
    source: Text
    notes: str = ""

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a measurement."""
        return digest(self.model_dump(mode="json", exclude={"title", "source", "notes"}))


class SlurmSite(Document):
    """What a Slurm site wants to hear."""

    account: str | None = None
    partition: Text
    segment: bool = Field(description="ask for --segment so that a job stays in one NVLink domain")
    gpus_per_node_directive: bool = True
    container_mounts: tuple[str, ...] = ()

    @property
    def measured(self) -> dict[str, JsonValue]:
        """What of it changes a measurement: whether KV may have to leave its NVLink domain."""
        return {"segment": self.segment}


class KubernetesSite(Document):
    """Where on a Kubernetes cluster the deployment goes."""

    namespace: Text
    gpu_product: Text
    model_claim: Text
    compute_domain: bool = Field(description="claim an IMEX channel for MNNVL")

    @property
    def measured(self) -> dict[str, JsonValue]:
        """What of it changes a measurement: the GPUs, and whether KV crosses trays over NVLink."""
        return {"gpu_product": self.gpu_product, "compute_domain": self.compute_domain}


class LocalSite(Document):
    """How a deployment of real processes lives on one machine. Seconds are wall clock."""

    isolation: Literal["network-namespace", "none"] = Field(
        description="network-namespace: nobody else can reach the deployment; none: some of its sockets listen on every interface"
    )
    time_scale: Positive = Field(
        description="simulated engines take this many times as long as calibrated; part of the point key"
    )
    ready_s: Count = Field(description="limit from the first process to the first answer")
    time_s: Count = Field(description="limit of the whole deployment; its processes end by themselves then")
    stop_s: Count = Field(description="what processes are given to leave before they are killed")
    first_port: Annotated[int, Field(ge=1024, le=32767)] = Field(
        description="the first free block of ports is taken from here on"
    )
    last_port: Annotated[int, Field(ge=1024, le=32767)]
    processes_per_core: Count = Field(description="more engine processes than this on each core are refused")

    @property
    def measured(self) -> dict[str, JsonValue]:
        """What of it changes a measurement."""
        return {"time_scale": self.time_scale}


class Cluster(Document):
    """A named place: which launcher starts a recipe there, what measures it, and what the place calls things."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: Text
    skus: Annotated[tuple[str, ...], Field(min_length=1)]
    launcher: Literal["slurm", "kubernetes", "local"] | None
    measure: Literal["replay", "aiperf"]
    engine_override: Literal["mocker"] | None = None
    runs_on: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="labels of the GitHub runner"
    )
    purpose: Purpose = Field(
        default="benchmark", description="which recipes run here: those of the same purpose"
    )
    racks: Count = Field(description="deployments that can run at once; the matrix's max-parallel")
    timing: str | None = Field(
        default=None, description="timing document below recipes/, for simulated engines"
    )
    model_paths: dict[str, str] = Field(
        default_factory=dict,
        description="LLM -> where its files are; for launcher local a folder below recipes/ or an absolute path",
    )
    images: dict[str, str] = Field(
        default_factory=dict, description="image of a recipe -> what this place calls it"
    )
    slurm: SlurmSite | None = None
    kubernetes: KubernetesSite | None = None
    client: Text = Field(
        default="aiperf",
        description="program of the load client, for measure aiperf: on PATH, or an absolute path",
    )
    local: LocalSite | None = None
    notes: str = ""

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a measurement; where weights lie does not."""
        measured = self.model_dump(
            mode="json", include={"id", "launcher", "measure", "engine_override", "images"}
        )
        sites = {"slurm": self.slurm, "kubernetes": self.kubernetes, "local": self.local}
        return digest(
            {**measured, **{name: site.measured for name, site in sites.items() if site is not None}}
        )

    def needs(self) -> dict[str, str]:
        """Fields that the document lacks, and who needs each."""
        launcher, measure = f"launcher {self.launcher}", f"measure {self.measure}"
        wanted: list[tuple[str, str]] = [
            (launcher, name) for name in ("slurm", "kubernetes", "local") if self.launcher == name
        ]
        wanted += (
            [(launcher, "engine_override")] if self.launcher == "local" else []
        )  # it starts simulated engines only
        wanted += [(measure, "timing")] if self.measure == "replay" else []
        wanted += [(measure, "launcher")] if self.measure == "aiperf" else []
        wanted += [("engine mocker", "timing")] if self.engine_override == "mocker" else []
        return {field: whose for whose, field in wanted if getattr(self, field) is None}


class Catalogue(Document):
    """Everything that recipes may refer to, by id."""

    skus: dict[str, Sku]
    llms: dict[str, Llm]
    clusters: dict[str, Cluster]

    def sku(self, name: str) -> Sku | None:
        """A SKU by id or alias."""
        wanted = name.strip().lower()
        return next(
            (sku for sku in self.skus.values() if wanted == sku.id or wanted in map(str.lower, sku.aliases)),
            None,
        )
