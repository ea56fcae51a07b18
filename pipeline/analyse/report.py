"""From the data that a report keeps to the analysis that it prints."""

from __future__ import annotations

from pipeline.analyse import sentences
from pipeline.analyse.answer import answer
from pipeline.analyse.changes import compare, run_name
from pipeline.analyse.coverage import coverage, hbm_rows, provenance_rows
from pipeline.analyse.curves import Frontier, families, iso_table
from pipeline.analyse.peak import CurvePair
from pipeline.analyse.sku_comparison import comparison
from pipeline.analyse.studies import study_family, study_finding, study_section
from pipeline.errors import ArtifactError
from pipeline.schema.catalogue import Sku
from pipeline.schema.history import HistoryRow
from pipeline.schema.report import Curve, Definition, Report, ReportData, Sentence
from pipeline.schema.timing import Timing


def analyse(data: ReportData) -> Report:
    """Everything that the pages of one report say, unrounded; the same report for the same data, whatever the order of its rows."""
    definition = data.definition
    _check_skus(data)
    rows, previous = _sorted(data.rows, definition.skus), _sorted(data.previous, definition.skus)
    kinds = families(rows, skus=data.skus, definition=definition)
    main = kinds[0] if kinds else None
    curves = main.curves if main else ()
    published = [
        (study, study_family(study, skus=data.skus, definition=definition)) for study in data.studies
    ]
    whole = [
        family for family in kinds if not family.is_reduced
    ]  # a reduced count stands beside nobody's full runs
    shown = (*kinds, *(family for _, family in published)) if len(whole) == len(kinds) else kinds
    iso = iso_table(curves, skus=data.skus, definition=definition)
    changes = compare(rows, previous, planned=data.planned, relevant_change=definition.relevant_change)
    covered = coverage(rows, previous, planned=data.planned, skus=definition.skus)
    titles = {sku: data.skus[sku].title for sku in definition.skus}
    origin = curves[0].origin if curves else None
    sections = tuple(study_section(study, data, family, whole) for study, family in published)
    bar = definition.comparison.level_within if definition.comparison else definition.relevant_change
    compared = comparison(data, shown if kinds else (), iso)
    said_of_limit = (compared.slo_answer,) if compared and compared.slo_answer else ()
    names = list(titles.values())
    said_of_studies = [
        study_finding(section, iso, origin or "", titles=names, bar=bar)
        for section in sections
        if section.beside
    ]
    return Report(
        name=data.name,
        definition=definition,
        verdict=sentences.overall(changes, covered),
        headline=sentences.headline(changes, covered, definition),
        answer=answer(iso, names, bar=bar, origin=origin or "nothing ran"),
        rule=sentences.rule(definition),
        findings=(
            *sentences.findings(iso, main, titles, _between(curves, definition)),
            *said_of_limit,
            *filter(None, said_of_studies),
        ),
        banners=sentences.banners(shown, covered, data.timing),
        origin=origin,
        run=", ".join(sorted({run_name(row) for row in rows})) or "none",
        sku_titles=titles,
        curves=tuple(curve for family in shown for curve in family.curves),
        iso=iso,
        changes=changes,
        coverage=covered,
        hbm=hbm_rows(rows),
        timing=data.timing.skus if data.timing else (),
        timing_errors=data.timing.errors if data.timing else (),
        timing_source=_timing_source(data.timing),
        prices={sku: price_in_words(data.skus[sku], definition.price_tier) for sku in definition.skus},
        provenance=provenance_rows(rows),
        comparison=compared,
        studies=sections,
    )


def _between(curves: tuple[Curve, ...], definition: Definition) -> Sentence | None:
    knots = {curve.sku: Frontier.of(curve).knots for curve in curves}
    first, last = (knots.get(sku) for sku in (definition.skus[0], definition.skus[-1]))
    return sentences.between(CurvePair(first, last), definition) if first and last else None


def price_in_words(sku: Sku, tier: str) -> str:
    """The price of a GPU-hour as its source states it, with date, source and what is provisional about it."""
    price = sku.price(tier)
    if price is None:
        return f"no {tier} price known"
    provisional = f"; provisional: {price.provisional}" if price.provisional else ""
    return f"{price.usd_per_gpu_hour} USD per GPU-hour, {tier} tier, as of {price.date}, {price.source}{provisional}"


def _check_skus(data: ReportData) -> None:
    unknown = [sku for sku in data.definition.skus if sku not in data.skus]
    if unknown:
        raise ArtifactError(
            f"the definition names SKUs that the data does not hold: {', '.join(unknown)}", where=data.name
        )


def _sorted(rows: tuple[HistoryRow, ...], skus: tuple[str, ...]) -> list[HistoryRow]:
    order = {sku: index for index, sku in enumerate(skus)}

    def place(row: HistoryRow) -> tuple[int, int, str, int, str]:
        recipe = row.record.job.recipe
        return order.get(recipe.sku, len(order)), recipe.gpus_counted, recipe.id, row.conc, row.folder

    return sorted(rows, key=place)


def _timing_source(timing: Timing | None) -> str:
    if timing is None:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(timing.versions.items()))
    source = f"{timing.points} ({timing.points_origin}, SHA-256 {timing.points_sha256[:12]})"
    return (
        f"{source}, fitted on {timing.fitted_on} with {timing.requests_per_conc} × conc requests; {versions}"
    )
