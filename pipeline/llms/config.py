"""What a ``config.json`` says of an LLM, for the kinds of LLM whose layers are known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ArtifactError

# By model_type: text decoders whose layers are attention (grouped or latent) and an MLP (dense or
# experts). Names of sizes differ.
KNOWN = (
    "deepseek_v3",
    "gpt_oss",
    "kimi_k2",
    "llama",
    "minimax_m2",
    "mixtral",
    "qwen2",
    "qwen3",
    "qwen3_moe",
)
EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts")
PER_TOKEN = ("num_experts_per_tok", "experts_per_token")
LARGEST = 10**9  # of any size in a config.json


@dataclass(frozen=True, slots=True)
class Latent:
    """Sizes of multi-head latent attention (MLA)."""

    query_rank: int
    kv_rank: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of an LLM. ``dense_layers`` have an MLP of ``dense_rows``, the others experts.

    ``window`` is in tokens.
    """

    layers: int
    hidden: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_dim: int
    latent: Latent | None
    experts: int
    per_token: int
    shared: int
    expert_rows: int
    dense_layers: int
    dense_rows: int
    mtp_layers: int
    sliding_layers: int
    window: int
    max_model_len: int | None
    has_tied_embeddings: bool
    has_biases: bool
    has_vision: bool


def architecture(config: Mapping[str, Any], *, where: str) -> tuple[Architecture, Mapping[str, Any]]:
    """Return the architecture of the text decoder of a ``config.json``, and its quantisation.

    Raise ArtifactError, with ``where``, for a kind of LLM that is not known and for a missing or impossible size.
    """
    inner = config.get("text_config")
    decoder = _Sizes(inner if isinstance(inner, dict) else config, where)
    kind = decoder.config.get("model_type")
    if kind not in KNOWN:
        hint = f"known: {', '.join(KNOWN)}; write models/NAME.yaml by hand (docs/adding-an-llm.md)"
        raise ArtifactError(f"model_type {kind!r} is not known", where=where, hint=hint)
    quantisation = config.get("quantization_config") or decoder.config.get("quantization_config") or {}
    if not isinstance(quantisation, dict):
        raise ArtifactError("quantization_config is not an object", where=where)
    return _architecture(decoder, str(kind), has_vision="vision_config" in config), quantisation


class _Sizes:
    """Sizes of a configuration by name."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where

    def one(self, *names: str, default: int | None = None) -> int:
        """Return the first of these sizes that is there; raise ArtifactError without one or a default."""
        for name in names:
            value = self.config.get(name)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
                raise ArtifactError(f"{name} is {str(value)[:40]!r}, not a size", where=self.where)
            return value
        if default is None:
            raise ArtifactError(f"{' or '.join(names)} is missing", where=self.where)
        return default

    def count(self, name: str) -> int:
        """Return a size that is above zero."""
        value = self.one(name)
        if not value:
            raise ArtifactError(f"{name} is 0", where=self.where)
        return value


def _architecture(sizes: _Sizes, kind: str, *, has_vision: bool) -> Architecture:
    layers, hidden, heads = (
        sizes.count(name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    )
    latent = _latent(sizes) if "kv_lora_rank" in sizes.config else None
    experts = sizes.one(*EXPERTS, default=0)
    dense = _dense_layers(sizes, layers) if experts else layers
    kinds = sizes.config.get("layer_types")
    sliding = kinds.count("sliding_attention") if isinstance(kinds, list) else 0
    if sliding >= layers:
        raise ArtifactError("no layer of layer_types has full attention", where=sizes.where)
    head_dim = sizes.count("head_dim") if sizes.config.get("head_dim") is not None else hidden // heads
    return Architecture(
        layers=layers,
        hidden=hidden,
        vocabulary=sizes.count("vocab_size"),
        heads=heads,
        kv_heads=1 if latent else sizes.count("num_key_value_heads"),
        head_dim=latent.nope + latent.rope if latent else head_dim,
        latent=latent,
        experts=experts,
        per_token=sizes.one(*PER_TOKEN) if experts else 0,
        shared=sizes.one("n_shared_experts", default=0),
        expert_rows=sizes.one("moe_intermediate_size", "intermediate_size") if experts else 0,
        dense_layers=dense,
        dense_rows=sizes.count("intermediate_size") if dense else 0,
        mtp_layers=sizes.one("num_nextn_predict_layers", default=0),
        sliding_layers=sliding,
        window=sizes.count("sliding_window") if sliding else 0,
        max_model_len=sizes.one("max_position_embeddings", default=0) or None,
        has_tied_embeddings=sizes.config.get("tie_word_embeddings") is True,
        has_biases=kind == "gpt_oss",
        has_vision=has_vision,
    )


def _latent(sizes: _Sizes) -> Latent:
    names = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return Latent(*(sizes.count(name) for name in names))


def _dense_layers(sizes: _Sizes, layers: int) -> int:
    """Return the layers without experts of an LLM that has experts."""
    only, step = sizes.config.get("mlp_only_layers"), sizes.one("decoder_sparse_step", default=1)
    if step == 0:
        raise ArtifactError("decoder_sparse_step is 0", where=sizes.where)
    first = min(layers, sizes.one("first_k_dense_replace", default=0))
    listed = only if isinstance(only, list) else []
    return sum(layer < first or layer in listed or (layer + 1) % step > 0 for layer in range(layers))
