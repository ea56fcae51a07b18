"""Published studies: from YAML to the document, and on to what ingest stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pipeline import load, store
from pipeline.calibrate import GivenPoint
from pipeline.errors import ArtifactError, Problem, RecipeError
from pipeline.flow.context import Context, read, recipes_root
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import Node, RecipeSet, nearest, published_csv
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.history import RunSummary
from pipeline.schema.published import Study, Tables
from pipeline.schema.result import ResultFolder

T = TypeVar("T", bound=Tables)


def read_study(path: Path, catalogue: Catalogue) -> Study:
    """A study with known SKUs, or RecipeError with every problem at its line."""
    study = _conformed(path, Study, catalogue)
    if study.schema_version != 1:
        raise ArtifactError(f"Study schema version 1 expected, found {study.schema_version}", where=str(path))
    return study


def _conformed(path: Path, model: type[T], catalogue: Catalogue) -> T:
    node, problems = load.compose(path.as_posix(), read(path))
    document, more = load.conform(model, node, {}) if node else (None, [])
    if problems or document is None or node is None:
        raise RecipeError([*problems, *more])
    found = list(_inconsistent(document, node, catalogue))
    if found:
        raise RecipeError(found)
    return document


def read_tables(path: Path, catalogue: Catalogue, tier: str) -> Tables:
    """A study, the tables and claims of one (YAML without a ``run_id``), or a CSV of points or of an iso table.

    A CSV is held against the catalogue's prices of a tier.
    """
    if not is_csv(path):
        node, _ = load.compose(path.as_posix(), read(path))
        is_study = node is not None and isinstance(node.value, dict) and "run_id" in node.value
        return read_study(path, catalogue) if is_study else _conformed(path, Tables, catalogue)
    text, where = _text(path), str(path)
    prices = {sku.id: price.usd_per_gpu_hour for sku in catalogue.skus.values() if (price := sku.price(tier))}
    if published_csv.is_iso(text):
        return Tables(
            title=path.name,
            usd_per_gpu_hour=prices,
            iso=published_csv.iso(text, where=where, catalogue=catalogue),
        )
    return Tables(
        title=path.name,
        usd_per_gpu_hour=prices,
        points=published_csv.points(text, where=where, catalogue=catalogue),
    )


def unread_columns(path: Path) -> tuple[str, ...]:
    """Columns of a CSV that no rule reads; of a document none, since there an unknown key is refused."""
    return published_csv.unread(_text(path)) if is_csv(path) else ()


def is_csv(path: Path) -> bool:
    """By the name of the file."""
    return path.suffix.lower() == ".csv"


def _text(path: Path) -> str:
    return read(path).decode("utf-8", errors="replace")


def given_by(path: Path, catalogue: Catalogue) -> list[GivenPoint]:
    """Points to calibrate against: the rows of a study that say their workers and their TPOT."""
    lines = _lines(path)
    return [
        GivenPoint(line, row.sku, row.conc, row.prefill, row.decode, row.total_tok_s_gpu, row.tpot_p50_ms)
        for line, row in zip(lines, read_study(path, catalogue).rows, strict=True)
        if row.prefill and row.decode and row.tpot_p50_ms
    ]


def _lines(path: Path) -> list[int]:
    """The line of each row of a study's point table."""
    node, _ = load.compose(path.as_posix(), read(path))
    rows = node.at(("points", "rows")).value if node else None
    return [row.mark.line for row in rows] if isinstance(rows, list) else []


def ingest(context: Context, paths: Sequence[Path], history: str) -> list[RunSummary]:
    """The rows of these studies that are tied to a recipe, as history of origin published."""
    recipe_set = read_recipe_set(replace(context, recipes=recipes_root(context.recipes)))
    return store.ingest(history, _result_folders(paths, recipe_set))


def _result_folders(paths: Iterable[Path], recipe_set: RecipeSet) -> list[ResultFolder]:
    return [
        result_folder
        for path in paths
        for result_folder in store.published(
            read_study(path, recipe_set.catalogue), recipe_set.recipes, where=str(path)
        )
    ]


def _inconsistent(study: Tables, node: Node, catalogue: Catalogue) -> Iterator[Problem]:
    """What the schema cannot say: unknown SKUs, lists that do not go with the columns, rates that are missing."""
    rows = node.at(("points", "rows"))
    named = [(row.sku, rows.at((index, "sku"))) for index, row in enumerate(study.rows)]
    if study.iso is not None:
        named += [(sku, node.at(("iso", "skus", index))) for index, sku in enumerate(study.iso.skus)]
    named += [(sku, node.at(("usd_per_gpu_hour", sku))) for sku in study.usd_per_gpu_hour]
    for index, assertion in enumerate(study.assertions):
        if (sku := getattr(assertion.check, "sku", None)) is not None:
            named.append((sku, node.at(("assertions", index, "check", "sku"))))
    for sku, place in named:
        if sku not in catalogue.skus:
            yield place.mark.problem(f"unknown SKU `{sku}`", nearest(sku, catalogue.skus))
    if study.iso is None:
        return
    for index, row in enumerate(study.iso.rows):
        mark = node.at(("iso", "rows", index)).mark
        width = len(study.iso.skus)
        if len(row.total_tok_s_gpu) != width or len(row.usd_per_mtok) not in (0, width):
            yield mark.problem(
                f"row {row.label} has another number of cells than the {width} SKUs",
                "null where a cell is unreachable",
            )
