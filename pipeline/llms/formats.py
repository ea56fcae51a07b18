"""How many bits each group of weights takes, from the ``quantization_config`` of a ``config.json``.

Bits of a weight with its share of the scales: FP8 in blocks ``8 + 32/(rows·columns)`` (FP32
scales), MXFP4 ``4 + 8/32``, NVFP4 ``4 + 8/16`` (FP8 scales), INT4 ``4 + 16/group`` (BF16 scales).
What is not quantised has 16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeGuard

from pipeline.errors import ArtifactError
from pipeline.llms.config import LARGEST, Architecture
from pipeline.schema.recipe import Precision

PLAIN = 16.0  # bits of BF16
MODULES = {  # a module of each group, in a layer with experts or a dense one
    "routed": "model.layers.{moe}.mlp.experts.1.gate_proj",
    "shared": "model.layers.{moe}.mlp.shared_experts.gate_proj",
    "dense": "model.layers.{dense}.mlp.gate_proj",
    "attention": "model.layers.{moe}.self_attn.o_proj",
}


@dataclass(frozen=True, slots=True)
class Format:
    """Bits of a weight by group, the precision that names them, and rows that share a scale."""

    precision: Precision
    bits: Mapping[str, float]
    block: int | None

    def bits_of(self, group: str) -> float:
        """Return the bits of a weight of a group."""
        return self.bits.get(group, PLAIN)

    def block_of(self, group: str) -> int | None:
        """Return the rows of a group that share a scale; None where it is not quantised."""
        return self.block if group in self.bits else None


def format_of(arch: Architecture, quantisation: Mapping[str, Any], *, where: str) -> Format:
    """Return the format of the weights; raise ArtifactError, with ``where``, for one that is not known."""
    if not quantisation:
        return Format("bf16", {}, None)
    method = quantisation.get("quant_method")
    if method == "fp8":
        return _fp8(quantisation, where)
    if method == "mxfp4":
        return Format("mxfp4", {"routed": 4 + 8 / 32}, 32)
    if method in ("compressed-tensors", "modelopt"):
        return _groups(arch, quantisation, where)
    hint = "known: fp8 with weight_block_size, mxfp4, compressed-tensors and modelopt with config_groups"
    raise ArtifactError(f"quant_method {method!r} is not known", where=where, hint=hint)


def _fp8(quantisation: Mapping[str, Any], where: str) -> Format:
    block = quantisation.get("weight_block_size")
    sizes = [one for one in block if _is_size(one)] if isinstance(block, list) else []
    if len(sizes) != 2 or sizes != block:
        raise ArtifactError("fp8 without weight_block_size [ROWS, COLUMNS] is not known", where=where)
    return Format("fp8", dict.fromkeys(MODULES, 8 + 32 / (sizes[0] * sizes[1])), sizes[0])


def _groups(arch: Architecture, quantisation: Mapping[str, Any], where: str) -> Format:
    groups = quantisation.get("config_groups")
    found = list(groups.values()) if isinstance(groups, dict) else []
    weights = found[0].get("weights") if len(found) == 1 and isinstance(found[0], dict) else None
    if not isinstance(weights, dict):
        raise ArtifactError("quantization_config has not exactly one group with weights", where=where)
    kind, bits, size = (weights.get(name) for name in ("type", "num_bits", "group_size"))
    known: dict[str, tuple[Precision, float]] = {"int": ("int4", 16.0), "float": ("nvfp4", 8.0)}
    if bits != 4 or str(kind) not in known or not _is_size(size):
        what = f"weights of {bits} bits, type {kind}, in groups of {size} are not known"[:200]
        raise ArtifactError(what, where=where, hint="known: int or float of 4 bits in groups")
    precision, scale = known[str(kind)]
    ignored = quantisation.get("ignore")
    patterns = [one for one in ignored if isinstance(one, str)] if isinstance(ignored, list) else []
    names = {group: _module(arch, name) for group, name in MODULES.items()}
    quantised = [group for group, name in names.items() if not _is_ignored(name, patterns)]
    return Format(precision, dict.fromkeys(quantised, 4 + scale / size), size)


def _is_size(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 < value <= LARGEST


def _module(arch: Architecture, name: str) -> str:
    return name.format(moe=min(arch.layers - 1, arch.dense_layers), dense=0)


def _is_ignored(module: str, patterns: Sequence[str]) -> bool:
    """Return whether a pattern names the module or what holds it; ``re:`` begins a regular expression."""
    for pattern in patterns:
        text = pattern.removeprefix("language_model.")
        if text.startswith("re:"):
            try:
                if re.match(text[3:], module):
                    return True
            except re.error:
                continue
        elif fnmatchcase(module, text) or module.startswith(f"{text}."):
            return True
    return False
