"""Python source files by path as syntax trees: classes, type aliases and literal values, found by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Values = Mapping[str, ast.expr]


class NotLiteralError(ValueError):
    """An expression whose value only running it would tell."""


@dataclass(frozen=True, slots=True)
class Source:
    """The parsed modules of an engine."""

    modules: Mapping[str, ast.Module]
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    names: Values = field(default_factory=dict)

    @classmethod
    def parse(cls, files: Mapping[str, str]) -> Source:
        """Return the source of these files by path."""
        modules = {path: ast.parse(text, path) for path, text in sorted(files.items())}
        classes: dict[str, ast.ClassDef] = {}
        names: dict[str, ast.expr] = {}
        for module in modules.values():
            for node in ast.walk(module):
                if isinstance(node, ast.ClassDef):
                    classes.setdefault(node.name, node)
            names |= {name: value for name, value in _assigned(module) if name not in names}
        return cls(modules, classes, names)

    def literal(self, node: ast.expr | None) -> Value:
        """Return the value of an expression of literals and of names of literals; NotLiteralError for any other."""
        if isinstance(node, ast.Name) and node.id in self.names:
            return self.literal(self.names[node.id])
        if isinstance(node, ast.Attribute) and node.attr == "value":
            return self.literal(self._member(node.value))
        if isinstance(node, ast.ListComp):
            return self._members(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_args":
            return self._arguments(node.args[0])
        if node is None:
            raise NotLiteralError
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError) as error:
            raise NotLiteralError from error
        return _plain(value)

    def _arguments(self, node: ast.expr) -> Value:
        """Return ``get_args(Alias)`` of ``Alias = Literal[…]``."""
        alias = self.names.get(node.id) if isinstance(node, ast.Name) else node
        if not (isinstance(alias, ast.Subscript) and isinstance(alias.slice, ast.Tuple)):
            raise NotLiteralError
        return [self.literal(one) for one in alias.slice.elts]

    def _member(self, node: ast.expr) -> ast.expr:
        """Return the value of ``Class.MEMBER`` of an enumeration."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = dict(class_values(self.classes.get(node.value.id)))
            if node.attr in found:
                return found[node.attr]
        raise NotLiteralError

    def _members(self, node: ast.ListComp) -> Value:
        """Return ``[m.value for m in Class]`` of an enumeration."""
        source = node.generators[0].iter
        if isinstance(source, ast.Name) and isinstance(node.elt, ast.Attribute) and node.elt.attr == "value":
            found = [self.literal(value) for _, value in class_values(self.classes.get(source.id))]
            if found:
                return found
        raise NotLiteralError


def class_values(node: ast.ClassDef | None) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names and values that the body of a class assigns."""
    if node is not None:
        yield from _assigned(node)


def _assigned(node: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for one in node.body:
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            yield one.targets[0].id, one.value
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.value:
            yield one.target.id, one.value


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(one) for key, one in value.items()}
    raise NotLiteralError
