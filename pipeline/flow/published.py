"""Published studies: from files to documents, and on to what ingest stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import calibrate, store
from pipeline.flow.context import Context, read, recipes_root
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import study, tables
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.history import RunSummary
from pipeline.schema.published import Study


def read_study(path: Path, catalogue: Catalogue) -> Study:
    """Return a study with known SKUs, or raise RecipeError with every problem at its line."""
    return study.study(path, read(path), catalogue)


def given_by(path: Path, catalogue: Catalogue) -> list[calibrate.GivenPoint]:
    """Return the points of a study that can be calibrated against."""
    return calibrate.given_points(read_study(path, catalogue), study.row_lines(path, read(path)))


def ingest(context: Context, paths: Sequence[Path], history: str) -> list[RunSummary]:
    """Store the rows of these studies that are tied to a recipe, as history of origin published."""
    recipe_set = read_recipe_set(replace(context, recipes=recipes_root(context.recipes)))
    folders = []
    for path in paths:
        found = read_study(path, recipe_set.catalogue)
        folders += store.published(found, recipe_set.recipes, where=str(path))
    return store.ingest(history, folders)


def points_of(text: str, *, where: str) -> list[calibrate.GivenPoint]:
    """Return the points of a CSV that ``calibrate`` fits; RecipeError with every problem at its line."""
    lines = tables.lines(text, where=where, needed=calibrate.COLUMNS)
    return calibrate.read_points(((line.number, line.cells) for line in lines), where=where)
