"""The LLM document of an architecture, as a document and as YAML with the origin of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.errors import ArtifactError
from pipeline.llms.config import Architecture, architecture
from pipeline.llms.formats import PLAIN, Format, format_of
from pipeline.llms.parameters import Parameters, active, mtp, parameters
from pipeline.schema.catalogue import KvCache, Llm, MtpLayer, MtpWeights, Weights

BF16 = 2  # bytes of a value of the KV cache, unless kv-cache-dtype changes it
# CUDA context and other 3.5 GiB, NCCL buffers 0.39 GiB: the constants of aiconfigurator.
OVERHEAD_GB = 4.2
HEADER = """\
# yaml-language-server: $schema=../schema/llm.json
# Written by `rackbench llm add` from {files}. GB = 1e9 bytes.
# Weights: the matrices of each layer (formulas in docs/adding-an-llm.md) x bits of the format. KV: in bf16.
"""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a config.json does not say; ``vision_gb`` None: not stated."""

    id: str
    title: str
    served_name: str
    source: str
    vision_gb: float | None
    overhead_gb: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One ``config.json``, named by ``where`` in errors."""

    where: str
    arch: Architecture
    form: Format


def checkpoint(config: Mapping[str, Any], *, where: str) -> Checkpoint:
    """Return what a ``config.json`` says; ArtifactError for what is missing, wrong or not known."""
    arch, quantisation = architecture(config, where=where)
    return Checkpoint(where, arch, format_of(arch, quantisation, where=where))


def document(checkpoints: Sequence[Checkpoint], stated: Stated) -> Llm:
    """Return the LLM document of checkpoints of one LLM, each in another precision.

    Raise ArtifactError where two are not of one LLM or of one precision, and where the LLM has
    a vision tower whose size is not stated.
    """
    _check(checkpoints)
    arch, formats = checkpoints[0].arch, [one.form for one in checkpoints]
    where = checkpoints[0].where
    if arch.has_vision and stated.vision_gb is None:
        what = "the LLM has a vision tower, and its configuration does not say how large it is"
        raise ArtifactError(what, where=where, hint="state --vision-gb, the GB of vision tower and projector")
    try:
        return _document(arch, formats, stated)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"sizes that no LLM has: {first['loc'][-1]} {first['msg'][0].lower()}{first['msg'][1:]}"
        raise ArtifactError(what, where=where, hint="check the sizes in the file") from error


def _document(arch: Architecture, formats: Sequence[Format], stated: Stated) -> Llm:
    return Llm(
        id=stated.id,
        title=stated.title,
        served_name=stated.served_name,
        layers=arch.layers,
        hidden=arch.hidden,
        vocabulary=arch.vocabulary,
        attention_heads=arch.heads,
        head_dim=arch.head_dim,
        experts=arch.experts,
        experts_per_token=arch.per_token,
        shared_experts=arch.shared,
        expert_intermediate=arch.expert_rows,
        dense_intermediate=arch.dense_rows,
        parameters_total=float(parameters(arch).total),
        parameters_active=float(active(arch)),
        precisions={one.precision: _weights(arch, one, stated.vision_gb or 0.0) for one in formats},
        kv=_kv(arch),
        mtp=_mtp(arch, formats) if arch.mtp_layers else None,
        max_model_len=arch.max_model_len,
        overhead_gb=stated.overhead_gb,
        source=stated.source,
    )


def text(llm: Llm, files: Sequence[str]) -> str:
    """Return the YAML of an LLM document; ``files`` are the configurations that it was made from."""
    stated = llm.model_dump(mode="json", exclude={"id"}, exclude_defaults=True)
    body: str = yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=120)
    return HEADER.format(files=", ".join(files)) + body


def _check(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise ArtifactError unless all are of one LLM, each in another precision."""
    first, precisions = checkpoints[0], set()
    for one in checkpoints:
        differs = [
            field.name
            for field in fields(one.arch)
            if getattr(one.arch, field.name) != getattr(first.arch, field.name)
        ]
        if differs:
            what = f"another LLM than in {first.where}: {', '.join(differs)} differ"
            raise ArtifactError(what, where=one.where, hint="add it with an id of its own")
        if one.form.precision in precisions:
            what = f"a second configuration in {one.form.precision}"
            raise ArtifactError(what, where=one.where, hint="give one a precision")
        precisions.add(one.form.precision)


def _gb(count: int, bits: float) -> float:
    return count * bits / 8 / 1e9


def _weights(arch: Architecture, form: Format, vision_gb: float) -> Weights:
    found = parameters(arch)
    return Weights(
        routed_gb=_gb(found.routed, form.bits_of("routed")),
        shared_gb=_gb(found.shared, form.bits_of("shared")),
        dense_gb=_gb(found.dense, form.bits_of("dense")),
        attention_gb=_gb(found.attention, form.bits_of("attention")),
        embeddings_gb=_gb(found.embeddings, PLAIN),
        replicated_gb=_replicated(found, form),
        vision_gb=vision_gb,
        routed_block=form.block_of("routed") if arch.experts else None,
        shared_block=form.block_of("shared") if arch.shared else None,
    )


def _replicated(found: Parameters, form: Format) -> float:
    return _gb(found.latent, form.bits_of("attention")) + _gb(found.router, PLAIN)


def _kv(arch: Architecture) -> KvCache:
    full = arch.layers - arch.sliding_layers
    return KvCache(
        bytes_per_token={"no-indexer": float(full * _entry(arch))},
        bytes_per_sequence=float(arch.sliding_layers * arch.window * _entry(arch)),
        sliding_bytes_per_token=float(arch.sliding_layers * _entry(arch)),
        heads=arch.kv_heads,
        dtype="bf16",
        auto="bf16",
        is_plain=True,
        is_latent=arch.latent is not None,
    )


def _entry(arch: Architecture) -> int:
    """Return the bytes of one token in one layer."""
    if arch.latent is not None:
        return BF16 * (arch.latent.kv_rank + arch.latent.rope)
    return BF16 * 2 * arch.kv_heads * arch.head_dim


def _mtp(arch: Architecture, formats: Sequence[Format]) -> MtpLayer:
    found = mtp(arch)
    weights = {
        one.precision: MtpWeights(
            routed_gb=_gb(found.routed, one.bits_of("routed")),
            shared_gb=_gb(found.shared, one.bits_of("shared")),
            attention_gb=_gb(found.attention, one.bits_of("attention")),
            replicated_gb=_replicated(found, one),
        )
        for one in formats
    }
    per_token = float(arch.mtp_layers * _entry(arch))
    return MtpLayer(precisions=weights, kv_bytes_per_token=per_token, kv_bytes_per_sequence=0.0)
