"""What touches the disk, the network and the clock is called in one place only."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house_rules.source import Files, Violation, called, matches, modules

RULE = "edges"
FILES = ("pipeline/edge/files.py",)
OUTPUTS = ("pipeline/edge/actions.py",)  # appends to $GITHUB_OUTPUT and $GITHUB_STEP_SUMMARY
CLI = ("pipeline/cli/*",)
# What is restricted, where it is allowed, and what to use elsewhere.
ALLOWED: dict[str, tuple[tuple[str, ...], str]] = {
    "SystemHttp()": (CLI, "the client that pipeline/cli passes in"),
    "SystemClock()": (CLI, "the clock that pipeline/cli passes in"),
    '"GITHUB_OUTPUT"': (CLI, "the path that pipeline/cli passes in"),
    "open for append": (OUTPUTS, f"the writer of {OUTPUTS[0]}"),
    "os.fsync": (FILES, f"the atomic write of {FILES[0]}"),
    "file_digest": (FILES, f"the SHA-256 of {FILES[0]}"),
    "os.replace": (FILES, f"the atomic write of {FILES[0]}"),
    "Path.replace": (FILES, f"the atomic write of {FILES[0]}"),
}
APPEND = frozenset({"a", "at", "a+", "ta"})  # logs and locks are opened as "ab"


def check(files: Files, allowed: dict[str, tuple[tuple[str, ...], str]] = ALLOWED) -> Iterator[Violation]:
    """Yield each restricted call and literal outside of where it is allowed."""
    for path, tree in modules(files):
        for node in ast.walk(tree):
            for what in _restricted(node):
                globs, instead = allowed[what]
                if not matches(path, globs):
                    yield Violation(
                        path,
                        getattr(node, "lineno", 1),
                        RULE,
                        f"{what} outside of {', '.join(globs)}",
                        instead,
                    )


def _restricted(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and node.value == "GITHUB_OUTPUT":
        yield '"GITHUB_OUTPUT"'
    if isinstance(node, ast.Call):
        name = called(node)
        last = name.rsplit(".", 1)[-1]
        if last in ("SystemHttp", "SystemClock"):
            yield f"{last}()"
        elif last in ("fsync", "file_digest"):
            yield "os.fsync" if last == "fsync" else last
        elif last == "replace" and name != "replace":
            yield from _replacing(node, name)
        elif last == "open" and any(
            isinstance(one, ast.Constant) and one.value in APPEND for one in _modes(node)
        ):
            yield "open for append"


def _replacing(node: ast.Call, name: str) -> Iterator[str]:
    if name == "os.replace":
        yield name
    elif len(node.args) == 1 and not node.keywords and name != "dataclasses.replace":
        yield "Path.replace"  # text.replace takes two arguments


def _modes(node: ast.Call) -> list[ast.expr]:
    return [*node.args[:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
