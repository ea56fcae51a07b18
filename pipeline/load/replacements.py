"""Settings of vLLM that have a new name or spelling: what the patch of `upgrade` writes. Each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Replacement:
    """A key of a nested option that became another key; values that are not listed have no known counterpart."""

    option: str
    key: str
    new_key: str
    values: Mapping[JsonValue, JsonValue]
    source: str


NESTED: tuple[Replacement, ...] = (
    Replacement(
        "attention-config",
        "use_fp4_indexer_cache",
        "indexer_kv_dtype",
        {True: "mxfp4", False: "auto"},
        "vllm/config/attention.py of vLLM 0.28.0, which still reads the old key as an alias",
    ),
)


def nested(option: str, key: str, value: JsonValue) -> tuple[str, JsonValue] | None:
    """Return the new key and value of a nested setting; None where none is known.

    >>> nested("attention-config", "use_fp4_indexer_cache", True)
    ('indexer_kv_dtype', 'mxfp4')
    """
    for one in NESTED:
        if (one.option, one.key) == (option, key) and isinstance(value, bool) and value in one.values:
            return one.new_key, one.values[value]
    return None
