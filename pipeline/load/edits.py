"""Edits of recipe files at the place of a value: the rest of a file, comments included, stays as it is."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from pipeline.load.nodes import Node
from pipeline.load.recipe_set import RecipeSet
from pipeline.load.replacements import nested
from pipeline.schema.engine import EngineName
from pipeline.schema.upgrade import RecipeUpgrade

TOKEN = re.compile(r""""[^"]*"|'[^']*'|[^\s,\]}:#][^\s,\]}:#]*(?::[^\s,\]}]+)*""")


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """New text for the word at a place; ``line`` 0 adds the text at the end of the file."""

    path: str
    line: int
    col: int
    text: str


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits of recipe files, and by recipe the files where an edit would change recipes that were not asked for."""

    edits: tuple[Edit, ...]
    manual: Mapping[str, tuple[str, ...]]


def upgrade_edits(
    recipe_set: RecipeSet,
    upgrades: Iterable[RecipeUpgrade],
    stated: Mapping[EngineName, str],
    image: str | None,
) -> Edits:
    """Return the edits that state versions and image, and that replace settings with a known new name.

    A version or image that recipes share with others is set in each recipe's own file. Another setting that
    they share is left to the author.
    """
    chosen = {one.recipe: one for one in upgrades}
    others = [node for name, node in recipe_set.nodes.items() if name not in chosen]
    edits: set[Edit] = set()
    manual: dict[str, tuple[str, ...]] = {}
    for name, upgrade in chosen.items():
        node = recipe_set.nodes[name]
        edits |= set(_stated(node, others, stated, image))
        for place, (new_key, new_value) in _replaced(upgrade):
            found = _exactly(node, place)
            if found is None or found.key is None or _is_shared(others, place, found):
                manual[name] = tuple(dict.fromkeys((*manual.get(name, ()), (found or node).mark.path)))
                continue
            edits.add(Edit(found.key.path, found.key.line, found.key.col, new_key))
            edits.add(
                Edit(found.mark.path, found.mark.line, found.mark.col, json.dumps(new_value).strip('"'))
            )
    return Edits(tuple(sorted(edits)), manual)


def _stated(
    node: Node, others: list[Node], stated: Mapping[EngineName, str], image: str | None
) -> Iterator[Edit]:
    wanted: dict[tuple[str, ...], str] = {("versions", name): version for name, version in stated.items()}
    if image:
        wanted["image",] = image
    own: dict[str, str] = {}
    for place, value in wanted.items():
        found = _exactly(node, place)
        word = json.dumps(value) if place[0] == "versions" else value
        if found is None or _is_shared(others, place, found):
            own[place[-1]] = word
        else:
            yield Edit(found.mark.path, found.mark.line, found.mark.col, word)
    if own.keys() & stated.keys():
        inner = ", ".join(f"{name}: {word}" for name, word in own.items() if name in stated)
        yield Edit(node.mark.path, 0, 0, f"versions: {{{inner}}}\n")
    if "image" in own:
        yield Edit(node.mark.path, 0, 0, f"image: {own['image']}\n")


def _replaced(upgrade: RecipeUpgrade) -> Iterator[tuple[tuple[str, ...], tuple[str, JsonValue]]]:
    """Yield the place of each setting with a known replacement, with its new key and value."""
    for finding in upgrade.findings:
        option, _, key = finding.setting.partition(".")
        made = nested(option, key, finding.before) if finding.replacement else None
        for role in finding.roles if made else ():
            yield (role, "flags", option, key), made  # type: ignore[misc]  # None was excluded


def _exactly(node: Node, place: tuple[str, ...]) -> Node | None:
    """Return the node at a place, or None where there is none."""
    for step in place:
        if not (isinstance(node.value, dict) and step in node.value):
            return None
        node = node.value[step]
    return node


def _is_shared(others: Iterable[Node], place: tuple[str, ...], found: Node) -> bool:
    """Return whether a recipe that was not asked for has its value from the same place in a file."""
    return any((other := _exactly(one, place)) and other.mark == found.mark for one in others)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return a file after its edits.

    >>> edited('a: {b: "1.0"}  # why', [Edit("f", 1, 8, '"2.0"')])
    'a: {b: "2.0"}  # why'
    """
    lines = text.splitlines(keepends=True)
    added = []
    for one in sorted(edits, reverse=True):
        if one.line == 0:
            added.append(one.text)
            continue
        line = lines[one.line - 1]
        word = TOKEN.match(line, one.col - 1)
        end = word.end() if word else one.col - 1
        lines[one.line - 1] = line[: one.col - 1] + one.text + line[end:]
    return "".join([*lines, *sorted(added)])


def apply(files: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """Return the files that edits change, after them."""
    by_path: dict[str, list[Edit]] = {}
    for one in edits:
        by_path.setdefault(one.path, []).append(one)
    after = {path: edited(files[path], some) for path, some in by_path.items()}
    return {path: text for path, text in after.items() if text != files[path]}


def patch(before: Mapping[str, str], after: Mapping[str, str], prefix: str) -> str:
    """Return the unified diff of all files that differ; paths are below ``prefix``."""
    parts: list[str] = []
    for path in sorted(after):
        old, new = before[path].splitlines(keepends=True), after[path].splitlines(keepends=True)
        parts += difflib.unified_diff(old, new, f"a/{prefix}{path}", f"b/{prefix}{path}")
    return "".join(parts)
