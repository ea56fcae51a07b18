"""Options of vLLM: calls of ``add_argument`` in ``vllm/engine/arg_utils.py``, and the configurations behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.engines.arguments import explicit, names_of
from pipeline.engines.hints import default_of, option
from pipeline.engines.source import NotLiteralError, Source
from pipeline.schema.engine import EngineOption, EngineSetting

ARGUMENTS, ENVIRONMENT = "vllm/engine/arg_utils.py", "vllm/envs.py"
Fields = Mapping[str, EngineOption]


def is_read(path: str) -> bool:
    """Return whether a file of the wheel describes options, configurations or variables."""
    return path in (ARGUMENTS, ENVIRONMENT) or (path.startswith("vllm/config/") and path.endswith(".py"))


def options(source: Source) -> dict[str, EngineOption]:
    """Return the options that ``AsyncEngineArgs.add_cli_args`` adds, by name."""
    found: dict[str, EngineOption] = {}
    for name in ("EngineArgs", "AsyncEngineArgs"):
        reader = _Reader(source)
        for node in source.classes[name].body:
            if isinstance(node, ast.FunctionDef) and node.name == "add_cli_args":
                found |= dict(reader.read(node))
    return found


def configs(source: Source, found: Mapping[str, EngineOption]) -> dict[str, dict[str, EngineSetting]]:
    """Return the fields of every configuration that an option holds, directly or nested, by its name."""
    waiting = [one.config for one in found.values() if one.config]
    described: dict[str, dict[str, EngineSetting]] = {}
    while waiting:
        name = waiting.pop()
        if name not in described:
            settings = {key: _setting(one) for key, one in fields(source, name).items()}
            described[name] = settings
            waiting += [one.config for one in settings.values() if one.config]
    return dict(sorted(described.items()))


def variables(source: Source) -> tuple[str, ...]:
    """Return the names of the environment variables in ``vllm/envs.py``."""
    table = source.names.get("environment_variables")
    keys = table.keys if isinstance(table, ast.Dict) else []
    return tuple(sorted(str(key.value) for key in keys if isinstance(key, ast.Constant)))


def fields(source: Source, name: str) -> dict[str, EngineOption]:
    """Return the fields that a configuration class can be given, its base classes' included."""
    node = source.classes.get(name)
    if node is None:
        return {}
    found: dict[str, EngineOption] = {}
    for base in node.bases:
        if isinstance(base, ast.Name):
            found |= fields(source, base.id)
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and _is_given(one):
            has_default, default = default_of(one.value, source)
            said = {"has_default": has_default, "default": default, "deprecated": _is_deprecated(after)}
            found[one.target.id] = option(one.target.id, one.annotation, source).model_copy(update=said)
    return found


def _is_deprecated(after: ast.stmt | None) -> bool:
    """Return whether the text below a field says that it is deprecated."""
    text = after.value if isinstance(after, ast.Expr) else None
    return isinstance(text, ast.Constant) and str(text.value).startswith("Deprecated")


def _is_given(node: ast.AnnAssign) -> bool:
    """Return whether a field is one that a caller may give: neither a class variable nor ``init=False``."""
    value = node.value
    is_set_later = isinstance(value, ast.Call) and any(
        one.arg == "init" and isinstance(one.value, ast.Constant) and one.value.value is False
        for one in value.keywords
    )
    return "ClassVar" not in ast.unparse(node.annotation) and not is_set_later


def _setting(one: EngineOption) -> EngineSetting:
    return EngineSetting(**{name: getattr(one, name) for name in EngineSetting.model_fields})


@dataclass(slots=True)
class _Reader:
    """The statements of one ``add_cli_args``: variables that hold the fields of a class, and options made of them."""

    source: Source
    groups: dict[str, Fields] = field(default_factory=dict)
    single: dict[str, EngineOption] = field(default_factory=dict)
    removed: dict[tuple[str, str], set[object]] = field(default_factory=dict)

    def read(self, function: ast.FunctionDef) -> Iterator[tuple[str, EngineOption]]:
        """Yield name and option of every call of ``add_argument``."""
        for node in _statements(function.body):
            if isinstance(node, ast.Assign):
                self._assign(node)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                yield from self._call(node.value)

    def _assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if (
            isinstance(target, ast.Name)
            and isinstance(node.value, ast.Call)
            and _called(node.value) == "get_kwargs"
        ):
            self.groups[target.id] = fields(self.source, ast.unparse(node.value.args[0]))
        elif isinstance(target, ast.Name) and (found := self._field(node.value)):
            self.single[target.id] = found

    def _field(self, node: ast.expr) -> EngineOption | None:
        """Return the option of ``x_kwargs["field"]``, of a variable that holds one, or of a dict that extends one."""
        if isinstance(node, ast.Name):
            return self.single.get(node.id)
        if isinstance(node, ast.Dict):
            return self._extended(node)
        if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
            return None
        name = str(node.slice.value)
        if isinstance(node.value, ast.Call) and _called(node.value) == "get_kwargs":
            return fields(self.source, ast.unparse(node.value.args[0])).get(name)
        group = node.value.id if isinstance(node.value, ast.Name) else ""
        found = self.groups.get(group, {}).get(name)
        return self._without_removed(found, (group, name)) if found else None

    def _without_removed(self, found: EngineOption, place: tuple[str, str]) -> EngineOption:
        gone = self.removed.get(place, set())
        if not gone or found.choices is None:
            return found
        kept = tuple(one for one in found.choices if one not in gone)
        return found.model_copy(update={"choices": kept})

    def _extended(self, node: ast.Dict) -> EngineOption | None:
        """Return the option of ``{**x_kwargs["field"], "default": None}``."""
        base = next(
            (self._field(one) for key, one in zip(node.keys, node.values, strict=True) if key is None), None
        )
        given = {
            str(key.value): one
            for key, one in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        if base is None or "default" not in given:
            return base
        has_default, default = default_of(given["default"], self.source)
        return base.model_copy(update={"has_default": has_default, "default": default})

    def _call(self, node: ast.Call) -> Iterator[tuple[str, EngineOption]]:
        if _called(node) == "remove" and isinstance(node.func, ast.Attribute):
            self._remove(node.func.value, node.args[0])
        if _called(node) != "add_argument":
            return
        name, aliases = names_of(node)
        expanded = [self._field(one.value) for one in node.keywords if one.arg is None]
        found = explicit(node, self.source, base=next((one for one in expanded if one), None))
        yield name, found.model_copy(update={"aliases": aliases})

    def _remove(self, node: ast.expr, value: ast.expr) -> None:
        """Note ``x_kwargs["field"]["choices"].remove(value)``."""
        try:
            removed = self.source.literal(value)
        except NotLiteralError:
            return
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript):
            inner = node.value
            if isinstance(inner.value, ast.Name) and isinstance(inner.slice, ast.Constant):
                place = (inner.value.id, str(inner.slice.value))
                self.removed.setdefault(place, set()).add(removed)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements in order, those inside of conditions too."""
    for node in body:
        yield node
        for inner in ("body", "orelse"):
            yield from _statements(
                getattr(node, inner, []) if isinstance(node, ast.If | ast.For | ast.With) else []
            )
