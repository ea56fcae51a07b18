"""Options of Dynamo's vLLM worker and frontend, and the variables that its Python source reads."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from pipeline.engines.arguments import explicit, names_of
from pipeline.engines.source import Source
from pipeline.schema.engine import EngineOption

WORKER = ("dynamo/vllm/args.py", "dynamo/vllm/backend_args.py")
FRONTEND = ("dynamo/frontend/frontend_args.py",)
GROUPS = "dynamo/common/configuration/groups"
FOLDERS = ("dynamo/vllm/", "dynamo/frontend/", "dynamo/common/")
CALLS = ("add_argument", "add_negatable_bool_argument")


def is_read(path: str) -> bool:
    """Return whether a file of the wheel describes options or reads variables."""
    return path.startswith(FOLDERS) and path.endswith(".py") and "/tests/" not in path


def options(source: Source, entries: tuple[str, ...]) -> dict[str, EngineOption]:
    """Return the options that the files of a program add, and the argument groups that these import."""
    found: dict[str, EngineOption] = {}
    for path in _reached(source, entries):
        for node in ast.walk(source.modules[path]):
            if isinstance(node, ast.Call) and _called(node) in CALLS:
                name, aliases = names_of(node)
                if name:
                    found.setdefault(name, explicit(node, source).model_copy(update={"aliases": aliases}))
    return dict(sorted(found.items()))


def variables(source: Source) -> tuple[str, ...]:
    """Return every variable that a call of an option names, or that the source reads from the environment."""
    found: set[str] = set()
    for module in source.modules.values():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                found |= set(_texts(one.value for one in node.keywords if one.arg == "env_var"))
                if ast.unparse(node.func).endswith(("environ.get", "getenv")):
                    found |= set(_texts(node.args[:1]))
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
                found |= set(_texts([node.slice]))
    return tuple(sorted(found))


def _reached(source: Source, entries: tuple[str, ...]) -> list[str]:
    """Return the files of a program: its entries, and the argument groups that they import."""
    waiting, found = [path for path in entries if path in source.modules], []
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            found.append(path)
            waiting += [one for one in _imported(path, source.modules[path]) if one in source.modules]
    return found


def _imported(path: str, module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            name = (node.module or "").replace(".", "/")
            above = str(PurePosixPath(path).parents[node.level - 1]) if node.level else ""
            place = f"{above}/{name}".strip("/") if above else name
            if place.startswith(GROUPS):
                yield f"{place}.py"


def _texts(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
