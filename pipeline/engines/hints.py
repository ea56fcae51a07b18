"""Type hints of configuration fields as settings, by the rules of vLLM's ``get_kwargs``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.engines.source import NotLiteralError, Source, Value
from pipeline.schema.engine import EngineOption, ValueType

TRANSPARENT = ("Annotated", "SkipValidation", "Final", "InitVar")
OPTIONAL = ("Optional", "Union")
COLLECTIONS = ("list", "tuple", "set", "List", "Tuple", "Set", "Sequence")
BUILTINS: dict[str, ValueType] = {"bool": "bool", "int": "int", "float": "float", "str": "str"}
SIZES = (  # integers that vLLM also reads as 16k or 1M
    "max_model_len",
    "max_num_batched_tokens",
    "max_num_scheduled_tokens",
    "kv_cache_memory_bytes",
    "safetensors_prefetch_block_size",
)


@dataclass(frozen=True, slots=True)
class Hint:
    """One member of a type hint's union."""

    kind: str  # bool, int, float, str, none, literal, collection, dict, config, other
    values: tuple[Value, ...] = ()  # of a literal
    items: tuple[ast.expr, ...] = ()  # of a collection
    name: str = ""  # of a config


def hints(node: ast.expr, source: Source) -> Iterator[Hint]:
    """Yield the members of a type hint, with aliases resolved."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from hints(ast.parse(node.value, mode="eval").body, source)
    elif isinstance(node, ast.Constant) and node.value is None:
        yield Hint("none")
    elif isinstance(node, ast.BinOp):
        yield from hints(node.left, source)
        yield from hints(node.right, source)
    elif isinstance(node, ast.Subscript):
        yield from _subscript(node, source)
    else:
        yield from _named(_name(node), source)


def _named(name: str, source: Source) -> Iterator[Hint]:
    if name in BUILTINS:
        yield Hint(BUILTINS[name])
    elif name.lower() in COLLECTIONS:
        yield Hint("collection")
    elif name.lower() == "dict":
        yield Hint("dict")
    elif name in source.classes:
        is_config = any(
            _name(one).endswith(("dataclass", "config")) for one in source.classes[name].decorator_list
        )
        yield Hint("config", name=name) if is_config else Hint("other")
    elif name in source.names:
        yield from hints(source.names[name], source)
    else:
        yield Hint("other")


def _subscript(node: ast.Subscript, source: Source) -> Iterator[Hint]:
    name = _name(node.value)
    items = tuple(node.slice.elts) if isinstance(node.slice, ast.Tuple) else (node.slice,)
    if name in TRANSPARENT:
        yield from hints(items[0], source)
    elif name in OPTIONAL:
        for item in items:
            yield from hints(item, source)
        if name == "Optional":
            yield Hint("none")
    elif name == "Literal":
        yield Hint("literal", values=tuple(_literals(items, source)))
    elif name in COLLECTIONS:
        yield Hint("collection", items=items, name=name.lower())
    elif name.lower() in ("dict", "mapping"):
        yield Hint("dict")
    else:
        yield Hint("other")


def _literals(items: tuple[ast.expr, ...], source: Source) -> Iterator[Value]:
    for item in items:
        inner = list(hints(item, source)) if isinstance(item, ast.Name | ast.Subscript) else []
        if inner:
            yield from (value for one in inner for value in one.values)
        else:
            yield source.literal(item)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def option(field: str, annotation: ast.expr, source: Source) -> EngineOption:
    """Return the option that vLLM makes of a field of a configuration class, without its default."""
    found = {one.kind: one for one in hints(annotation, source)}
    kinds = set(found)
    if "config" in found:
        return EngineOption(type="json", config=found["config"].name)
    if kinds == {"bool", "str", "none"}:
        return EngineOption(type="str", nargs="?")
    if "bool" in found:
        return EngineOption(type="bool", nargs=0, negatable=True)
    if "literal" in found:
        return _choices(found)
    if "collection" in found:
        return _collection(found, source)
    if "int" in found:
        return EngineOption(type="size" if field in SIZES else "int")
    if "float" in found:
        return EngineOption(type="float")
    if "dict" in found:
        return EngineOption(type="unknown" if kinds & {"str", "other"} else "json")
    return EngineOption(type="str")


def _choices(found: dict[str, Hint]) -> EngineOption:
    """Return the option of a literal; any text is allowed where the hint has ``str`` as well."""
    values = found["literal"].values
    names: dict[type, ValueType] = {bool: "bool", int: "int", float: "float", str: "str"}
    kind = names.get(type(values[0]), "unknown") if values else "unknown"
    if "str" in found:
        return EngineOption(type=kind)
    none: tuple[Value, ...] = ("None",) if "none" in found else ()
    return EngineOption(type=kind, choices=(*values, *none))


def _collection(found: dict[str, Hint], source: Source) -> EngineOption:
    hint = found["collection"]
    items = [one for item in hint.items for one in hints(item, source) if not _is_ellipsis(item)]
    kinds = {one.kind for one in items}
    is_open = hint.name != "tuple" or any(map(_is_ellipsis, hint.items))
    kind: ValueType = "int" if kinds == {"int"} else "float" if kinds == {"float"} else "str"
    none: tuple[Value, ...] = ("None",) if "none" in found else ()
    choices = (*items[0].values, *none) if kinds == {"literal"} else None
    return EngineOption(type=kind, nargs="+" if is_open else len(hint.items), choices=choices)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def default_of(node: ast.expr | None, source: Source) -> tuple[bool, Value]:
    """Return whether a field has a literal default, and the default."""
    if isinstance(node, ast.Call) and _name(node.func) in ("Field", "field"):
        stated = {one.arg: one.value for one in node.keywords}
        if "default" not in stated and not node.args:
            return False, None
        node = stated.get("default") or node.args[0]
    try:
        return True, source.literal(node)
    except NotLiteralError:
        return False, None
