"""Published studies and tables, and report definitions.

Text and a catalogue in, checked documents out, every mistake at its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import TypeVar

from pipeline.errors import ArtifactError, Problem, RecipeError
from pipeline.load import published_csv
from pipeline.load.conform import conform, nearest
from pipeline.load.nodes import Node, compose
from pipeline.schema.base import Document
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.published import Study, Tables
from pipeline.schema.report import Definition

M = TypeVar("M", bound=Document)
T = TypeVar("T", bound=Tables)


def study(path: PurePath, content: bytes, catalogue: Catalogue) -> Study:
    """Return a study whose SKUs are known and whose rows match its columns.

    Raise RecipeError with every problem at its line.
    """
    document = _tables(Study, path, content, catalogue)
    newest = Study.current_version()
    if document.schema_version > newest:
        what = f"Study schema version {newest} or older expected, found {document.schema_version}"
        raise ArtifactError(what, where=str(path), hint="upgrade rackbench")
    return document.model_copy(update={"schema_version": newest})  # every field of older versions is the same


def tables(path: PurePath, content: bytes, catalogue: Catalogue, tier: str) -> Tables:
    """Return a study, the tables and claims of one (YAML without a ``run_id``), or a CSV of points or of an iso table.

    A CSV is checked against the catalogue's prices of a tier.
    """
    if not is_csv(path):
        node, _ = compose(path.as_posix(), content)
        is_study = node is not None and isinstance(node.value, dict) and "run_id" in node.value
        return study(path, content, catalogue) if is_study else _tables(Tables, path, content, catalogue)
    text, where = _text(content), str(path)
    prices = {sku.id: price.usd_per_gpu_hour for sku in catalogue.skus.values() if (price := sku.price(tier))}
    if published_csv.is_iso(text):
        iso = published_csv.iso(text, where=where, catalogue=catalogue)
        return Tables(title=path.name, usd_per_gpu_hour=prices, iso=iso)
    points = published_csv.points(text, where=where, catalogue=catalogue)
    return Tables(title=path.name, usd_per_gpu_hour=prices, points=points)


def unread_columns(path: PurePath, content: bytes) -> tuple[str, ...]:
    """Return the columns of a CSV that no rule reads; none of a YAML document, where an unknown key is an error."""
    return published_csv.unread(_text(content)) if is_csv(path) else ()


def is_csv(path: PurePath) -> bool:
    """Return whether a file is a CSV, by its name."""
    return path.suffix.lower() == ".csv"


def row_lines(path: PurePath, content: bytes) -> list[int]:
    """Return the line of each row of a study's point table."""
    node, _ = compose(path.as_posix(), content)
    rows = node.at(("points", "rows")).value if node else None
    return [row.mark.line for row in rows] if isinstance(rows, list) else []


def definition(path: PurePath, content: bytes, catalogue: Catalogue) -> Definition:
    """Return a report's definition whose SKUs are known; raise RecipeError with every problem at its line."""
    document, node = _conformed(Definition, path, content)
    named = [(sku, node.at(("skus", index))) for index, sku in enumerate(document.skus)]
    _raise(_unknown_skus(named, catalogue))
    return document


def _tables(model: type[T], path: PurePath, content: bytes, catalogue: Catalogue) -> T:
    document, node = _conformed(model, path, content)
    _raise([*_unknown_skus(_named_skus(document, node), catalogue), *_wrong_widths(document, node)])
    return document


def _conformed(model: type[M], path: PurePath, content: bytes) -> tuple[M, Node]:
    node, problems = compose(path.as_posix(), content)
    document, more = conform(model, node, {}) if node else (None, [])
    if problems or document is None or node is None:
        raise RecipeError([*problems, *more])
    return document, node


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise RecipeError(problems)


def _named_skus(document: Tables, node: Node) -> Iterator[tuple[str, Node]]:
    """Yield every SKU that a document names, with its place."""
    rows = node.at(("points", "rows"))
    for index, row in enumerate(document.rows):
        yield row.sku, rows.at((index, "sku"))
    for index, sku in enumerate(document.iso.skus if document.iso else ()):
        yield sku, node.at(("iso", "skus", index))
    for sku in document.usd_per_gpu_hour:
        yield sku, node.at(("usd_per_gpu_hour", sku))
    for index, assertion in enumerate(document.assertions):
        checked: str | None = getattr(assertion.check, "sku", None)
        if checked is not None:
            yield checked, node.at(("assertions", index, "check", "sku"))


def _unknown_skus(named: Iterable[tuple[str, Node]], catalogue: Catalogue) -> list[Problem]:
    return [
        place.mark.problem(f"unknown SKU `{sku}`", nearest(sku, catalogue.skus))
        for sku, place in named
        if sku not in catalogue.skus
    ]


def _wrong_widths(document: Tables, node: Node) -> Iterator[Problem]:
    """Yield the iso rows that do not have one cell for each SKU."""
    if document.iso is None:
        return
    width = len(document.iso.skus)
    for index, row in enumerate(document.iso.rows):
        if len(row.total_tok_s_gpu) != width or len(row.usd_per_mtok) not in (0, width):
            what = f"row {row.label} has another number of cells than the {width} SKUs"
            yield node.at(("iso", "rows", index)).mark.problem(what, "null where a cell is unreachable")


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
