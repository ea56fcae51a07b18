"""Curves from rows, and their readings at equal interactivity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Self

from pipeline.analyse.cost import ratio, usd_per_mtok, usd_per_mtok_held
from pipeline.analyse.frontier import frontier
from pipeline.analyse.iso import Knots, bracket, read_at
from pipeline.schema.base import digest
from pipeline.schema.catalogue import Sku
from pipeline.schema.claims import CostMode
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.history import HistoryRow
from pipeline.schema.published import StatedPoint
from pipeline.schema.report import Curve, CurvePoint, Definition, IsoCell, IsoRow
from pipeline.schema.result import JobRecord, Point

UNREACHABLE: Final = IsoCell(total_tok_s_gpu=None, usd_per_mtok=None, ttft_p50_ms=None, shape=None)


@dataclass(frozen=True, slots=True)
class Frontier:
    """Knots of one curve with their points."""

    knots: Knots
    points: tuple[CurvePoint, ...]

    @classmethod
    def of(cls, curve: Curve) -> Self:
        """Return the frontier of a curve."""
        knots = curve.knots
        return cls(
            Knots(
                tuple(one.interactivity or 0.0 for one in knots), tuple(one.total_tok_s_gpu for one in knots)
            ),
            knots,
        )

    def cell(self, at: float, usd_per_gpu_hour: float | None, gap: float, cost: CostMode) -> IsoCell:
        """Return throughput, cost and TTFT at an interactivity.

        Directional between knots over ``gap`` apart.
        """
        around = bracket(self.knots.x, at)
        if around is None:
            return UNREACHABLE
        left, right = (self.knots.x[index] for index in around)
        nearest = self.points[around[0] if at - left <= right - at else around[1]]
        return IsoCell(
            total_tok_s_gpu=self.knots.read([at])[0],
            usd_per_mtok=self.knots.cost([at], usd_per_gpu_hour, cost)[0],
            ttft_p50_ms=self.read(at, lambda point: point.ttft_p50_ms),
            shape=f"{nearest.shape} c{nearest.conc}",
            directional=right - left > gap,
        )

    def read(self, at: float, metric: Callable[[CurvePoint], float | None]) -> float | None:
        """Return another metric read on the knots of the frontier; None where a knot lacks it."""
        values = [metric(point) for point in self.points]
        known = [value for value in values if value is not None]
        return read_at(self.knots.x, known, at) if len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class Family:
    """Curves that may be compared, one per SKU: same LLM, workload, engine, client settings, origin, measure."""

    kind: CurveKind
    curves: tuple[Curve, ...]
    is_reduced: bool = False

    @property
    def points(self) -> int:
        """Number of valid points in all curves."""
        return sum(point.status == "ok" for curve in self.curves for point in curve.points)


def families(
    rows: Iterable[HistoryRow], *, skus: dict[str, Sku], definition: Definition
) -> tuple[Family, ...]:
    """Return rows with points as curves of the definition's SKUs at its prices, the largest family first."""
    order, tier = definition.skus, definition.price_tier
    grouped: dict[str, dict[str, list[HistoryRow]]] = {}
    for row in rows:
        if row.point is not None and row.record.job.recipe.sku in order:
            grouped.setdefault(family_key(row.record), {}).setdefault(row.record.job.recipe.sku, []).append(
                row
            )
    found = []
    for by_sku in grouped.values():
        curves = tuple(curve_of(by_sku[sku], skus[sku], tier) for sku in order if sku in by_sku)
        is_reduced = any(row.record.is_reduced for group in by_sku.values() for row in group)
        found.append(Family(kind=curves[0].kind, curves=curves, is_reduced=is_reduced))
    return tuple(sorted(found, key=lambda family: (-family.points, family.kind.order)))


def kind_of(record: JobRecord) -> CurveKind:
    """Return origin, measure and load of a run."""
    provenance = record.provenance
    return CurveKind(
        origin=provenance.origin,
        measure=provenance.measure,
        requests_per_conc=provenance.requests_per_conc,
        reduced_from=record.job.recipe.client.requests_per_conc if record.is_reduced else None,
        time_scale=provenance.time_scale,
    )


def kinds_of(rows: Iterable[HistoryRow]) -> tuple[CurveKind, ...]:
    """Return the distinct kinds of rows, sorted."""
    return tuple(sorted({kind_of(row.record) for row in rows}, key=lambda kind: kind.order))


