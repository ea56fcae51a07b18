"""What recipes would meet in other engine versions, for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from pipeline.schema.engine import EngineName
from pipeline.schema.upgrade import RecipeUpgrade, Upgrade, UpgradeFinding

TITLES: Final[Mapping[EngineName, str]] = {"vllm": "vLLM", "dynamo": "Dynamo"}


def upgrade_text(found: Upgrade) -> str:
    """Return the findings of each recipe, then the patch."""
    blocks = ["".join(f"{line}\n" for line in _recipe(one)) for one in found.recipes]
    text = "\n".join(blocks)
    return f"{text}\nPatch (apply it with --write):\n\n{found.patch}" if found.patch else text


def _recipe(one: RecipeUpgrade) -> Iterator[str]:
    versions = [
        f"{title} {one.before.get(name, 'not stated')} → {one.after[name]}"
        for name, title in TITLES.items()
        if one.before.get(name) != one.after.get(name)
    ]
    verdict = "its options are accepted" if one.runs else "cannot run as it is"
    yield f"{one.recipe}: {verdict} ({', '.join(versions) or 'same versions'})"
    yield from (f"  {_finding(finding)}" for finding in one.findings)
    yield from (f"  the patch leaves {path} to you: other recipes share the setting" for path in one.manual)


def _finding(one: UpgradeFinding) -> str:
    title, roles = TITLES[one.engine], " and ".join(one.roles)
    name = f"{roles} {one.setting}".strip()
    place = f" ({one.place})" if one.place else ""
    since = f" since {title} {one.since}" if one.since else ""
    match one.kind:
        case "option-gone" | "key-gone":
            return f"error: {name} {_json(one.before)} is gone{since}{_instead(one)}{place}"
        case "choice-gone":
            return (
                f"error: {name} {_json(one.before)} is no choice any more; choices: {_list(one.after)}{place}"
            )
        case "value-refused":
            return f"error: {name} {_json(one.before)} is refused{place}"
        case "deprecated":
            return f"deprecated: {name}{_instead(one)}{place}"
        case "variable-gone":
            return f"variable {name} is not read any more{since}{place}"
        case "default-changed":
            return f"default of {name}: {_json(one.before)} → {_json(one.after)}"
        case "choices-added":
            return f"new choices of {name}: {_list(one.after)}"
    return f"the catalogue has no such version of {title}: checked against {_json(one.after)}"


def _instead(one: UpgradeFinding) -> str:
    return f"; write {one.replacement}" if one.replacement else ""


def _list(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "unknown"


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
