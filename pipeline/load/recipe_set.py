"""All recipes of a folder with their inherited values, and the SKUs, LLMs and clusters that they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.load.nodes import Mark, Node
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.recipe import Recipe


@dataclass(frozen=True, slots=True)
class RecipeSet:
    """Valid recipes by id, the catalogue, and the place in a file of each value."""

    recipes: dict[str, Recipe]
    catalogue: Catalogue
    nodes: dict[str, Node]

    def mark(self, recipe_id: str, *location: str) -> Mark:
        """Return the place of a field of a recipe."""
        node = self.nodes[recipe_id].at(location)
        return node.key or node.mark

    def origins(self, recipe_id: str) -> Iterator[tuple[str, Any, Mark]]:
        """Yield dotted path, value and place of every leaf of a resolved recipe, in file order."""
        yield from _leaves(self.nodes[recipe_id], ())


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Mark]]:
    if isinstance(node.value, dict) and node.value:
        for name, inner in node.value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield ".".join(path), node.plain, node.mark
