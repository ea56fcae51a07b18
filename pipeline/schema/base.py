"""What every document is: frozen, strict, and the same bytes for the same content."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ArtifactError


class Document(BaseModel):
    """A value that may cross a door between two rooms."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
    )

    def to_json(self) -> str:
        """Indented JSON that a person can read and ``from_json`` takes back."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


class Stored(Document):
    """A document that outlives the process that wrote it: carries its schema version.

    There is one version so far. The first change adds a step to ``upgrade`` and a frozen sample to ``tests/contract``.
    """

    schema_version: int = Field(default=1, alias="schema", ge=1)

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Self:
        """Read a stored document; ArtifactError names ``where`` when it is torn, foreign or from a newer version."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(
                f"not JSON: {error}", where=where, hint="the file is torn or foreign"
            ) from error
        found = raw.get("schema") if isinstance(raw, dict) else None
        if found != 1:
            newer = isinstance(found, int) and found > 1
            hint = (
                "written by a newer version of this project; upgrade it"
                if newer
                else "not one of this project's documents"
            )
            raise ArtifactError(
                f"{cls.__name__} schema version 1 expected, found {found!r}", where=where, hint=hint
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ArtifactError(f"not a {cls.__name__}: {place}: {first['msg']}", where=where) from error


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal content, equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
