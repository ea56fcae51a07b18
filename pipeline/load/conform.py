"""From nodes to documents: pydantic's findings, each at its line, with the nearest name for a wrong one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.errors import Problem
from pipeline.load.nodes import Node
from pipeline.schema.base import Document

D = TypeVar("D", bound=Document)


def nearest(word: str, known: Iterable[str], *, what: str = "known") -> str:
    """A hint with the nearest known name, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"{what}: {', '.join(names)}"


def conform(model: type[D], node: Node, extra: dict[str, Any]) -> tuple[D | None, list[Problem]]:
    """Validate ``node`` (plus fields that its place gives it) as ``model``; all findings, each at its place."""
    taken = [
        node.at((name,)).key or node.mark
        for name in extra
        if isinstance(node.value, dict) and name in node.value
    ]
    said = [mark.problem("a name that the file's place gives", "take it out") for mark in taken]
    try:
        return model.model_validate_json(json.dumps({**node.plain, **extra})), said
    except ValidationError as error:
        return None, [*said, *(_problem(model, node, finding) for finding in error.errors())]


def salvage(model: type[D], node: Node, extra: dict[str, Any], stand_ins: Mapping[str, Any]) -> D | None:
    """The document without what ``conform`` found wrong, so that the rest can be checked as well; None where too much is wrong.

    Unknown keys and single flags or variables are left out; a wrong field with a stand-in takes that.
    """
    plain = {**node.plain, **extra}
    for _ in range(2):  # a stand-in may bring a missing field of its own
        try:
            return model.model_validate_json(json.dumps(plain))
        except ValidationError as error:
            findings = error.errors()
        for finding in findings:
            location = finding["loc"]
            if finding["type"] == "extra_forbidden" or (
                len(location) > 2 and location[1] in ("flags", "env")
            ):
                _remove(plain, location)
            elif location[0] in stand_ins:
                plain[str(location[0])] = stand_ins[str(location[0])]
            else:
                return None
    return None


def _remove(plain: dict[str, Any], location: tuple[str | int, ...]) -> None:
    inner: Any = plain
    for step in location[:-1]:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(location[-1], None)


def _problem(model: type[BaseModel], node: Node, finding: ErrorDetails) -> Problem:
    location = _without_tags(model, finding["loc"])
    found = node.at(location)
    name = str(location[-1]) if location else ""
    path = ".".join(map(str, location))
    if finding["type"] == "extra_forbidden":
        where = found.key or found.mark
        return where.problem(
            f"unknown key `{path}`", nearest(name, _names_at(model, finding["loc"][:-1]), what="keys here")
        )
    if finding["type"] == "missing":
        where = found.key or found.mark
        return where.problem(f"missing `{path}`", "say it here, or in a _base.yaml above")
    return found.mark.problem(
        f"`{path}`: {finding['msg'][0].lower()}{finding['msg'][1:]}", _type_hint(finding)
    )


def _type_hint(finding: ErrorDetails) -> str:
    given = finding["input"]
    if finding["type"] == "string_type" and isinstance(given, int | float | bool):
        return f'quote it: "{json.dumps(given)}"'
    if finding["type"] == "too_short":
        return "give at least one"
    return f"given: {json.dumps(given)[:60]}"


def _without_tags(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return a location as it is in the file: pydantic adds the variant of a discriminated union to it."""
    here: type[BaseModel] | FieldInfo | None = model
    steps: list[str | int] = []
    for step in location:
        if not isinstance(here, FieldInfo):
            steps.append(step)
        here = _below(here, step)
    return tuple(steps)


def _names_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Field names (as written in YAML) of the model at ``location``."""
    here: type[BaseModel] | FieldInfo | None = model
    for step in location:
        here = _below(here, step)
    if here is None or isinstance(here, FieldInfo):
        return []
    return [field.alias or name for name, field in here.model_fields.items() if name != "id"]


def _below(here: type[BaseModel] | FieldInfo | None, step: str | int) -> type[BaseModel] | FieldInfo | None:
    """Return the model one step down; for a discriminated union its field, whose next step is the variant."""
    if here is None:
        return None
    if isinstance(here, FieldInfo):
        variants = get_args(here.annotation)
        return next((one for one in variants if step in _tags(one, str(here.discriminator))), None)
    field = next((f for name, f in here.model_fields.items() if step in (name, f.alias)), None)
    if field is None or field.discriminator:
        return field
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _tags(variant: type[BaseModel], discriminator: str) -> tuple[Any, ...]:
    return get_args(variant.model_fields[discriminator].annotation)
