"""Recipes, tables and catalogues: text in, checked documents out, every problem at its line."""

from pipeline.load.conform import conform, nearest
from pipeline.load.loader import SUFFIXES, examine, is_read, read
from pipeline.load.nodes import Node, compose
from pipeline.load.recipe_set import RecipeSet

__all__ = ["SUFFIXES", "Node", "RecipeSet", "compose", "conform", "examine", "is_read", "nearest", "read"]
