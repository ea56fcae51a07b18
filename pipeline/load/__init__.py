"""Room 1: YAML of intent in, checked documents out, every mistake at its line."""

from pipeline.load.conform import conform, nearest
from pipeline.load.nodes import Node, compose
from pipeline.load.recipe_set import SUFFIXES, RecipeSet, examine, read

__all__ = ["SUFFIXES", "Node", "RecipeSet", "compose", "conform", "examine", "nearest", "read"]
