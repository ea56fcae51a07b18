"""HBM of one GPU of one role: what takes it, what is asked of the rest, and the verdict."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.recipe import Role, Text

# What the estimate cannot know of a recipe; reasons, and what would decide them, are in render/words/memory.py.
UnknownMemory = Literal[
    "kv-cache-dtype", "kv-pool", "context-parallel", "max-model-len", "mtp", "draft-model"
]
FitVerdict = Literal["fits", "tight", "queues", "does not fit", "unknown"]
TIGHT = 0.05  # of the capacity: the error of the estimate


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
    dense_gb: float = Field(default=0.0, description="MLPs of layers without experts")
    vision_gb: float = Field(default=0.0, description="vision tower")
    mtp_gb: float = Field(description="layer for multi-token prediction; 0 = not loaded")
    offload_gb: float = Field(description="weights that live on the host; taken off")
    overhead_gb: float
    activation_gb: float = Field(description="upper bound")
    graphs_gb: float = Field(description="allowance for CUDA graphs")
    sequences: int = Field(description="max-num-seqs: the limit of one rank")
    conc_per_rank: int = Field(description="largest concurrency of the recipe over the ranks of the pool")
    tokens: int = Field(description="longest sequence of the workload on this role")
    max_model_len: int | None = Field(
        description="one sequence of this length must fit; null = not stated by recipe and LLM"
    )
    kv_bytes_per_token: float | None = Field(description="null = unknown, for a reason in `unknown`")
    kv_bytes_per_sequence: float | None
    unknown: tuple[UnknownMemory, ...] = ()
    accepted: Text | None = Field(
        default=None, description="reason of the author to go on although it does not fit"
    )

    @property
    def weights_gb(self) -> float:
        """Weights that stay in HBM, GB."""
        whole = self.routed_gb + self.shared_gb + self.attention_gb + self.embeddings_gb + self.replicated_gb
        return whole + self.dense_gb + self.vision_gb + self.mtp_gb - self.offload_gb

    @property
    def other_gb(self) -> float:
        """HBM that is neither weights nor KV, GB."""
        return self.overhead_gb + self.activation_gb + self.graphs_gb

    @property
    def budget_gb(self) -> float:
        """HBM that vLLM may use, GB."""
        return self.utilisation * self.capacity_gb

    @property
    def kv_budget_gb(self) -> float:
        """HBM left for KV, GB; negative when the weights alone do not fit."""
        return self.budget_gb - self.weights_gb - self.other_gb

    @property
    def running(self) -> int:
        """Sequences that one rank runs at once at the largest concurrency of the recipe."""
        return min(self.sequences, self.conc_per_rank)

    @property
    def sequence_gb(self) -> float | None:
        """KV of the longest sequence of the workload, GB."""
        return self._kv_gb(self.tokens)

    @property
    def longest_gb(self) -> float | None:
        """KV of one sequence of max-model-len, GB; vLLM does not start without it."""
        return self._kv_gb(self.max_model_len or self.tokens)

    @property
    def kv_gb(self) -> float | None:
        """KV of the sequences that run at once, GB."""
        one = self.sequence_gb
        return None if one is None else self.running * one

    @property
    def headroom_gb(self) -> float | None:
        """HBM left beside everything that is needed at once, GB; negative = sequences wait, or it does not fit."""
        running, longest = self.kv_gb, self.longest_gb
        return None if running is None or longest is None else self.kv_budget_gb - max(running, longest)

    @property
    def max_sequences(self) -> int | None:
        """Sequences of the workload that fit beside the weights."""
        one = self.sequence_gb
        return None if one is None else max(0, int(self.kv_budget_gb / one))

    @property
    def short_gb(self) -> float:
        """HBM that is missing for the weights and one sequence of max-model-len, GB; 0 when these fit."""
        return max(0.0, (self.longest_gb or 0.0) - self.kv_budget_gb)

    @property
    def longest_that_fits(self) -> int | None:
        """Tokens of the longest single sequence that fits beside the weights; 0 = none, null = unknown."""
        per_token, per_sequence = self.kv_bytes_per_token, self.kv_bytes_per_sequence
        if not per_token or per_sequence is None:
            return None
        return max(0, int((self.kv_budget_gb * 1e9 - per_sequence) / per_token))

    @property
    def utilisation_needed(self) -> float:
        """Utilisation at which the weights and one sequence of max-model-len fit; more than 1 = none does."""
        return (self.budget_gb + self.short_gb) / self.capacity_gb

    @property
    def fits(self) -> bool:
        """False where it is known that vLLM cannot hold the weights and one sequence of max-model-len."""
        return self.kv_budget_gb >= (self.longest_gb or 0.0)

    @property
    def stops(self) -> bool:
        """Whether the recipe cannot go on: it does not fit, and its author did not accept that."""
        return not self.fits and self.accepted is None

    @property
    def is_short(self) -> bool:
        """Whether it does not fit, or sequences that could run at once have to wait."""
        most = self.max_sequences
        return not self.fits or (most is not None and most < self.running)

    @property
    def verdict(self) -> FitVerdict:
        """``queues``: fewer sequences fit than could run at once. ``tight``: below 5 % of the capacity is left."""
        headroom = self.headroom_gb
        if not self.fits:
            return "does not fit"
        if self.unknown or headroom is None:
            return "unknown"
        if self.is_short:
            return "queues"
        return "tight" if headroom < TIGHT * self.capacity_gb else "fits"

    def kv_blocks(self, block_size: int) -> int:
        """Return the KV blocks of ``block_size`` tokens in the budget, after the fixed state of its sequences.

        0 where the KV of a sequence is unknown.
        """
        if self.kv_bytes_per_token is None or self.kv_bytes_per_sequence is None:
            return 0
        sequences = min(self.sequences, self.max_sequences or 0)
        free = self.kv_budget_gb * 1e9 - sequences * self.kv_bytes_per_sequence
        return max(0, int(free // (block_size * self.kv_bytes_per_token)))

    def _kv_gb(self, tokens: int) -> float | None:
        if self.kv_bytes_per_token is None or self.kv_bytes_per_sequence is None:
            return None
        return (tokens * self.kv_bytes_per_token + self.kv_bytes_per_sequence) / 1e9


class RoleFit(Document):
    """One role of a recipe, with what the verdict does not say."""

    hbm: Hbm
    ranks: int
    better: str | None = Field(
        description="narrowest shape of the same kind that holds all sequences; null = not needed, or none does"
    )


class RecipeFit(Document):
    """Both roles of a recipe on a SKU."""

    recipe: Text
    sku: Text
    roles: tuple[RoleFit, ...] | None = Field(description="null = the usable HBM of the SKU is not recorded")
