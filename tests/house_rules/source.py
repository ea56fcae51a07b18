"""What every rule works on: the text files by path, their syntax trees, and violations."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

FOLDERS = ("pipeline", "docs", ".github")
SUFFIXES = frozenset({".py", ".md", ".yml", ".yaml", ".j2", ".js", ".css"})

Files = Mapping[str, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One finding: where, of which rule, what is wrong, and what to use instead."""

    path: str
    line: int
    rule: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}; use {self.instead}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number with its limit; ``limit`` is None where the number is only reported."""

    rule: str
    name: str
    value: float
    limit: float | None = None

    def __str__(self) -> str:
        limit = "reported only" if self.limit is None else f"at most {self.limit:g}"
        return f"{self.rule}: {self.name}: {self.value:g} ({limit})"


def read(root: Path) -> dict[str, str]:
    """Return the text of every file that a rule may read, by its path below ``root``."""
    found = (path for folder in FOLDERS for path in sorted((root / folder).rglob("*")))
    chosen = (path for path in found if path.suffix in SUFFIXES and path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in chosen}


def modules(files: Files, *globs: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield path and syntax tree of the Python files that match one of ``globs``; ``*`` matches ``/`` as well."""
    for path, text in files.items():
        if path.endswith(".py") and matches(path, globs or ("pipeline/*",)):
            yield path, parse(text)


@cache
def parse(text: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(text)


def matches(path: str, globs: tuple[str, ...]) -> bool:
    """Return whether a path matches one of the globs."""
    return any(fnmatch(path, glob) for glob in globs)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions nested in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def called(node: ast.Call) -> str:
    """Return the dotted name that is called, such as ``os.fsync``; of a method of an expression, ``.name``."""
    parts: list[str] = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    parts.append(target.id if isinstance(target, ast.Name) else "")
    return ".".join(reversed(parts))
