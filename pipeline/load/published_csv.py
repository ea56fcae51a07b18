"""Published tables from CSV: point tables and iso-interactivity tables, with the decimals of each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from pipeline.errors import Problem, RecipeError
from pipeline.load import limits
from pipeline.load.conform import nearest
from pipeline.load.tables import Line, decimals, header
from pipeline.load.tables import lines as rows_of
from pipeline.plaintext import one_line
from pipeline.schema import numbers
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.published import PointTable, PublishedIso, PublishedIsoRow, PublishedRow
from pipeline.schema.recipe import ROLES

POINT_COLUMNS = {  # column of a CSV -> field; of several columns of one field, the first counts
    "total_tok_s_gpu": "total_tok_s_gpu",
    "interactivity_as_printed": "interactivity_as_printed",
    "interactivity": "interactivity_as_printed",
    "tpot_ms": "tpot_p50_ms",
    "tpot_p50_ms": "tpot_p50_ms",
    "usd_per_mtok_printed": "usd_per_mtok",
    "usd_per_mtok": "usd_per_mtok",
}
SHAPE = ("workers", "tp", "dp", "ep")
NEEDED = ("sku", "conc", "prefill_gpus", "decode_gpus", "total_tok_s_gpu")
LABEL = "interactivity_label"
SPEED, COST, RATIO, COST_RATIO = (
    re.compile(pattern)
    for pattern in (
        r"(.+?)(?:_total)?_tok_s_gpu",
        r"(.+?)(?:_total)?_usd_per_mtok",
        r"tput_ratio_(.+)_over_(.+)",
        r"usd_ratio_(.+)_over_(.+)",
    )
)


def is_iso(text: str) -> bool:
    """Return whether a CSV is an iso table: its first column is ``interactivity_label``."""
    return text.removeprefix("\ufeff").lstrip().replace('"', "").startswith(LABEL)


def points(text: str, *, where: str, catalogue: Catalogue) -> PointTable:
    """Return a point table; RecipeError with every wrong row at its line."""
    lines = rows_of(text, where=where, needed=NEEDED)
    columns = _point_columns(lines[0].cells)
    digits = {name: max(decimals(line.cells[column]) for line in lines) for column, name in columns.items()}
    unknown = _unknown_skus([(line.number, line.cells["sku"]) for line in lines], where, catalogue)
    rows = _each(
        lines, where, lambda line: PublishedRow.model_validate(_point(line, columns, catalogue)), unknown
    )
    return PointTable(decimals=digits, rows=tuple(rows))  # type: ignore[arg-type]  # the names above


def _point_columns(header: Iterable[str]) -> dict[str, str]:
    """Column -> field."""
    present = {name: column for column, name in reversed(POINT_COLUMNS.items()) if column in header}
    return {column: name for name, column in present.items()}


def iso(text: str, *, where: str, catalogue: Catalogue) -> PublishedIso:
    """Return an iso table; RecipeError with every problem.

    Columns: ``SKU_tok_s_gpu``, ``SKU_usd_per_mtok``, ``tput_ratio_B_over_A``, ``usd_ratio_A_over_B``.
    """
    lines = rows_of(text, where=where, needed=(LABEL,))
    columns = _iso_columns(list(lines[0].cells))
    if not columns.speeds:
        hint = "add one per SKU, for example gb200_tok_s_gpu"
        raise RecipeError([Problem(where, 1, 1, "no column of tok/s/GPU", hint)])
    _check_order(columns, where)
    unknown = _unknown_skus([(1, name) for name in columns.skus], where, catalogue)
    rows = _each(lines, where, lambda line: PublishedIsoRow.model_validate(_iso_row(line, columns)), unknown)

    def digits(names: Iterable[str | None]) -> int:
        return max((decimals(line.cells[name]) for line in lines for name in names if name), default=0)

    counts = {
        "total_tok_s_gpu": digits(columns.speeds),
        "usd_per_mtok": digits(columns.costs),
        "ratio": digits((columns.throughput_ratio, columns.cost_ratio)),
    }
    skus = tuple(_sku_id(name, catalogue) for name in columns.skus)
    axis: Literal["interactivity_as_printed"] = "interactivity_as_printed"
    return PublishedIso(axis=axis, skus=skus, decimals=counts, rows=tuple(rows))  # type: ignore[arg-type]  # as above


@dataclass(frozen=True, slots=True)
class IsoColumns:
    """Columns of an iso table that are read; ``costs`` has one entry per SKU, None without such a column."""

    skus: tuple[str, ...]
    speeds: tuple[str, ...]
    costs: tuple[str | None, ...]
    throughput_ratio: str | None
    cost_ratio: str | None


def _iso_columns(header: Sequence[str]) -> IsoColumns:
    speeds = {found[1]: name for name in header if (found := SPEED.fullmatch(name))}
    costs = {found[1]: name for name in header if (found := COST.fullmatch(name))}
    return IsoColumns(
        skus=tuple(speeds),
        speeds=tuple(speeds.values()),
        costs=tuple(costs.get(sku) for sku in speeds) if speeds.keys() & costs.keys() else (),
        throughput_ratio=next(filter(RATIO.fullmatch, header), None),
        cost_ratio=next(filter(COST_RATIO.fullmatch, header), None),
    )


def unread(text: str) -> tuple[str, ...]:
    """Return the columns of either table that no rule reads: they are not checked."""
    names = header(text)
    if is_iso(text):
        columns = _iso_columns(names)
        known = {LABEL, *columns.speeds, *columns.costs, columns.throughput_ratio, columns.cost_ratio}
    else:
        known = {
            *NEEDED,
            "gpus_held",
            *_point_columns(names),
            *(f"{role}_{field}" for role in ROLES for field in SHAPE),
        }
    return tuple(name for name in names if name not in known)


def _unknown_skus(named: Iterable[tuple[int, str]], where: str, catalogue: Catalogue) -> list[Problem]:
    """Return a problem for each name that is no id or alias of a SKU: it has no price."""
    names = {name.lower() for sku in catalogue.skus.values() for name in (sku.id, *sku.aliases)}
    unknown = [(number, name) for number, name in named if catalogue.sku(name) is None]
    return [
        Problem(where, number, 1, f"unknown SKU `{one_line(name, 60)}`", nearest(name.lower(), names))
        for number, name in unknown
    ]


def _sku_id(name: str, catalogue: Catalogue) -> str:
    known = catalogue.sku(name)
    return known.id if known else name


def _check_order(columns: IsoColumns, where: str) -> None:
    """Check that throughput ratios are last over first SKU, and cost ratios first over last."""
    first, last = columns.skus[0], columns.skus[-1]
    wanted = (
        (columns.throughput_ratio, f"tput_ratio_{last}_over_{first}"),
        (columns.cost_ratio, f"usd_ratio_{first}_over_{last}"),
    )
    problems = [
        Problem(
            where,
            1,
            1,
            f"column `{found}` does not match the order of the SKU columns",
            f"expected {name}: reorder the SKU columns, or invert the ratio",
        )
        for found, name in wanted
        if found and found != name
    ]
    if problems:
        raise RecipeError(problems)


def _each(
    lines: Sequence[Line], where: str, row: Callable[[Line], Any], problems: list[Problem]
) -> list[Any]:
    """Return every row, or RecipeError with ``problems`` and those of all rows."""
    rows = []
    for line in lines:
        try:
            rows.append(row(line))
        except ValidationError as error:
            for finding in error.errors():
                place = ".".join(map(str, finding["loc"]))
                what = f"`{place}`: {finding['msg'].lower()}"
                problems.append(
                    Problem(where, line.number, 1, what, f"given: {one_line(repr(finding['input']), 60)}")
                )
        except _CellError as error:
            problems.append(Problem(where, line.number, 1, str(error), error.hint))
    if problems:
        raise RecipeError(limits.cut(problems))
    return rows


def _point(line: Line, columns: dict[str, str], catalogue: Catalogue) -> dict[str, Any]:
    cells = line.cells
    row: dict[str, Any] = {"sku": _sku_id(cells["sku"], catalogue)}
    row |= {
        "conc": _integer(line, "conc"),
        "gpus_prefill": _integer(line, "prefill_gpus"),
        "gpus_decode": _integer(line, "decode_gpus"),
    }
    row |= {name: _number(line, column) for column, name in columns.items()}
    if cells.get("gpus_held"):
        row["gpus_held"] = _integer(line, "gpus_held")
    for role in ROLES:
        if all(cells.get(f"{role}_{field}") for field in SHAPE):
            row[role] = {"pp": 1, **{field: _integer(line, f"{role}_{field}") for field in SHAPE}}
    return row


def _iso_row(line: Line, columns: IsoColumns) -> dict[str, Any]:
    many = {"total_tok_s_gpu": columns.speeds, "usd_per_mtok": columns.costs}
    one = {"throughput_ratio": columns.throughput_ratio, "cost_ratio": columns.cost_ratio}
    row: dict[str, Any] = {
        field: tuple(_number(line, name) if name else None for name in names) for field, names in many.items()
    }
    return {
        "label": line.cells[LABEL],
        **row,
        **{field: _number(line, name) for field, name in one.items() if name},
    }


class _CellError(ValueError):
    """A cell that is not a number; ``hint`` says what it may be."""

    def __init__(self, line: Line, column: str, hint: str) -> None:
        self.hint = hint
        super().__init__(f"`{column}` is {one_line(line.cells[column], 40)!r}")


def _integer(line: Line, column: str) -> int:
    value = numbers.count(line.cells[column])
    if value is None:
        raise _CellError(line, column, "give an integer")
    return value


def _number(line: Line, column: str) -> float | None:
    """Return the number in a cell; None where it is empty or the word unreachable."""
    text = line.cells[column]
    if text.strip("_ ").lower() in ("", "unreachable"):
        return None
    value = numbers.figure(text)
    if value is None:
        raise _CellError(line, column, "give a number, or leave the cell empty")
    return value
