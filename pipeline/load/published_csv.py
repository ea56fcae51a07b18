"""Published tables from CSV: point tables and iso-interactivity tables, each column with the decimals that it prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Problem, RecipeError
from pipeline.load.conform import nearest
from pipeline.load.tables import Line, decimals, header, lines
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.published import PointTable, PublishedIso, PublishedIsoRow, PublishedRow
from pipeline.schema.recipe import ROLES

POINT_COLUMNS = {  # column of a CSV -> field; of several names of one field the first is read
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
    """Whether a CSV is an iso table: its first column is ``interactivity_label``."""
    return text.removeprefix("\ufeff").lstrip().replace('"', "").startswith(LABEL)


def points(text: str, *, where: str, catalogue: Catalogue) -> PointTable:
    """A point table; RecipeError with every wrong row at its line."""
    read = lines(text, where=where, needed=NEEDED)
    columns = _point_columns(read[0].cells)
    digits = {name: max(decimals(line.cells[column]) for line in read) for column, name in columns.items()}
    unknown = _unknown_skus([(line.number, line.cells["sku"]) for line in read], where, catalogue)
    rows = _each(
        read, where, lambda line: PublishedRow.model_validate(_point(line, columns, catalogue)), unknown
    )
    return PointTable(decimals=digits, rows=tuple(rows))  # type: ignore[arg-type]  # the names above


def _point_columns(header: Iterable[str]) -> dict[str, str]:
    """Column -> field."""
    present = {name: column for column, name in reversed(POINT_COLUMNS.items()) if column in header}
    return {column: name for name, column in present.items()}


def iso(text: str, *, where: str, catalogue: Catalogue) -> PublishedIso:
    """An iso table with columns ``SKU_tok_s_gpu``, ``SKU_usd_per_mtok``, ``tput_ratio_B_over_A``, ``usd_ratio_A_over_B``."""
    read = lines(text, where=where, needed=(LABEL,))
    columns = _iso_columns(list(read[0].cells))
    if not columns.speeds:
        raise RecipeError(
            [Problem(where, 1, 1, "no column of tok/s/GPU", "name one a SKU: gb200_tok_s_gpu, …")]
        )
    _check_order(columns, where)
    unknown = _unknown_skus([(1, name) for name in columns.skus], where, catalogue)
    rows = _each(read, where, lambda line: PublishedIsoRow.model_validate(_iso_row(line, columns)), unknown)

    def digits(names: Iterable[str | None]) -> int:
        return max((decimals(line.cells[name]) for line in read for name in names if name), default=0)

    counts = {
        "total_tok_s_gpu": digits(columns.speeds),
        "usd_per_mtok": digits(columns.costs),
        "ratio": digits((columns.throughput_ratio, columns.cost_ratio)),
    }
    skus = tuple(_sku_id(name, catalogue) for name in columns.skus)
    return PublishedIso(axis="interactivity_as_printed", skus=skus, decimals=counts, rows=tuple(rows))  # type: ignore[arg-type]  # as above


@dataclass(frozen=True, slots=True)
class IsoColumns:
    """Columns of an iso table that are read; ``costs`` has one place a SKU, None where the table does not print it."""

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
    """Columns of either table that no rule reads, so that nobody takes silence for a check."""
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
    """What no SKU is called could be held against no price, so it is a problem, as it is in a study."""
    names = {name.lower() for sku in catalogue.skus.values() for name in (sku.id, *sku.aliases)}
    unknown = [(number, name) for number, name in named if catalogue.sku(name) is None]
    return [
        Problem(where, number, 1, f"unknown SKU `{name}`", nearest(name.lower(), names))
        for number, name in unknown
    ]


def _sku_id(name: str, catalogue: Catalogue) -> str:
    known = catalogue.sku(name)
    return known.id if known else name


def _check_order(columns: IsoColumns, where: str) -> None:
    """Ratios are last over first SKU, costs first over last; another order would be read as wrong."""
    first, last = columns.skus[0], columns.skus[-1]
    wanted = (
        (columns.throughput_ratio, f"tput_ratio_{last}_over_{first}"),
        (columns.cost_ratio, f"usd_ratio_{first}_over_{last}"),
    )
    wrong = [(found, name) for found, name in wanted if found and found != name]
    if wrong:
        raise RecipeError(
            [
                Problem(where, 1, 1, f"column `{found}`", f"with these SKU columns it is {name}")
                for found, name in wrong
            ]
        )


def _each(read: Sequence[Line], where: str, row: Callable[[Line], Any], problems: list[Problem]) -> list[Any]:
    """Every row, or RecipeError with the ``problems`` so far and those of all rows."""
    rows = []
    for line in read:
        try:
            rows.append(row(line))
        except ValidationError as error:
            for finding in error.errors():
                place = ".".join(map(str, finding["loc"]))
                problems.append(
                    Problem(
                        where,
                        line.number,
                        1,
                        f"`{place}`: {finding['msg'].lower()}",
                        f"given: {finding['input']!r}",
                    )
                )
        except ValueError as error:
            problems.append(
                Problem(where, line.number, 1, str(error), "a number, or empty where there is none")
            )
    if problems:
        raise RecipeError(sorted(problems, key=lambda one: one.line))
    return rows


def _point(line: Line, columns: dict[str, str], catalogue: Catalogue) -> dict[str, Any]:
    cells = line.cells
    row: dict[str, Any] = {"sku": _sku_id(cells["sku"], catalogue)}
    row |= {
        "conc": int(cells["conc"]),
        "gpus_prefill": int(cells["prefill_gpus"]),
        "gpus_decode": int(cells["decode_gpus"]),
    }
    row |= {name: _number(cells[column]) for column, name in columns.items()}
    if cells.get("gpus_held"):
        row["gpus_held"] = int(cells["gpus_held"])
    for role in ROLES:
        if all(cells.get(f"{role}_{field}") for field in SHAPE):
            row[role] = {"pp": 1, **{field: int(cells[f"{role}_{field}"]) for field in SHAPE}}
    return row


def _iso_row(line: Line, columns: IsoColumns) -> dict[str, Any]:
    many = {"total_tok_s_gpu": columns.speeds, "usd_per_mtok": columns.costs}
    one = {"throughput_ratio": columns.throughput_ratio, "cost_ratio": columns.cost_ratio}
    row: dict[str, Any] = {
        field: tuple(_number(line.cells[name]) if name else None for name in names)
        for field, names in many.items()
    }
    return {
        "label": line.cells[LABEL],
        **row,
        **{field: _number(line.cells[name]) for field, name in one.items() if name},
    }


def _number(text: str) -> float | None:
    """A cell; empty or the word unreachable is null."""
    return None if text.strip("_ ").lower() in ("", "unreachable") else float(text)
