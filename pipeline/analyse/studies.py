"""A published study beside our figures: points, curves, its table recomputed, and the linter's findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from pipeline.analyse.cost import is_level, usd_per_mtok, usd_per_mtok_held
from pipeline.analyse.curves import Family, iso_table
from pipeline.analyse.frontier import frontier
from pipeline.analyse.highlights import read_ratio
from pipeline.analyse.lint import lint
from pipeline.analyse.lint.tables import implied_wait_s
from pipeline.analyse.published import peak_of, published_iso
from pipeline.schema.catalogue import Sku
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.findings import Disagreement, LintCounts, ReadRatio, StudyFinding, StudyPeak
from pipeline.schema.lint import LintReport
from pipeline.schema.published import Axis, CostMode, PublishedRow, Quantity, Study
from pipeline.schema.report import (
    ComparedCurves,
    Curve,
    CurvePoint,
    Definition,
    IsoRow,
    ReportData,
    StudyPoint,
    StudySection,
)


def study_family(study: Study, *, skus: dict[str, Sku], definition: Definition) -> Family:
    """Return the study's rows as curves of the definition's SKUs at its prices."""
    kind = CurveKind(
        origin="published",
        measure="article",
        requests_per_conc=study.requests_per_conc,
        run_id=study.run_id,
    )
    curves = []
    for sku in definition.skus:
        rows = [row for row in study.rows if row.sku == sku]
        if rows:
            price = skus[sku].price(definition.price_tier)
            points = [_point(study, row, price.usd_per_gpu_hour if price else None) for row in rows]
            curves.append(
                Curve(sku=sku, title=skus[sku].title, origin="published", points=_marked(points), kind=kind)
            )
    return Family(kind=kind, curves=tuple(curves))


def _marked(points: list[CurvePoint]) -> tuple[CurvePoint, ...]:
    points.sort(key=lambda point: (point.interactivity or inf, point.recipe, point.conc))
    knots = frontier(points, x=lambda point: point.interactivity, y=lambda point: point.total_tok_s_gpu)
    return tuple(
        point.model_copy(update={"is_knot": any(point is knot for knot in knots)}) for point in points
    )


def _point(study: Study, row: PublishedRow, rate: float | None) -> CurvePoint:
    counted = row.gpus_prefill + row.gpus_decode
    held = row.gpus_held or counted
    return CurvePoint(
        recipe=row.recipe or row.name,
        sku=row.sku,
        shape=shape(row),
        conc=row.conc,
        status="ok",
        reasons=(),
        total_tok_s_gpu=row.total_tok_s_gpu,
        output_tok_s_gpu=None,
        interactivity=row.interactivity,
        interactivity_as_printed=row.interactivity_as_printed,
        tpot_p50_ms=row.tpot_p50_ms,
        ttft_p50_ms=row.ttft_p50_ms,
        ttft_p99_ms=None,
        usd_per_mtok=usd_per_mtok(rate, row.total_tok_s_gpu),
        usd_per_mtok_held=usd_per_mtok_held(rate, row.total_tok_s_gpu, counted=counted, held=held),
        gpus_counted=counted,
        gpus_held=held,
        requests=None,
        is_knot=False,
        folder=f"published-{study.run_id}",
        raw=(),
    )


def shape(row: PublishedRow) -> str:
    """Return the deployment in our shorthand; GPU counts where the workers are unknown."""
    if row.prefill is None or row.decode is None:
        return f"{row.gpus_prefill}+{row.gpus_decode} GPUs"
    return f"{row.prefill.workers}P{row.decode.workers}D {row.prefill.shape}/{row.decode.shape}"


def study_section(study: Study, data: ReportData, published: Family, ours: Sequence[Family]) -> StudySection:
    """Return the study as a section.

    ``ours``: the full runs of this project, those that the tables read first.
    """
    definition, linted = data.definition, lint(study)
    printed = study.iso.rows if study.iso else ()
    axis: Axis = study.iso.axis if study.iso else "interactivity"
    at = [row.interactivity for row in printed]
    iso = iso_table(published.curves, skus=data.skus, definition=definition)
    beside = tuple(
        ComparedCurves(
            kind=family.kind,
            origin=family.curves[0].origin,
            rows=iso_table(family.curves, skus=data.skus, definition=definition),
        )
        for family in ours
    )
    return StudySection(
        study=study,
        kind=published.kind,
        points=tuple(_beside(study, row, ours[:1]) for row in study.rows if row.sku in definition.skus),
        iso=iso,
        beside=beside,
        printed=printed,
        again=published_iso(study, at, axis=axis, cost="article", gap=definition.directional_gap),
        peaks=tuple(_peaks(study, axis, definition.directional_gap)),
        finding=study_finding(beside[0], iso, definition) if beside else None,
        counts=_counts(linted),
        linted=linted,
    )


def _beside(study: Study, row: PublishedRow, ours: Sequence[Family]) -> StudyPoint:
    points = [
        point for family in ours for curve in family.curves for point in curve.points if point.status == "ok"
    ]
    mine = next((point for point in points if (point.recipe, point.conc) == (row.recipe, row.conc)), None)
    return StudyPoint(
        sku=row.sku,
        shape=shape(row),
        conc=row.conc,
        total_tok_s_gpu=row.total_tok_s_gpu,
        interactivity_as_printed=row.interactivity_as_printed,
        interactivity=row.interactivity,
        usd_per_mtok_as_printed=row.usd_per_mtok,
        implied_wait_s=implied_wait_s(study, row),
        ttft_p50_ms=row.ttft_p50_ms,
        ours_tok_s_gpu=mine.total_tok_s_gpu if mine else None,
        ours_interactivity=mine.interactivity if mine else None,
        ours_ttft_p50_ms=mine.ttft_p50_ms if mine else None,
    )


def _peaks(study: Study, printed_axis: Axis, gap: float) -> Iterable[StudyPeak]:
    """Return where the ratios of the printed points peak, on both axes and in both cost modes."""
    asked: tuple[tuple[Axis, Quantity, CostMode], ...] = (
        (printed_axis, "total_tok_s_gpu", "derived"),
        ("interactivity", "total_tok_s_gpu", "derived"),
        (printed_axis, "usd_per_mtok", "article"),
        (printed_axis, "usd_per_mtok", "derived"),
    )
    for axis, quantity, cost in dict.fromkeys(asked):
        peak = peak_of(study, axis=axis, quantity=quantity, cost=cost)
        if peak is not None and peak.local:
            yield StudyPeak(
                quantity=quantity,
                cost=cost,
                axis=axis,
                peak=read_ratio(peak.local[0], gap),
                again_from=peak.passed_again_from,
                end=read_ratio(peak.high, gap),
            )


def study_finding(
    ours: ComparedCurves, theirs: Sequence[IsoRow], definition: Definition
) -> StudyFinding | None:
    """Return a study's readings where our throughput ratio is largest, and where it favours the other SKU per dollar.

    None without two readings. Costs that both call level favour no SKU.
    """
    pairs, bar = list(zip(ours.rows, theirs, strict=True)), definition.level_within
    rows = [pair for pair in pairs if pair[0].throughput_ratio and pair[1].throughput_ratio]
    if not rows:
        return None
    mine, other = max(rows, key=lambda row: row[0].throughput_ratio or 0.0)
    return StudyFinding(
        skus=(definition.skus[0], definition.skus[-1]),
        origin=ours.origin,
        ours=_read(mine, mine.throughput_ratio),
        theirs=_read(other, other.throughput_ratio),
        disagreements=tuple(
            Disagreement(
                at=mine.interactivity,
                ours=_read(mine, mine.cost_ratio),
                theirs=_read(other, other.cost_ratio),
            )
            for mine, other in pairs
            if _disagree(mine, other, bar)
        ),
    )


def _read(row: IsoRow, ratio: float | None) -> ReadRatio:
    return ReadRatio(at=row.interactivity, ratio=ratio or 0.0, directional=row.directional)


def _disagree(ours: IsoRow, theirs: IsoRow, bar: float) -> bool:
    """Whether the costs favour different SKUs, and at least one of them by ``bar`` or more."""
    if ours.cost_ratio is None or theirs.cost_ratio is None:
        return False
    return (ours.cost_ratio > 1) != (theirs.cost_ratio > 1) and not (
        is_level(ours.cost_ratio, bar) and is_level(theirs.cost_ratio, bar)
    )


def _counts(linted: LintReport) -> LintCounts:
    """Return how many findings of each sort the linter has."""
    return LintCounts(
        wrong_figures=len(linted.table_findings),
        wrong_claims=sum(finding.rule == "assertion" for finding in linted.wrong),
        right_claims=len(linted.of("holds")),
        edges=len(linted.of("edge")),
        notes=len(linted.of("note")),
    )
