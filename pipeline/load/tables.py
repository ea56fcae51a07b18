"""Tables of figures from CSV, every wrong cell at its line. A cell keeps how many decimals it prints: that is how far it may be off."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import Problem, RecipeError
from pipeline.load.conform import nearest


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a CSV by its header; ``number`` counts from 1 and the header is line 1."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvPoint:
    """One point of a curve: where it stands in the file, whose it is, both coordinates."""

    line: int
    sku: str
    x: float
    y: float


def lines(text: str, *, where: str, needed: Sequence[str]) -> list[Line]:
    """Every row, or RecipeError: an absent or doubled column, a row of another length, no rows."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        rows = [
            (reader.line_num, [cell.strip() for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise RecipeError([Problem(where, reader.line_num, 1, f"not CSV: {error}")]) from error
    if not rows:
        raise RecipeError([Problem(where, 1, 1, "an empty file", f"needed columns: {', '.join(needed)}")])
    (_, header), body = rows[0], rows[1:]
    problems = [
        Problem(where, 1, 1, f"no column `{name}`", nearest(name, header, what="columns here"))
        for name in needed
        if name not in header
    ]
    problems += [
        Problem(where, 1, 1, f"two columns `{name}`", "keep one")
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    problems += [
        Problem(
            where,
            number,
            1,
            f"{len(row)} cells, the header has {len(header)}",
            "a missing or an unquoted comma",
        )
        for number, row in body
        if len(row) != len(header)
    ]
    if not body and not problems:
        problems = [Problem(where, 1, 1, "no rows below the header")]
    if problems:
        raise RecipeError(problems)
    return [Line(number, dict(zip(header, row, strict=True))) for number, row in body]


def header(text: str) -> list[str]:
    """The names of the columns; none of an empty file."""
    return [cell.strip() for cell in next(csv.reader(io.StringIO(text.removeprefix("\ufeff"))), [])]


def csv_points(text: str, *, where: str, x: str, y: str) -> list[CsvPoint]:
    """Points (``sku``, x, y) of a CSV: finite numbers, x above zero, y not below it; rows of one origin only."""
    read = lines(text, where=where, needed=list(dict.fromkeys(("sku", x, y))))
    problems: list[Problem] = []
    found = []
    for line in read:
        values = [_number(line, column, where, problems) for column in (x, y)]
        if not line.cells["sku"]:
            problems.append(Problem(where, line.number, 1, "`sku` is empty", "whose point is it?"))
        if values[0] is not None and values[0] <= 0:
            problems.append(Problem(where, line.number, 1, f"`{x}` is {line.cells[x]}", "above zero"))
        if values[1] is not None and values[1] < 0:
            problems.append(Problem(where, line.number, 1, f"`{y}` is {line.cells[y]}", "not below zero"))
        found.append(CsvPoint(line.number, line.cells["sku"], values[0] or 0.0, values[1] or 0.0))
    origins = sorted({line.cells.get("origin", "") for line in read})
    if len(origins) > 1:
        problems.append(
            Problem(
                where,
                1,
                1,
                f"rows of several origins: {', '.join(origins)}",
                "they never share a frontier; keep one",
            )
        )
    if problems:
        raise RecipeError(problems)
    return found


def decimals(text: str) -> int:
    """Digits after the point as printed.

    >>> decimals("0.20"), decimals("8835")
    (2, 0)
    """
    return len(text.partition(".")[2])


def _number(line: Line, column: str, where: str, problems: list[Problem]) -> float | None:
    text = line.cells[column]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    what = f"`{column}` is empty" if not text else f"`{column}` is {text!r}"
    problems.append(
        Problem(where, line.number, 1, what, "a finite number; leave the row out when there is none")
    )
    return None
