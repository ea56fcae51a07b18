"""Documents that recipes refer to: SKUs, LLMs and clusters. Facts have sources, prices have dates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.schema.base import DISTINCT, Document, digest
from pipeline.schema.cluster import Cluster, Positive
from pipeline.schema.engine import Engine, EngineChoice, EngineName, nearest_engine
from pipeline.schema.recipe import Count, Precision, Recipe, Text

PriceTier = Literal["hyperscaler", "neocloud", "rental-3y"]
Size = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0)]
KvDtype = Literal["fp8", "bf16"]
IndexerCache = Literal["fp8-indexer", "fp4-indexer", "no-indexer"]


class Price(Document):
    """The price of a GPU-hour in one tier, with source and date."""

    tier: PriceTier
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
    aliases: Annotated[tuple[str, ...], DISTINCT] = ()
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
        """Usable bytes of HBM of one GPU; None where they have not been read from a machine."""
        return None if self.hbm_usable_mib is None else self.hbm_usable_mib * 2**20

    @property
    def trays(self) -> int:
        """Compute trays of one scale-up domain."""
        return self.domain_gpus // self.gpus_per_tray

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a measurement; prices and prose cannot."""
        return digest(
            self.model_dump(
                mode="json", exclude={"title", "aliases", "prices", "source", "date", "notes", "kw_per_gpu"}
            )
        )

    def price(self, tier: str) -> Price | None:
        """Return the price of a tier, or None."""
        return next((price for price in self.prices if price.tier == tier), None)


class Weights(Document):
    """Bytes of one full copy of the weights, by how they are sharded; decimal GB."""

    routed_gb: NotNegative = Field(description="routed experts: over tp * dp, by EP or by TP alike")
    shared_gb: NotNegative = Field(description="shared experts: over tp")
    attention_gb: Positive = Field(description="sharded attention projections: over tp")
    embeddings_gb: Positive = Field(description="embedding and head: over tp")
    replicated_gb: NotNegative = Field(description="a full copy on every GPU")
    dense_gb: NotNegative = Field(default=0.0, description="MLPs of layers without experts: over tp")
    vision_gb: NotNegative = Field(
        default=0.0, description="vision tower and projector: a full copy on every GPU"
    )
    routed_block: Count | None = Field(
        default=None,
        description="rows of a routed expert that share one scale and stay together; null = unknown",
    )
    shared_block: Count | None = Field(
        default=None,
        description="rows of a shared expert that share one scale and stay together; null = unknown",
    )


class KvCache(Document):
    """Bytes that one sequence holds in the whole LLM. KV is split over DP ranks, and over TP by its heads."""

    bytes_per_token: dict[IndexerCache, Positive]
    bytes_per_sequence: NotNegative = Field(
        description="sliding window and compressor state, whatever the length"
    )
    sliding_bytes_per_token: NotNegative = Field(
        default=0.0,
        description="what layers with a sliding window hold of every token where the engine's hybrid KV cache "
        "manager is off; it replaces bytes_per_sequence",
    )
    heads: Count = Field(
        default=1, description="KV heads: divided over tp up to their number, a copy on each GPU beyond it"
    )
    dtype: KvDtype = Field(default="fp8", description="kv-cache-dtype that these bytes are stated for")
    auto: KvDtype | None = Field(
        default=None,
        description="what the engine takes where kv-cache-dtype is auto or absent; null = unknown",
    )
    is_plain: bool = Field(
        default=False,
        description="all bytes are keys and values, so another kv-cache-dtype changes them by its width; "
        "false = a layout of its own, known for `dtype` only",
    )
    is_latent: bool = Field(
        default=False, description="one latent entry serves keys and values of all heads (MLA)"
    )


class MtpWeights(Document):
    """Bytes of the layer for multi-token prediction by how they are sharded; decimal GB.

    It shares embedding and head with the LLM.
    """

    routed_gb: NotNegative
    shared_gb: NotNegative
    attention_gb: NotNegative
    replicated_gb: NotNegative


class MtpLayer(Document):
    """The layer for multi-token prediction: on the last pipeline stage, loaded where speculative-config uses it."""

    precisions: dict[Precision, MtpWeights]
    kv_bytes_per_token: NotNegative
    kv_bytes_per_sequence: NotNegative


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
    experts: Size = Field(default=0, description="routed experts of a layer; 0 = dense")
    experts_per_token: Size = 0
    shared_experts: Size = 0
    expert_intermediate: Size = Field(default=0, description="rows of an expert; 0 = no experts")
    dense_intermediate: Size = Field(
        default=0,
        description="rows of the MLP of layers without experts; 0 = there are none, or not recorded",
    )
    parameters_total: Positive
    parameters_active: Positive
    precisions: dict[Precision, Weights]
    kv: KvCache
    mtp: MtpLayer | None = Field(default=None, description="null = none, or not recorded")
    max_model_len: Count | None = Field(
        default=None, description="what vLLM takes where max-model-len is absent; null = not recorded"
    )
    overhead_gb: Positive = Field(description="CUDA context, NCCL and other fixed memory of a process")
    source: Text
    notes: str = ""

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a measurement.

        Not those that only `fit` or the rules of `validate` read. A field of later versions counts where its value
        is not the default.
        """
        blocks = {"__all__": {"routed_block", "shared_block"}}
        unread = dict.fromkeys(("title", "source", "notes", "mtp", "max_model_len"), True)
        without: dict[str, Any] = {**unread, "precisions": blocks}
        return digest(self.model_dump(mode="json", exclude=without, exclude_defaults=True))


class Catalogue(Document):
    """All SKUs, LLMs and clusters by id, and the engine versions."""

    skus: dict[str, Sku]
    llms: dict[str, Llm]
    clusters: dict[str, Cluster]
    engines: dict[str, Engine] = Field(default_factory=dict, description="engine versions by NAME/VERSION")

    def sku(self, name: str) -> Sku | None:
        """Return a SKU by id or alias."""
        wanted = name.strip().lower()
        return next(
            (sku for sku in self.skus.values() if wanted == sku.id or wanted in map(str.lower, sku.aliases)),
            None,
        )

    def engine(self, name: EngineName, recipe: Recipe) -> EngineChoice | None:
        """Return the catalogue entry of the engine version that a recipe states, or of the nearest one.

        None where the recipe states no version with release numbers, or the catalogue has no version of the engine.
        """
        version = recipe.versions.get(name)
        return nearest_engine(self.engines, name, version) if version else None
