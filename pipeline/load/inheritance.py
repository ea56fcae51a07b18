"""What a recipe inherits: the ``_base.yaml`` of each folder above it, and the partials that it extends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import Problem
from pipeline.load.conform import nearest
from pipeline.load.nodes import Node, merge
from pipeline.schema.recipe import ROLES


@dataclass(slots=True)
class Inheritance:
    """The files that recipes are merged from, by path; problems of ``extends`` are added to ``problems``."""

    files: Mapping[str, Node]
    problems: list[Problem]

    def layers(self, path: str) -> list[Node]:
        """Return what a recipe is merged from: bases from the top folder down, partials, the file itself."""
        folders = reversed(PurePosixPath(path).parents)
        bases = [self.files[base] for base in _files(folders, "_base") if base in self.files]
        return [_by_role(layer) for layer in (*bases, *self._with_partials(path, ()))]

    def _with_partials(self, path: str, extending: tuple[str, ...]) -> list[Node]:
        """Return the partials that a file extends, then the file without its ``extends``."""
        node = self.files[path]
        entries = dict(node.value) if isinstance(node.value, dict) else {}
        extends = entries.pop("extends", None)
        names = extends.value if extends else []
        layers: list[Node] = []
        if extends and not isinstance(names, list):
            what = "`extends` must be a list of partials"
            self.problems.append(extends.mark.problem(what, "write extends: [_name]"))
        for name in names if isinstance(names, list) else []:
            layers += self._partial(name, path, extending)
        return [*layers, Node(entries, node.mark, node.key)]

    def _partial(self, name: Node, path: str, extending: tuple[str, ...]) -> list[Node]:
        """Return the layers of one partial; a problem where it does not exist or extends itself."""
        word = str(name.plain)
        candidates = _files(PurePosixPath(path).parents, word) if word.startswith("_") else ()
        found = next((file for file in candidates if file in self.files), None)
        if found is None:
            known = [place.stem for place in map(PurePosixPath, self.files) if place.name.startswith("_")]
            self.problems.append(name.mark.problem(f"unknown partial `{word}`", nearest(word, known)))
        elif found in extending:
            what = f"circular `extends`: `{word}` extends itself through this file"
            self.problems.append(name.mark.problem(what, f"remove `{word}` from this list"))
        else:
            return self._with_partials(found, (*extending, path))
        return []


def _files(folders: Iterable[PurePosixPath], name: str) -> Iterator[str]:
    return (str(folder / f"{name}.yaml") for folder in folders)


def _by_role(layer: Node) -> Node:
    """Return a layer with ``both`` merged into prefill and decode; the values of a role have precedence."""
    if not isinstance(layer.value, dict) or "both" not in layer.value:
        return layer
    entries = dict(layer.value)
    both = entries.pop("both")
    for role in ROLES:
        entries[role] = merge(both, entries[role], keeps_null=True) if role in entries else both
    return Node(entries, layer.mark, layer.key)
