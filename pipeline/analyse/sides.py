"""Two sides compared: SKUs, runs, recipes or images, with the tables of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.analyse.changes import compare, differing
from pipeline.analyse.curves import Frontier, curve_of, family_key, iso_row
from pipeline.analyse.peak import CurvePair, peak
from pipeline.analyse.specs import specs
from pipeline.schema.catalogue import Sku
from pipeline.schema.compare import CompareNote, PairedCurves, SideBySide
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe

Kind = Literal["SKUs", "runs", "recipes", "images"]
Group = tuple[str, str]  # family key, and the SKU where a side may hold several


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison: its rows, and its SKU or recipe where the side is one."""

    name: str
    rows: tuple[HistoryRow, ...]
    sku: Sku | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How both sides are read: interactivities, price tier, gap of directional readings, relevant change."""

    at: tuple[float, ...]
    tier: str
    gap: float
    relevant_change: float


def side_by_side(
    kind: Kind, sides: tuple[ComparedSide, ComparedSide], skus: dict[str, Sku], reading: ReadingOptions
) -> SideBySide:
    """Return both sides with everything that can be compared; ``notes`` lists what cannot."""
    paired = tuple(_paired(kind, sides, skus, reading))
    a, b = sides
    changes = (
        compare(b.rows, a.rows, planned=(), relevant_change=reading.relevant_change)
        if kind in ("runs", "images")
        else ()
    )
    return SideBySide(
        kind=kind,
        names=(a.name, b.name),
        specs=specs((a.sku, b.sku), reading.tier) if a.sku and b.sku else (),
        price_tier=reading.tier,
        together=paired,
        changes=changes,
        differs=differing(a.recipe.measured_fields, b.recipe.measured_fields)
        if a.recipe and b.recipe
        else (),
        gap=reading.gap,
        notes=tuple(_notes(sides, paired)),
    )


def newest(rows: Iterable[HistoryRow]) -> tuple[HistoryRow, ...]:
    """Return the newest run of each recipe and family that has a valid point, else the newest with any point.

    Rows are ordered by time.
    """
    by_series: defaultdict[tuple[str, str], dict[tuple[str, int], list[HistoryRow]]] = defaultdict(dict)
    for row in rows:
        by_series[row.record.job.recipe.id, family_key(row.record)].setdefault(row.run, []).append(row)
    chosen: list[HistoryRow] = []
    for runs in by_series.values():
        ran = [run for run in runs.values() if any(row.point for row in run)]
        good = [run for run in ran if any(row.point and row.point.status == "ok" for row in run)]
        chosen += (good or ran or [[]])[-1]
    return tuple(chosen)


def _paired(
    kind: Kind, sides: tuple[ComparedSide, ComparedSide], skus: dict[str, Sku], reading: ReadingOptions
) -> Iterable[PairedCurves]:
    """Yield the curves of each family, and within it of each SKU where a side has several."""
    grouped = [_grouped(side.rows, by_sku=kind in ("runs", "images")) for side in sides]
    for group in dict.fromkeys(key for groups in grouped for key in groups):
        found = [groups.get(group, []) for groups in grouped]
        owners = [skus.get(own[0].record.job.recipe.sku) if own else None for own in found]
        curves = [
            curve_of(own, sku, reading.tier) if sku else None for own, sku in zip(found, owners, strict=True)
        ]
        prices = [
            price.usd_per_gpu_hour if sku and (price := sku.price(reading.tier)) else None for sku in owners
        ]
        frontiers = [Frontier.of(curve) if curve else None for curve in curves]
        columns = list(zip(frontiers, prices, strict=True))
        known = [curve for curve in curves if curve]
        if not known:
            continue
        rows = [iso_row(columns, t, reading.gap, "derived") for t in reading.at]
        pair = (
            CurvePair(frontiers[0].knots, frontiers[1].knots, *prices)
            if frontiers[0] and frontiers[1]
            else None
        )
        yield PairedCurves(
            kind=known[0].kind,
            about=known[0].title if group[1] else "",
            curves=(curves[0], curves[1]),
            iso=tuple(row for row in rows if any(cell.total_tok_s_gpu is not None for cell in row.cells)),
            throughput_peak=peak(pair, reading.at, "total_tok_s_gpu") if pair else None,
            cost_peak=peak(pair, reading.at, "usd_per_mtok") if pair else None,
        )


def _grouped(rows: Sequence[HistoryRow], *, by_sku: bool) -> dict[Group, list[HistoryRow]]:
    groups: dict[Group, list[HistoryRow]] = {}
    for row in rows:
        if row.point is not None:
            key = family_key(row.record), row.record.job.recipe.sku if by_sku else ""
            groups.setdefault(key, []).append(row)
    return groups


def _notes(sides: tuple[ComparedSide, ComparedSide], paired: Sequence[PairedCurves]) -> Iterable[CompareNote]:
    for side in sides:
        if not any(row.point for row in side.rows):
            yield CompareNote(kind="no points", side=side.name)
    if paired and all(None in one.curves for one in paired) and all(side.rows for side in sides):
        yield CompareNote(kind="no common kind")
