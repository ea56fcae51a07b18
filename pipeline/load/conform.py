"""YAML nodes as documents: every pydantic error is a problem at its line, with the nearest known name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.errors import Problem
from pipeline.load import limits
from pipeline.load.nodes import Node
from pipeline.plaintext import one_line
from pipeline.schema.base import Document
from pipeline.schema.recipe import Recipe

D = TypeVar("D", bound=Document)
EXPECTED: Mapping[str, str] = {  # by pydantic's type of error, in YAML's terms
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "too_short": "a list of at least 1 value",
    "string_too_short": "text that is not empty",
}


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to a word, or None where none is similar."""
    close = difflib.get_close_matches(word[:200], sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def nearest(word: str, known: Iterable[str], *, what: str = "known") -> str:
    """Return a hint with the known name that is most similar to a word, or with all of them."""
    names = sorted(known)
    near = closest(word, names)
    return f"did you mean `{near}`?" if near else f"{what}: {', '.join(names) or 'none'}"


def conform(model: type[D], node: Node, extra: dict[str, Any]) -> tuple[D | None, list[Problem]]:
    """Return ``node`` with the fields of ``extra`` as a ``model``, or None, and every problem at its place.

    ``extra`` are fields that follow from the place of the document, such as its id; it must not set them.
    """
    fields = node.value if isinstance(node.value, dict) else {}
    problems = [
        (node.at((name,)).key or node.mark).problem(
            f"`{name}` must not be set here: it follows from the path of the file or the key above",
            "remove it",
        )
        for name in extra
        if name in fields
    ]
    try:
        return model.model_validate_json(json.dumps({**node.plain, **extra})), problems
    except ValidationError as error:
        details = error.errors()
    inner = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    # pydantic counts the valid items of a list only: one with an invalid item is not too short
    causes = [one for one in details if one["type"] != "too_short" or one["loc"] not in inner]
    found = [*problems, *(_problem(model, node, detail) for detail in causes[: limits.MAX_FINDINGS])]
    return None, limits.counted(found, limits.MAX_FINDINGS, total=len(problems) + len(causes))


def salvage(model: type[D], node: Node, extra: dict[str, Any], stand_ins: Mapping[str, Any]) -> D | None:
    """Return the document without what ``conform`` reports, so that the rest can be checked too, or None.

    Unknown keys, wrong flags and wrong variables are left out. A wrong field with a stand-in takes its value.
    The result is None where any other field is wrong.
    """
    plain = {**node.plain, **extra}
    for _ in range(2):  # a stand-in may lack a field of its own
        try:
            return model.model_validate_json(json.dumps(plain))
        except ValidationError as error:
            details = error.errors()
        for detail in details:
            location = detail["loc"]
            is_entry = len(location) > 2 and location[1] in ("flags", "env")
            if detail["type"] == "extra_forbidden" or is_entry:
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


def _problem(model: type[BaseModel], node: Node, detail: ErrorDetails) -> Problem:
    location, message = _without_tags(model, detail["loc"]), detail["msg"]
    found = node.at(location)
    where = found.key or found.mark
    path = one_line(".".join(map(str, location)), 120)
    if detail["type"] == "extra_forbidden":
        names = _names_at(model, detail["loc"][:-1])
        return where.problem(f"unknown key `{path}`", nearest(str(location[-1]), names, what="keys here"))
    if detail["type"] == "missing":
        is_recipe = model is Recipe
        return where.problem(f"missing `{path}`", "set it here" + ", or in a _base.yaml above" * is_recipe)
    if detail["type"] in EXPECTED:
        return found.mark.problem(f"`{path}` must be {EXPECTED[detail['type']]}", _hint(detail))
    return found.mark.problem(f"`{path}`: {message[0].lower()}{message[1:]}", _hint(detail))


def _hint(detail: ErrorDetails) -> str:
    given = detail["input"]
    if detail["type"] == "string_type" and isinstance(given, int | float | bool):
        return f'quote it: "{one_line(json.dumps(given), 60)}"'
    return f"given: {one_line(json.dumps(given), 60)}"


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
