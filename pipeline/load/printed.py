"""Published tables from CSV: point tables and iso-interactivity tables, each column with the decimals that it prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Problem, RecipeError
from pipeline.load.tables import Line, decimals, lines
from pipeline.schema.published import PointTable, PublishedIso, PublishedIsoRow, PublishedRow

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
SPEED, COST, RATIO, COST_RATIO = (
    re.compile(pattern) for pattern in (r"(.+)_tok_s_gpu", r"(.+)_usd_per_mtok", r"tput_ratio_(.+)_over_(.+)", r"usd_ratio_(.+)_over_(.+)")
)


def is_iso(text: str) -> bool:
    """Whether a CSV is an iso table: its first column is ``interactivity_label``."""
    return text.removeprefix("\ufeff").lstrip().startswith("interactivity_label")


def points(text: str, *, where: str, sku_id: Callable[[str], str]) -> PointTable:
    """A point table; RecipeError with every wrong row at its line."""
    read = lines(text, where=where, needed=NEEDED)
    present = {name: column for column, name in reversed(POINT_COLUMNS.items()) if column in read[0].cells}
    columns = {column: name for name, column in present.items()}
    digits = {name: max(decimals(line.cells[column]) for line in read) for column, name in columns.items()}
    rows = _each(read, where, lambda line: PublishedRow.model_validate(_point(line, columns, sku_id)))
    return PointTable(decimals=digits, rows=tuple(rows))  # type: ignore[arg-type]  # the names above


def iso(text: str, *, where: str, sku_id: Callable[[str], str]) -> PublishedIso:
    """An iso table with columns ``SKU_tok_s_gpu``, ``SKU_usd_per_mtok``, ``tput_ratio_B_over_A``, ``usd_ratio_A_over_B``."""
    read = lines(text, where=where, needed=("interactivity_label",))
    header = list(read[0].cells)
    speeds = [name for name in header if SPEED.fullmatch(name)]
    if not speeds:
        raise RecipeError([Problem(where, 1, 1, "no column of tok/s/GPU", "name one a SKU: gb200_tok_s_gpu, …")])
    named = [name.removesuffix("_tok_s_gpu") for name in speeds]
    columns = {
        "total_tok_s_gpu": speeds,
        "usd_per_mtok": [name for name in (f"{sku}_usd_per_mtok" for sku in named) if name in header],
        "throughput_ratio": [name for name in header if RATIO.fullmatch(name)][:1],
        "cost_ratio": [name for name in header if COST_RATIO.fullmatch(name)][:1],
    }
    _check_order(columns, named, where)
    rows = _each(read, where, lambda line: PublishedIsoRow.model_validate(_iso_row(line, columns)))

    def digits(*fields: str) -> int:
        return max((decimals(line.cells[name]) for line in read for field in fields for name in columns[field]), default=0)

    counts = {
        "total_tok_s_gpu": digits("total_tok_s_gpu"),
        "usd_per_mtok": digits("usd_per_mtok"),
        "ratio": digits("throughput_ratio", "cost_ratio"),
    }
    skus = tuple(sku_id(name) for name in named)
    return PublishedIso(axis="interactivity_as_printed", skus=skus, decimals=counts, rows=tuple(rows))  # type: ignore[arg-type]  # as above


def _check_order(columns: dict[str, list[str]], named: list[str], where: str) -> None:
    """Ratios are last over first SKU, costs first over last; another order would be read as wrong."""
    wanted = {"throughput_ratio": f"tput_ratio_{named[-1]}_over_{named[0]}", "cost_ratio": f"usd_ratio_{named[0]}_over_{named[-1]}"}
    wrong = [(columns[field][0], name) for field, name in wanted.items() if columns[field] and columns[field][0] != name]
    if wrong:
        raise RecipeError([Problem(where, 1, 1, f"column `{found}`", f"with these SKU columns it is {name}") for found, name in wrong])


def _each(read: Sequence[Line], where: str, row: Callable[[Line], Any]) -> list[Any]:
    rows, problems = [], []
    for line in read:
        try:
            rows.append(row(line))
        except ValidationError as error:
            for finding in error.errors():
                place = ".".join(map(str, finding["loc"]))
                problems.append(Problem(where, line.number, 1, f"`{place}`: {finding['msg'].lower()}", f"given: {finding['input']!r}"))
        except ValueError as error:
            problems.append(Problem(where, line.number, 1, str(error), "a number, or empty where there is none"))
    if problems:
        raise RecipeError(problems)
    return rows


def _point(line: Line, columns: dict[str, str], sku_id: Callable[[str], str]) -> dict[str, Any]:
    cells = line.cells
    row: dict[str, Any] = {"sku": sku_id(cells["sku"])}
    row |= {"conc": int(cells["conc"]), "gpus_prefill": int(cells["prefill_gpus"]), "gpus_decode": int(cells["decode_gpus"])}
    row |= {name: _number(cells[column]) for column, name in columns.items()}
    if cells.get("gpus_held"):
        row["gpus_held"] = int(cells["gpus_held"])
    for role in ("prefill", "decode"):
        if all(cells.get(f"{role}_{field}") for field in SHAPE):
            row[role] = {"pp": 1, **{field: int(cells[f"{role}_{field}"]) for field in SHAPE}}
    return row


def _iso_row(line: Line, columns: dict[str, list[str]]) -> dict[str, Any]:
    many = {field: tuple(_number(line.cells[name]) for name in columns[field]) for field in ("total_tok_s_gpu", "usd_per_mtok")}
    one = {field: _number(line.cells[columns[field][0]]) for field in ("throughput_ratio", "cost_ratio") if columns[field]}
    return {"label": line.cells["interactivity_label"], **many, **one}


def _number(text: str) -> float | None:
    """A cell; empty or the word unreachable is null."""
    return None if text.strip("_ ").lower() in ("", "unreachable") else float(text)
