"""One call of argparse's ``add_argument``, or of Dynamo's wrappers around it, as an option."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from pipeline.engines.hints import default_of
from pipeline.engines.source import NotLiteralError, Source
from pipeline.schema.engine import EngineOption, ValueType

TYPES: dict[str, ValueType] = {"int": "int", "float": "float", "str": "str", "bool": "bool"}


def names_of(node: ast.Call) -> tuple[str, tuple[str, ...]]:
    """Return the first long name of a call, and the other names, all without leading dashes."""
    words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    stated = {one.arg: one.value for one in node.keywords}
    for key in ("flag_name", "obsolete_flag"):
        value = stated.get(key)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            words.append(value.value)
    long = [word.lstrip("-") for word in words if word.startswith("--")]
    others = [word.lstrip("-") for word in words if not word.startswith("--")]
    return (long or others or [""])[0], tuple((*long[1:], *others) if long else others[1:])


def explicit(node: ast.Call, source: Source, *, base: EngineOption | None = None) -> EngineOption:
    """Return the option that the keywords of a call describe, on top of ``base``."""
    stated = {one.arg: one.value for one in node.keywords if one.arg}
    found = base or EngineOption(type="str")
    changes: dict[str, object] = _action(stated.get("action"), node)
    kind = stated.get("type") or stated.get("arg_type")
    if kind is not None:
        changes["type"] = TYPES.get(getattr(kind, "id", ""), found.type if base else "unknown")
    for key in ("nargs", "choices"):
        if key in stated:
            try:
                value = source.literal(stated[key])
                changes[key] = tuple(value) if isinstance(value, list) else value
            except NotLiteralError:
                changes.pop(key, None)
    if "default" in stated:
        changes["has_default"], changes["default"] = default_of(stated["default"], source)
    if "deprecated" in stated or _help(stated).startswith("DEPRECATED"):
        changes["deprecated"] = True
    return found.model_copy(update=changes)


def _action(action: ast.expr | None, node: ast.Call) -> dict[str, object]:
    """Return what the action of a call says about its option."""
    called = ast.unparse(node.func)
    word = ast.unparse(action) if action is not None else ""
    if "negatable" in called or word.endswith("BooleanOptionalAction"):
        return {"type": "bool", "nargs": 0, "negatable": True}
    if word.strip("'\"") in ("store_true", "store_false", "version", "store_const", "help"):
        return {"type": "bool", "nargs": 0}
    return {"deprecated": True} if "Deprecated" in word else {}


def _help(stated: Mapping[str, ast.expr]) -> str:
    text = stated.get("help")
    return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
