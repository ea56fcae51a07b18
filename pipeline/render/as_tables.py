"""A report's tables as printed, for the linter: every figure passes the formats that the pages use."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.render.text import QUANTITIES
from pipeline.schema.published import (
    Column,
    Lengths,
    PointTable,
    PublishedIso,
    PublishedIsoRow,
    PublishedRow,
    Tables,
)
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import CurvePoint, IsoRow, Report, ReportData


def as_tables(report: Report, data: ReportData) -> Tables:
    """Return point tables and iso table of a report's main curves.

    Interactivity is declared as 1000 / median TPOT.
    """
    recipes = {row.record.job.recipe.id: row.record.job.recipe for row in data.rows}
    kind = report.curves[0].kind if report.curves else None
    points = [
        point
        for curve in report.curves
        if curve.kind == kind
        for point in curve.points
        if point.status == "ok"
    ]
    rows = tuple(_row(point, recipes[point.recipe]) for point in points)
    first = recipes[points[0].recipe] if points else None
    return Tables(
        title=report.definition.title,
        lengths=_lengths(first) if first else None,
        statistics={"interactivity_as_printed": "median", "tpot_p50_ms": "median"},
        usd_per_gpu_hour=_rates(data),
        points=PointTable(decimals=_digits(), rows=rows) if rows else None,
        iso=_iso(report.iso, report.definition.skus),
    )


def _rates(data: ReportData) -> dict[str, float]:
    prices = {sku.id: sku.price(data.definition.price_tier) for sku in data.skus.values()}
    return {sku: price.usd_per_gpu_hour for sku, price in prices.items() if price}


def _lengths(recipe: Recipe) -> Lengths:
    return Lengths(isl=recipe.workload.isl, osl=recipe.workload.osl, mean=(1 + recipe.client.shortest) / 2)


def _digits() -> dict[Column, int]:
    """Return the decimals of the columns of points, taken from the formats."""
    quantities: dict[Column, str] = {
        "total_tok_s_gpu": "tok_s_gpu",
        "interactivity_as_printed": "interactivity",
        "tpot_p50_ms": "ms",
        "usd_per_mtok": "usd_per_mtok",
    }
    return {column: _decimals(quantity) for column, quantity in quantities.items()}


def _decimals(quantity: str) -> int:
    return len(QUANTITIES[quantity](1 / 3).partition(".")[2].rstrip("×% "))


def _row(point: CurvePoint, recipe: Recipe) -> PublishedRow:
    return PublishedRow(
        recipe=point.recipe,
        sku=point.sku,
        conc=point.conc,
        gpus_prefill=recipe.prefill.gpus,
        gpus_decode=point.gpus_counted - recipe.prefill.gpus,
        gpus_held=point.gpus_held,
        prefill=recipe.prefill,
        decode=recipe.decode,
        total_tok_s_gpu=_as_printed(point.total_tok_s_gpu, "tok_s_gpu") or 0.0,
        interactivity_as_printed=_as_printed(point.interactivity, "interactivity"),
        tpot_p50_ms=_as_printed(point.tpot_p50_ms, "ms"),
        usd_per_mtok=_as_printed(point.usd_per_mtok, "usd_per_mtok"),
    )


def _iso(rows: Sequence[IsoRow], skus: tuple[str, ...]) -> PublishedIso | None:
    if not rows:
        return None
    return PublishedIso(
        axis="interactivity",
        skus=skus,
        decimals={
            "total_tok_s_gpu": _decimals("tok_s_gpu_read"),
            "usd_per_mtok": _decimals("usd_per_mtok"),
            "ratio": _decimals("ratio"),
        },
        rows=tuple(_iso_row(row) for row in rows),
    )


def _iso_row(row: IsoRow) -> PublishedIsoRow:
    return PublishedIsoRow(
        label=QUANTITIES["grid"](row.interactivity),
        total_tok_s_gpu=tuple(_as_printed(cell.total_tok_s_gpu, "tok_s_gpu_read") for cell in row.cells),
        usd_per_mtok=tuple(_as_printed(cell.usd_per_mtok, "usd_per_mtok") for cell in row.cells),
        throughput_ratio=_as_printed(row.throughput_ratio, "ratio") if len(row.cells) > 1 else None,
        cost_ratio=_as_printed(row.cost_ratio, "ratio") if len(row.cells) > 1 else None,
    )


def _as_printed(value: float | None, quantity: str) -> float | None:
    """Return the number that a reader sees; None where a word is printed, or a zero."""
    if value is None:
        return None
    return float(QUANTITIES[quantity](value).replace(",", "").rstrip("×% ")) or None
