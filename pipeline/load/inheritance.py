"""What a recipe inherits: the ``_base.yaml`` of each folder above it, and the partials that it extends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.deployment.settings import opposite
from pipeline.errors import Problem
from pipeline.load import limits
from pipeline.load.conform import nearest
from pipeline.load.nodes import Node, merge
from pipeline.schema.recipe import ROLES


@dataclass(slots=True)
class Inheritance:
    """The files that recipes are merged from, by path; problems of ``extends`` are added to ``problems``."""

    files: Mapping[str, Node]
    problems: list[Problem]
    left: int = limits.MAX_LAYERS  # partials that the recipe in hand may still be merged from

    def layers(self, path: str) -> list[Node]:
        """Return what a recipe is merged from: bases from the top folder down, partials, the file itself."""
        folders = reversed(PurePosixPath(path).parents)
        bases = [self.files[base] for base in _files(folders, "_base") if base in self.files]
        self.left = limits.MAX_LAYERS
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
            if self._may_extend(name, extending):
                layers += self._partial(name, path, extending)
        return [*layers, Node(entries, node.mark, node.key)]

    def _may_extend(self, name: Node, extending: tuple[str, ...]) -> bool:
        """Return whether one more partial may be merged; the first beyond a limit is a problem."""
        self.left -= 1
        if self.left > 0 and len(extending) < limits.MAX_EXTENDS:
            return True
        if self.left >= 0:
            what = (
                f"`extends` here leads to more than {limits.MAX_LAYERS} partials, "
                f"or to more than {limits.MAX_EXTENDS} one after another"
            )
            self.problems.append(name.mark.problem(what, "put the values into fewer partials"))
        self.left = -1
        return False

    def _partial(self, name: Node, path: str, extending: tuple[str, ...]) -> list[Node]:
        """Return the layers of one partial; a problem where it does not exist or extends itself."""
        word = str(name.plain)[:200]
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
        entries[role] = merge_pools(both, entries[role], keeps_null=True) if role in entries else both
    return Node(entries, layer.mark, layer.key)


def resolved(layers: Iterable[Node], start: Node) -> Node:
    """Return all layers merged into ``start``; a flag replaces the inherited flag of the same option."""
    node = start
    for layer in layers:
        node = merge(_without_opposites(node, layer), layer)
    return node


def merge_pools(base: Node, over: Node, *, keeps_null: bool = False) -> Node:
    """Return ``over`` merged into ``base``, both of one role.

    An option replaces its inherited negation, and vice versa.
    """
    return merge(_flags_without_opposites(base, over), over, keeps_null=keeps_null)


def _without_opposites(base: Node, over: Node) -> Node:
    """Return a layer without the flags of its pools that another layer gives in the opposite form."""
    inherited, given = _entries(base), _entries(over)
    pools: dict[str, Node] = {
        name: _flags_without_opposites(inherited[name], given[name])
        for name in ROLES
        if name in inherited and name in given
    }
    return Node({**inherited, **pools}, base.mark, base.key) if pools else base


def _flags_without_opposites(base: Node, over: Node) -> Node:
    """Return a pool without the flags that another pool gives in the opposite form (``x`` and ``no-x``)."""
    pool = _entries(base)
    if "flags" not in pool or "flags" not in _entries(over):
        return base
    flags, given = pool["flags"], _entries(_entries(over)["flags"])
    kept = {
        name: one for name, one in _entries(flags).items() if name in given or opposite(name) not in given
    }
    return Node({**pool, "flags": Node(kept, flags.mark, flags.key)}, base.mark, base.key)


def _entries(node: Node) -> dict[str, Node]:
    return node.value if isinstance(node.value, dict) else {}
