"""YAML with the place of every value. Duplicate keys, aliases and ambiguous scalars are problems.

PyYAML's safe loader silently keeps the last duplicate, and reads ``no`` as False and ``010`` as 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.errors import Problem
from pipeline.load import limits
from pipeline.plaintext import one_line

Scalar = str | int | float | bool | None
INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
DIGITS = 40  # characters of a decimal number
FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
WORDS: Mapping[str, Scalar] = {"true": True, "false": False, "null": None}
BOOLEAN = "some YAML parsers read it as a boolean"
AMBIGUOUS = tuple(
    (re.compile(pattern, re.IGNORECASE), why, hint)
    for pattern, why, hint in (
        (r"(y|yes|n|no|on|off|true|false)", BOOLEAN, "write true or false, or quote it"),
        (r"~?|null", "some YAML parsers read it as null", "write null, or quote it"),
        (
            r"[-+]?0[0-9_]+",
            "some YAML parsers read a number with a leading zero as octal",
            "drop the zero, or quote it",
        ),
        (
            r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?e[-+]?[0-9]+",
            "some YAML parsers read it as a number, others as a string",
            "write all digits, or quote it",
        ),
        (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "some YAML parsers read it in base 60", "quote it"),
        (
            r"[-+]?(0x[0-9a-f_]+|0b[01_]+|0o[0-7_]+|[0-9]+_[0-9_]*)",
            "not every YAML parser reads it as a decimal number",
            "write plain decimal digits, or quote it",
        ),
        (
            r"\.(inf|nan)|\+[0-9.]+|-?\.[0-9]+|-?[0-9]+\.",
            "it is not a plain decimal number",
            "write digits on both sides of the decimal point",
        ),
    )
)


WITHOUT_ALIAS = "repeat the value; values that recipes share belong in a _base.yaml"
STAR = "quote a text that starts with `*` or `&`"
SYNTAX = "check indentation, colons, brackets and quotes here and in the line above"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1."""

    path: str
    line: int
    col: int

    def problem(self, what: str, hint: str = "") -> Problem:
        """Return an error at this place."""
        return Problem(self.path, self.line, self.col, what, hint)

    def warning(self, what: str, hint: str = "") -> Problem:
        """Return a warning at this place."""
        return Problem(self.path, self.line, self.col, what, hint, "warning")

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place; ``key`` is the place of its key, for a value of a mapping."""

    value: dict[str, Node] | list[Node] | Scalar
    mark: Mark
    key: Mark | None = None

    @property
    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {name: node.plain for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value

    @property
    def size(self) -> int:
        """The number of keys and values below this one."""
        inside = list(self.value.values()) if isinstance(self.value, dict) else self.value
        return sum(1 + node.size for node in inside) if isinstance(inside, list) else 0

    def at(self, location: tuple[str | int, ...]) -> Node:
        """Return the node at a location, or the deepest existing node on the way to it."""
        here = self
        for step in location:
            inside = here.value
            if isinstance(inside, dict) and step in inside:
                here = inside[str(step)]
            elif isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                here = inside[step]
            else:
                break
        return here


class _YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where the wheel has it
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own spelling


@dataclass(slots=True)
class _Reader:
    path: str
    problems: list[Problem] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def mark(self, node: yaml.Node) -> Mark:
        return Mark(self.path, node.start_mark.line + 1, node.start_mark.column + 1)

    def read(self, node: yaml.Node, key: Mark | None = None) -> Node:
        mark = self.mark(node)
        if id(node) in self.seen:
            self.problems.append(mark.problem("YAML aliases are not supported", WITHOUT_ALIAS))
            return Node(None, mark, key)
        self.seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return Node(self.mapping(node), mark, key)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.read(item) for item in node.value], mark, key)
        if not isinstance(node, yaml.ScalarNode):
            self.problems.append(mark.problem("a value must be a mapping, a list or a scalar"))
            return Node(None, mark, key)
        return Node(self.scalar(node, mark), mark, key)

    def mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            mark = self.mark(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(mark.problem("a key must be a word", "write `key: value`"))
            elif key_node.value == "<<":
                self.problems.append(mark.problem("YAML merge keys are not supported", WITHOUT_ALIAS))
            elif key_node.value in entries:
                first = entries[key_node.value].key
                hint = f"keep one; the first is {f'at line {first.line}' if first else 'above'}"
                self.problems.append(mark.problem(f"duplicate key `{one_line(key_node.value, 80)}`", hint))
            else:
                entries[key_node.value] = self.read(value_node, mark)
        return entries

    def scalar(self, node: yaml.ScalarNode, mark: Mark) -> Scalar:
        text: str = node.value
        if not node.tag.endswith(":str"):
            self.problems.append(
                mark.problem(
                    f"YAML tags are not supported: {one_line(node.tag, 80)}", "write the plain value"
                )
            )
        if node.style:  # quoted or a block; libyaml says "" for plain, the Python parser None
            return text
        if text in WORDS:
            return WORDS[text]
        if INT.fullmatch(text):
            return int(text)
        if FLOAT.fullmatch(text):
            if len(text) > DIGITS:
                self.problems.append(
                    mark.problem(f"a number of {len(text)} characters", f"write at most {DIGITS} digits")
                )
                return 0.0
            return float(text)
        for pattern, why, hint in AMBIGUOUS:
            if pattern.fullmatch(text):
                shown = f"`{one_line(text, 80)}`" if text else "an empty value"
                self.problems.append(mark.problem(f"{shown} is ambiguous: {why}", hint))
                break
        return text


def compose(path: str, text: str | bytes) -> tuple[Node | None, list[Problem]]:
    """Return the top-level mapping of a YAML file, or None where it cannot be read, and every problem."""
    top = Mark(path, 1, 1)
    if len(text) > limits.MAX_BYTES:
        what = f"the file has {len(text)} bytes, more than {limits.MAX_BYTES >> 20} MiB"
        return None, [top.problem(what, "remove what no command reads, or split the file")]
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        if beyond := limits.excess(decoded, _YamlLoader):
            place = Mark(path, beyond.line, beyond.col)
            return None, [place.problem(beyond.what, "no document of this project needs as many")]
        root = yaml.compose(decoded, _YamlLoader)
    except UnicodeDecodeError as error:
        return None, [top.problem(f"the file is not UTF-8: byte {error.start}", "save it as UTF-8")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(path, mark.line + 1, mark.column + 1) if mark else top
        hint = STAR if isinstance(error, yaml.composer.ComposerError) else SYNTAX
        what = one_line(f"the file is not valid YAML: {error.problem or error.context}")
        return None, [place.problem(what, hint)]
    except yaml.YAMLError as error:
        return None, [top.problem(one_line(f"the file is not valid YAML: {error}"), SYNTAX)]
    if root is None:
        return Node({}, top), []
    reader = _Reader(path)
    node = reader.read(root)
    if not isinstance(node.value, dict):
        return None, [
            *reader.problems,
            top.problem("the file must be a mapping at its top level", "write `key: value` lines"),
        ]
    return node, reader.problems


def merge(base: Node, over: Node, *, keeps_null: bool = False) -> Node:
    """Merge ``over`` into ``base``: mappings merge key by key, other values replace, null deletes the key.

    With ``keeps_null``, a null stays, to delete the key in a later merge.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    for name, node in over.value.items():
        if node.value is None and not keeps_null:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged[name], node, keeps_null=keeps_null) if name in merged else node
    return Node(merged, over.mark, over.key or base.key)
