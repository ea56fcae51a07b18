"""A published study beside our figures: its rows as points and curves, its table read again, and what the linter finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from pipeline.analyse.cost import is_level, usd_per_mtok, usd_per_mtok_held
from pipeline.analyse.curves import Family, iso_table
from pipeline.analyse.frontier import frontier
from pipeline.analyse.lint import lint
from pipeline.analyse.lint.tables import implied_wait_s
from pipeline.analyse.published import peak_of, published_iso
from pipeline.schema.catalogue import Sku
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.lint import LintReport
from pipeline.schema.published import Axis, CostMode, PublishedRow, Quantity, Study
from pipeline.schema.report import (
    ComparedCurves,
    Curve,
    CurvePoint,
    Definition,
    IsoRow,
    ReportData,
    Sentence,
    StudyPeak,
    StudyPoint,
    StudySection,
)

AXES: dict[Axis, str] = {
    "interactivity": "1000 / median TPOT",
    "interactivity_as_printed": "the tok/s/user as printed",
}


def study_family(study: Study, *, skus: dict[str, Sku], definition: Definition) -> Family:
    """The study's rows as curves of the definition's SKUs at its prices."""
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
        ttft_p50_ms=None,
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
    """The deployment as our tables say it; GPU counts where the workers are unknown."""
    if row.prefill is None or row.decode is None:
        return f"{row.gpus_prefill}+{row.gpus_decode} GPUs"
    return f"{row.prefill.workers}P{row.decode.workers}D {row.prefill.shape}/{row.decode.shape}"


def study_section(study: Study, data: ReportData, published: Family, ours: Sequence[Family]) -> StudySection:
    """The study as a section; ``ours`` are the full runs of this project, the ones that the tables read first."""
    definition, linted = data.definition, lint(study)
    printed = study.iso.rows if study.iso else ()
    axis: Axis = study.iso.axis if study.iso else "interactivity"
    at = [row.interactivity for row in printed]
    return StudySection(
        study=study,
        kind=published.kind,
        points=tuple(_beside(study, row, ours[:1]) for row in study.rows if row.sku in definition.skus),
        iso=iso_table(published.curves, skus=data.skus, definition=definition),
        beside=tuple(
            ComparedCurves(
                kind=family.kind,
                origin=family.curves[0].origin,
                rows=iso_table(family.curves, skus=data.skus, definition=definition),
            )
            for family in ours
        ),
        printed=printed,
        again=published_iso(study, at, axis=axis, cost="article", gap=definition.directional_gap),
        peaks=tuple(_peaks(study, axis, definition.directional_gap)),
        summary=_summary(linted),
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
        ours_tok_s_gpu=mine.total_tok_s_gpu if mine else None,
        ours_interactivity=mine.interactivity if mine else None,
        ours_ttft_p50_ms=mine.ttft_p50_ms if mine else None,
    )


def _peaks(study: Study, printed_axis: Axis, gap: float) -> Iterable[StudyPeak]:
    """What the printed points say, on both axes and in both cost modes."""
    asked: tuple[tuple[Axis, Quantity, CostMode, str], ...] = (
        (printed_axis, "total_tok_s_gpu", "derived", "tok/s/GPU"),
        ("interactivity", "total_tok_s_gpu", "derived", "tok/s/GPU"),
        (printed_axis, "usd_per_mtok", "article", "tokens per dollar, cost splined apart as the study did"),
        (printed_axis, "usd_per_mtok", "derived", "tokens per dollar, cost derived from the throughput"),
    )
    for axis, quantity, cost, name in dict.fromkeys(asked):
        peak = peak_of(study, axis=axis, quantity=quantity, cost=cost)
        if peak is not None and peak.local:
            yield StudyPeak(
                name=name,
                axis=AXES[axis],
                ratio=peak.local[0].ratio,
                at=peak.local[0].at,
                again_from=peak.passed_again_from,
                end_ratio=peak.high.ratio,
                end=peak.high.at,
                directional=peak.local[0].gap > gap,
                end_directional=peak.high.gap > gap,
            )


def study_finding(
    section: StudySection, iso: Sequence[IsoRow], origin: str, *, titles: Sequence[str], bar: float
) -> Sentence | None:
    """Where our ratio is largest, what the study's figures read there, and where they favour the other SKU; None without two readings.

    Costs that both call level, nearer than ``bar`` (relative), favour nobody.
    """
    pairs = list(zip(iso, section.iso, strict=True))
    rows = [(ours, theirs) for ours, theirs in pairs if ours.throughput_ratio and theirs.throughput_ratio]
    if not rows:
        return None
    ours, theirs = max(rows, key=lambda row: row[0].throughput_ratio or 0.0)
    values: dict[str, float | str] = {
        "origin": origin,
        "source": section.study.source,
        "day": section.study.measured_on,
    }
    values |= {
        "at": ours.interactivity,
        "ours": ours.throughput_ratio or 0.0,
        "theirs": theirs.throughput_ratio or 0.0,
    }
    words = f"Published figures ({{source}}, dated {{day}} by its source) read {_about(theirs)}{{theirs:ratio}} the tok/s/GPU "
    words += f"at {{at:grid}} tok/s/user, where the {{origin}} ones read {_about(ours)}{{ours:ratio}}"
    for index, (mine, other) in enumerate(row for row in pairs if _disagree(*row, bar)):
        winner = titles[-1] if (other.cost_ratio or 0.0) > 1 else titles[0]
        values |= {f"d{index}": winner, f"d{index}at": mine.interactivity}
        values |= {f"d{index}theirs": other.cost_ratio or 0.0, f"d{index}ours": mine.cost_ratio or 0.0}
        words += f"; per dollar they favour {{d{index}}} at {{d{index}at:grid}}, "
        words += f"{_about(other)}{{d{index}theirs:ratio}} against {_about(mine)}{{d{index}ours:ratio}}"
    return Sentence(words=words + ".", values=values)


def _about(row: IsoRow) -> str:
    return "≈ " if row.directional else ""


def _disagree(ours: IsoRow, theirs: IsoRow, bar: float) -> bool:
    """Whether the costs favour different SKUs, and at least one of them by ``bar`` or more."""
    if ours.cost_ratio is None or theirs.cost_ratio is None:
        return False
    return (ours.cost_ratio > 1) != (theirs.cost_ratio > 1) and not (
        is_level(ours.cost_ratio, bar) and is_level(theirs.cost_ratio, bar)
    )


def _summary(linted: LintReport) -> Sentence:
    """What the linter found, in one line."""
    claims = [finding for finding in linted.wrong if finding.rule == "assertion"]
    counts = {
        "wrong": len(linted.table_findings),
        "claims": len(claims),
        "edges": len(linted.of("edge")),
        "notes": len(linted.of("note")),
        "holds": len(linted.of("holds")),
    }
    words = "By the rules of tables, {wrong:count} printed figures cannot be what they are computed from. Of the claims of the text and "
    words += "its charts, {claims:count} do not hold and {holds:count} do. "
    words += "At the edge of their rounding: {edges:count}. Notes: {notes:count}."
    return Sentence(words=words, values={name: float(count) for name, count in counts.items()})
