"""Flags of a recipe as arguments, in the form that the engine version of the recipe has."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from pipeline.deployment.settings import NEGATION, is_negation, parsed, positive
from pipeline.schema.base import canonical_json
from pipeline.schema.engine import Engine, EngineOption


def render_flags(flags: Mapping[str, JsonValue], vllm: Engine | None) -> list[str]:
    """Return the arguments of a flag map, sorted by name.

    True is a bare option. False is ``--no-NAME`` where the option has that form and is on by default, or where
    its default is unknown; it is absent elsewhere, as null is. A mapping is JSON. A list follows an option that
    takes several values, and is JSON for an option that takes JSON; it repeats any other option.
    ``vllm`` is the catalogue entry of the recipe's version; without it an option has none of these forms.

    >>> render_flags({"max-num-seqs": 16, "enforce-eager": True, "numa-bind": False, "a": {"k": 1}}, None)
    ['--a', '{"k":1}', '--enforce-eager', '--max-num-seqs', '16']
    """
    return [argument for name in sorted(flags) for argument in _arguments(name, parsed(flags[name]), vllm)]


def _arguments(name: str, value: JsonValue, vllm: Engine | None) -> list[str]:
    found = vllm.option(name) if vllm else None
    option = found[1] if found else None
    if value is None:
        return []
    if isinstance(value, bool):
        return _switch(name, option, is_on=value != is_negation(name), is_written=value)
    if isinstance(value, list) and not (option and option.type == "json"):
        texts = [_text(item) for item in value]
        if option and option.nargs is not None and texts:
            return [f"--{name}", *texts]
        return [argument for text in texts for argument in (f"--{name}", text)]
    return [f"--{name}", _text(value)]


def _switch(name: str, option: EngineOption | None, *, is_on: bool, is_written: bool) -> list[str]:
    """Return the argument of an option without a value; ``is_written``: the recipe spells this very form."""
    if is_written:
        return [f"--{name}"]
    if is_on:
        return [f"--{positive(name)}"]
    is_default = option is not None and option.has_default and option.default is False
    return [f"--{NEGATION}{name}"] if option is not None and option.negatable and not is_default else []


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else canonical_json(value)
