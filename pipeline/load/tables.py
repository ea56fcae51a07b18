"""Tables of figures from CSV: every wrong cell is a problem at its line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import Problem, RecipeError
from pipeline.load import limits
from pipeline.load.conform import nearest
from pipeline.plaintext import one_line
from pipeline.schema import numbers

MAX_COLUMNS = 1_000
VALID = "ok"
KEPT_APART = (  # columns whose values never share a frontier
    "origin",
    "measure",
    "requests_per_conc",
    "time_scale",
    "model",
    "llm",
    "precision",
    "workload",
    "isl",
    "osl",
)
MAX_CHARACTERS = 16 << 20
QUOTES = "check for a missing comma, or a comma or quote within a cell that is not quoted"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a CSV by its header; ``number`` is its line, counted from 1."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvPoint:
    """One point of a curve: its line in the file, its SKU, both coordinates."""

    line: int
    sku: str
    x: float
    y: float


def lines(text: str, *, where: str, needed: Sequence[str]) -> list[Line]:
    """Return every row; RecipeError for missing or duplicate columns, rows of another length, or no rows."""
    if len(text) > MAX_CHARACTERS:
        what = f"the table has {len(text)} characters, more than {MAX_CHARACTERS >> 20} Mi"
        raise RecipeError([Problem(where, 1, 1, what, "split it")])
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        rows = [
            (reader.line_num, [cell.strip() for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise RecipeError(
            [Problem(where, reader.line_num, 1, f"the file is not valid CSV: {error}", QUOTES)]
        ) from error
    if not rows:
        raise RecipeError([Problem(where, 1, 1, "the file is empty", f"needed columns: {', '.join(needed)}")])
    (_, header), body = rows[0], rows[1:]
    if len(header) > MAX_COLUMNS:
        what = f"the header has {len(header)} columns, more than {MAX_COLUMNS}"
        raise RecipeError([Problem(where, 1, 1, what, "keep the columns that are read")])
    problems = [
        Problem(where, 1, 1, f"no column `{name}`", nearest(name, header, what="columns here"))
        for name in needed
        if name not in header
    ]
    problems += [
        Problem(where, 1, 1, f"duplicate column `{name}`", "keep one")
        for name, count in Counter(header).items()
        if count > 1
    ]
    problems += [
        Problem(where, number, 1, f"the row has {len(row)} cells, the header has {len(header)}", QUOTES)
        for number, row in body
        if len(row) != len(header)
    ]
    if not body and not problems:
        problems = [Problem(where, 1, 1, "no rows below the header", "add one row per point")]
    if problems:
        raise RecipeError(limits.cut(problems))
    return [Line(number, dict(zip(header, row, strict=True))) for number, row in body]


def header(text: str) -> list[str]:
    """Return the names of the columns; none for an empty file."""
    return [cell.strip() for cell in next(csv.reader(io.StringIO(text.removeprefix("\ufeff"))), [])]


def csv_points(text: str, *, where: str, x: str, y: str) -> list[CsvPoint]:
    """Return the points (``sku``, x, y) of a CSV; RecipeError with every problem.

    Coordinates are finite, x is positive, y is not negative, no row is of an invalid point, and all rows have the
    same origin, measure, requests per concurrency, LLM and workload, as far as there are such columns.
    """
    rows = lines(text, where=where, needed=list(dict.fromkeys(("sku", x, y))))
    problems: list[Problem] = []
    points = []
    for line in rows:
        values = [_number(line, column, where, problems) for column in (x, y)]
        if not line.cells["sku"]:
            problems.append(Problem(where, line.number, 1, "`sku` is empty", "name the SKU of the point"))
        if values[0] is not None and values[0] <= 0:
            problems.append(
                Problem(where, line.number, 1, f"`{x}` is {line.cells[x]}", "it must be above zero")
            )
        if values[1] is not None and values[1] < 0:
            problems.append(
                Problem(where, line.number, 1, f"`{y}` is {line.cells[y]}", "it must not be below zero")
            )
        points.append(CsvPoint(line.number, line.cells["sku"], values[0] or 0.0, values[1] or 0.0))
    for column in (name for name in KEPT_APART if name in rows[0].cells):
        found = sorted({line.cells[column] for line in rows})
        if len(found) > 1:
            shown = one_line(", ".join(value or "(empty)" for value in found), 120)
            kinds = "origins" if column == "origin" else f"values of `{column}`"
            what = f"rows of several {kinds}: {shown}"
            problems.append(Problem(where, 1, 1, what, "keep one; they never share a frontier"))
    problems += [
        Problem(where, line.number, 1, f"`status` is {one_line(line.cells['status'], 40)}", "remove the row")
        for line in rows
        if line.cells.get("status", VALID) != VALID
    ]
    if problems:
        raise RecipeError(limits.cut(problems))
    return points


def decimals(text: str) -> int:
    """Return how many digits after the decimal point a figure is printed with.

    >>> decimals("0.20"), decimals("8835")
    (2, 0)
    """
    return len(text.partition(".")[2])


def _number(line: Line, column: str, where: str, problems: list[Problem]) -> float | None:
    text = line.cells[column]
    value = numbers.figure(text)
    if value is not None:
        return value
    what = f"`{column}` is empty" if not text else f"`{column}` is {one_line(text, 40)!r}"
    problems.append(Problem(where, line.number, 1, what, "give a finite number, or remove the row"))
    return None