def family_key(record: JobRecord) -> str:
    """Return a digest of what curves must share to be compared: LLM, workload, engine, client, origin, measure."""
    recipe, provenance = record.job.recipe, record.provenance
    what = [recipe.model, recipe.precision, recipe.engine, recipe.workload.isl, recipe.workload.osl]
    return digest(
        [*what, record.client_settings, provenance.origin, provenance.measure, provenance.time_scale]
    )


def curve_of(rows: list[HistoryRow], sku: Sku, tier: str) -> Curve:
    """Return rows of one family on one SKU as a curve, with cost at the price of a tier."""
    price = sku.price(tier)
    points = [
        _curve_point(row, row.point, price.usd_per_gpu_hour if price else None)
        for row in rows
        if row.point is not None
    ]
    points.sort(key=lambda point: (point.interactivity or inf, point.recipe, point.conc))
    valid = [point for point in points if point.status == "ok"]
    knots = frontier(valid, x=lambda point: point.interactivity, y=lambda point: point.total_tok_s_gpu)
    marked = (point.model_copy(update={"is_knot": any(point is knot for knot in knots)}) for point in points)
    record = rows[0].record
    return Curve(
        sku=sku.id,
        title=sku.title,
        origin=record.provenance.origin,
        points=tuple(marked),
        kind=kind_of(record),
    )


def _curve_point(row: HistoryRow, point: Point | StatedPoint, usd_per_gpu_hour: float | None) -> CurvePoint:
    recipe, throughput = row.record.job.recipe, point.total_tok_s_gpu
    return CurvePoint(
        recipe=recipe.id,
        sku=recipe.sku,
        shape=recipe.shape,
        conc=row.conc,
        status=point.status,
        reasons=point.reasons,
        extrapolated=point.extrapolated,
        not_evaluated=() if isinstance(point, StatedPoint) else point.not_evaluated,
        total_tok_s_gpu=throughput,
        output_tok_s_gpu=point.output_tok_s_gpu,
        interactivity=point.interactivity,
        interactivity_as_printed=point.interactivity_as_printed if isinstance(point, StatedPoint) else None,
        tpot_p50_ms=point.tpot_ms.p50,
        ttft_p50_ms=point.ttft_ms.p50,
        ttft_p99_ms=point.ttft_ms.p99,
        usd_per_mtok=usd_per_mtok(usd_per_gpu_hour, throughput),
        usd_per_mtok_held=usd_per_mtok_held(
            usd_per_gpu_hour, throughput, counted=point.gpus_counted, held=point.gpus_held
        ),
        gpus_counted=point.gpus_counted,
        gpus_held=point.gpus_held,
        requests=point.requests,
        is_knot=False,
        folder=row.folder,
        raw=point.raw,
    )


def iso_table(
    curves: Iterable[Curve], *, skus: dict[str, Sku], definition: Definition, cost: CostMode = "derived"
) -> tuple[IsoRow, ...]:
    """Return every SKU of the definition read on its grid of interactivities.

    An absent curve is unreachable.
    """
    frontiers = {curve.sku: Frontier.of(curve) for curve in curves}
    prices = {sku: skus[sku].price(definition.price_tier) for sku in definition.skus}
    columns = [
        (frontiers.get(sku), price.usd_per_gpu_hour if price else None) for sku, price in prices.items()
    ]
    return tuple(iso_row(columns, at, definition.directional_gap, cost) for at in definition.interactivity)


def iso_row(
    columns: Sequence[tuple[Frontier | None, float | None]], at: float, gap: float, cost: CostMode
) -> IsoRow:
    """Return frontiers, each with its price per GPU-hour, read at one interactivity; None is unreachable."""
    return with_ratios(
        at, tuple(frontier.cell(at, usd, gap, cost) if frontier else UNREACHABLE for frontier, usd in columns)
    )


def with_ratios(at: float, cells: tuple[IsoCell, ...]) -> IsoRow:
    """Return cells as a row with ratios: throughput last over first, cost first over last."""
    first, last = cells[0], cells[-1]
    throughput = ratio(last.total_tok_s_gpu, first.total_tok_s_gpu)
    return IsoRow(
        interactivity=at,
        cells=cells,
        throughput_ratio=throughput,
        cost_ratio=ratio(first.usd_per_mtok, last.usd_per_mtok),
    )
