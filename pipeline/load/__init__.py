"""Room 1: YAML of intent in, checked documents out, every mistake at its line."""

from pipeline.load.book import Book, examine, read
from pipeline.load.conform import conform, nearest
from pipeline.load.nodes import Node, compose

__all__ = ["Book", "Node", "compose", "conform", "examine", "nearest", "read"]
