"""Flags of a pool as settings: an option and its negation are one setting, and JSON text is its value.

``flags`` of a recipe stay as they are written, so that digests do. Everything that interprets a flag reads it
here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from pipeline.schema.recipe import Pool

NEGATION = "no-"


def setting(pool: Pool, name: str) -> JsonValue:
    """Return the value of an option, without dashes and in kebab case.

    None where the recipe leaves it to the engine. ``no-NAME: true`` is ``false``. Text that is a JSON mapping
    or list is returned parsed.

    >>> flags = {"no-numa-bind": True, "eplb-config": '{"window_size": 4}'}
    >>> pool = Pool(workers=1, tp=1, pp=1, dp=1, ep=1, flags=flags)
    >>> setting(pool, "numa-bind"), setting(pool, "eplb-config"), setting(pool, "seed")
    (False, {'window_size': 4}, None)
    """
    return settings(pool.flags).get(name)


def settings(flags: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return all flags as settings; a flag that is null is absent."""
    return {
        positive(name): (not value) if is_negation(name) and isinstance(value, bool) else parsed(value)
        for name, value in flags.items()
        if value is not None
    }


def positive(name: str) -> str:
    """Return the name of an option without its negation."""
    return name.removeprefix(NEGATION)


def opposite(name: str) -> str:
    """Return the other form of the same option.

    >>> opposite("numa-bind"), opposite("no-numa-bind")
    ('no-numa-bind', 'numa-bind')
    """
    return positive(name) if is_negation(name) else NEGATION + name


def is_negation(name: str) -> bool:
    """Return whether a flag is spelled as the negation of an option."""
    return name.startswith(NEGATION)


def parsed(value: JsonValue) -> JsonValue:
    """Return the value of a JSON mapping or list that is given as text; any other value as it is."""
    if not (isinstance(value, str) and value.lstrip()[:1] in ("{", "[")):
        return value
    try:
        found: JsonValue = json.loads(value)
    except (ValueError, RecursionError):
        return value  # `validate` reports it; a list option may also start with a bracket
    return found
