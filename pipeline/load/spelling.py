"""How the flags and variables of a pool are spelled: names, owners, both forms of one option, JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from pipeline.deployment import launcher_owned
from pipeline.deployment.settings import is_negation, opposite, positive
from pipeline.errors import Problem
from pipeline.load.nodes import Mark, Node
from pipeline.schema.recipe import Pool, Role

OPTION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def spelling(role: Role, pool: Pool, node: Node) -> Iterator[Problem]:
    """Yield every flag and variable of a pool that is misspelt or belongs to the launcher, at its line."""
    flags, env = node.at(("flags",)), node.at(("env",))
    for name, value in pool.flags.items():
        yield from _flag(role, name, value, flags.at((name,)).key or flags.mark)
        if value is not None and pool.flags.get(opposite(name)) is not None and is_negation(name):
            what = f"{role} sets both `{name}` and `{opposite(name)}`, which are one option"
            yield (flags.at((name,)).key or flags.mark).problem(what, "keep one of the two")
    for name in pool.env:
        yield from _variable(role, name, env.at((name,)).key or env.mark)


def _flag(role: Role, name: str, value: JsonValue, where: Mark) -> Iterator[Problem]:
    if OPTION.fullmatch(name.partition(".")[0]) and "." in name:
        option, _, key = name.partition(".")
        what = f"flag `{name}` sets a key of a nested configuration, which no check reads in this form"
        yield where.problem(what, f"write `{option}: {{{key.replace('.', ': {')}: …{'}' * name.count('.')}`")
        return
    if not OPTION.fullmatch(name):
        kebab = name.strip("-").replace("_", "-").lower()
        yield where.problem(f"flag `{name}` is not in kebab case", f"write `{kebab}`")
        return
    if owner := launcher_owned.OPTIONS.get(positive(name)):
        source = owner.format(role=role)
        yield where.problem(f"flag `{name}` is set by the launcher, from {source}", "remove the flag")
    if is_negation(name) and not isinstance(value, bool | None):
        what = f"flag `{name}` is a negation, which takes no value"
        yield where.problem(what, f"write `{name}: true`, or set a value for `{positive(name)}`")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        yield from _json_text(name, value, where)


def _json_text(name: str, text: str, where: Mark) -> Iterator[Problem]:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"the value of `{name}` is not valid JSON: {error}"
        yield where.problem(what, "write it as a YAML mapping: `key: value` lines below the flag")


def _variable(role: Role, name: str, where: Mark) -> Iterator[Problem]:
    if not VARIABLE.fullmatch(name):
        yield where.problem(
            f"`{name}` is not a valid name of an environment variable",
            "use letters, digits and underscores, and start with no digit",
        )
    elif owner := launcher_owned.VARIABLES.get(name):
        source = owner.format(role=role)
        yield where.problem(f"variable `{name}` is set by the launcher, from {source}", "remove it")
