"""What every document is: frozen, strict, and the same bytes for the same content."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, NamedTuple, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ArtifactError
from pipeline.schema import upgrades

SMALLEST, BIGGEST = 1e-30, 1e30  # of every figure in a document, if it is not 0


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} is listed twice")
        seen.add(value)
    return values


DISTINCT = AfterValidator(_distinct)  # of a list in which a repeated entry is a mistake


class Document(BaseModel):
    """A value that may pass between two packages."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
    )

    def to_json(self) -> str:
        """Return indented JSON that a person can read and ``from_json`` accepts."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def schema(version: int) -> Any:
    """Return the field ``schema_version`` of a stored document whose current version this is.

    Its key is ``schema``.
    """
    return Field(default=version, alias="schema", ge=1)


class Stored(Document):
    """A document that outlives the process that wrote it: it carries its schema version.

    A kind whose version is not 1 states it (``schema_version: int = schema(2)``) and has its upgrade steps in
    ``pipeline/schema/upgrades.py``.
    """

    schema_version: int = schema(1)

    @classmethod
    def current_version(cls) -> int:
        """Return the schema version that this code writes."""
        version: int = cls.model_fields["schema_version"].default
        return version

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Self:
        """Return a stored document of any version up to the current one, upgraded at every level.

        ArtifactError names ``where``, the kind and the place inside the document when it is torn, foreign or newer.
        """
        try:
            raw = json.loads(text, parse_int=_integer, parse_float=_figure, parse_constant=_figure)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(
                f"not JSON: {error}", where=where, hint="the file is incomplete or not one of rackbench"
            ) from error
        current = cls.without_derived(_upgraded(cls, raw, _Place(where)))
        try:
            return cls.model_validate_json(text if current is raw else json.dumps(current))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ArtifactError(f"not a {cls.__name__}: {place}: {first['msg']}", where=where) from error

    @classmethod
    def without_derived(cls, raw: upgrades.Raw) -> upgrades.Raw:
        """Return the raw document without what ``to_json`` adds for the reader only."""
        return raw


def _integer(text: str) -> int:
    """Return an integer of a document; ValueError beyond what every column and reader holds."""
    if len(text) > 20 or abs(value := int(text)) >= 2**63:
        raise ValueError(f"{text[:20]} is no count of anything here")
    return value


def _figure(text: str) -> float:
    """Return a number of a document; ValueError for a size whose products or reciprocals leave the range."""
    value = float(text)
    if value and not SMALLEST <= abs(value) <= BIGGEST:
        raise ValueError(f"{text[:20]} is no size of anything here")
    return value


class _Place(NamedTuple):
    """A place inside the document that is read from ``where``."""

    where: str
    path: str = ""

    def at(self, key: object) -> _Place:
        """Return the place of an element of this place."""
        return _Place(self.where, f"{self.path}.{key}" if self.path else str(key))

    def error(self, kind: type[Document], problem: str, hint: str) -> ArtifactError:
        """Return the error of the document of this kind here."""
        what = f"{kind.__name__} at {self.path}" if self.path else kind.__name__
        return ArtifactError(f"{what}: {problem}", where=self.where, hint=hint)


def _upgraded(kind: type[Document], raw: Any, place: _Place) -> Any:
    """Return the raw document with every stored document in it at its current version.

    The same object if all were.
    """
    current = _stepped(kind, raw, place) if issubclass(kind, Stored) else raw
    changed = {
        key: value
        for key, annotation in _holders(kind).items()
        if key in current and (value := _walked(annotation, current[key], place.at(key))) is not current[key]
    }
    return {**current, **changed} if changed else current


def _stepped(kind: type[Stored], raw: Any, place: _Place) -> Any:
    """Return the raw document after its own upgrade steps."""
    found = raw.get("schema") if isinstance(raw, dict) else None
    current = kind.current_version()
    steps = upgrades.STEPS.get(kind.__name__, ())
    oldest = current - len(steps)
    if type(found) is not int:  # true is an int
        problem, hint = f"schema version expected, found {found!r}", "not one of rackbench's documents"
        raise place.error(kind, problem, hint)
    if found > current:
        problem = f"written by a newer version of rackbench (schema {found}, this one reads up to {current})"
        raise place.error(kind, problem, "upgrade rackbench")
    if found < oldest:
        problem = f"schema {found} is older than this version of rackbench reads ({oldest} to {current})"
        raise place.error(kind, problem, "not one of rackbench's documents, or damaged")
    for step in steps[found - oldest :]:
        raw = step(raw)
    return raw if found == current else {**raw, "schema": current}


def _walked(annotation: Any, raw: Any, place: _Place) -> Any:
    """Return the raw value of an annotation that mentions a stored kind, upgraded.

    The same object if it was current.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _walked(arguments[0], raw, place)
    if origin in (Union, UnionType):
        return _walked(next(filter(_mentions_stored, arguments)), raw, place)
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return _upgraded(annotation, raw, place) if isinstance(raw, dict) else raw
    if issubclass(origin, Mapping) and isinstance(raw, dict):
        values = {key: _walked(arguments[1], value, place.at(key)) for key, value in raw.items()}
        return values if any(values[key] is not raw[key] for key in raw) else raw
    if issubclass(origin, Sequence) and isinstance(raw, list):
        items = [_walked(arguments[0], item, place.at(index)) for index, item in enumerate(raw)]
        return items if any(new is not old for new, old in zip(items, raw, strict=True)) else raw
    return raw  # of another type than the annotation: validation names it


@functools.cache
def _holders(kind: type[Document]) -> dict[str, Any]:
    """Return the annotation of each field of a document that mentions a stored kind, by every key it may have in JSON."""
    return {
        key: field.annotation
        for name, field in kind.model_fields.items()
        if _mentions_stored(field.annotation)
        for key in (name, field.alias or name)
    }


def _mentions_stored(annotation: Any) -> bool:
    """Return whether a value of this annotation may hold a stored document.

    TypeError where its kind cannot be told.
    """
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return issubclass(annotation, Stored) or bool(_holders(annotation))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _mentions_stored(arguments[0])
    mentions = [argument for argument in arguments if _mentions_stored(argument)]
    if len(mentions) > 1:  # a union of two, or a tuple of several
        raise TypeError(f"{annotation}: the kind of a stored document must follow from its place")
    return bool(mentions)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no blanks: equal content, equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
