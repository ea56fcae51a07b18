"""From the data that a report keeps to the analysis that it prints."""

from __future__ import annotations

from pipeline.analyse.answer import answer
from pipeline.analyse.caveats import calibration, caveats
from pipeline.analyse.changes import compare, run_name
from pipeline.analyse.coverage import coverage, hbm_rows, held_rows, provenance_rows
from pipeline.analyse.curves import families, iso_table
from pipeline.analyse.highlights import largest_ratio, long_waits
from pipeline.analyse.run_finding import overall, run_finding
from pipeline.analyse.sku_comparison import comparison
from pipeline.analyse.studies import study_family, study_section
from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow
from pipeline.schema.report import Report, ReportData


def analyse(data: ReportData) -> Report:
    """Return everything that the pages of one report show, unrounded.

    The order of the rows does not matter.
    """
    definition = data.definition
    _check_skus(data)
    rows, previous = _sorted(data.rows, definition.skus), _sorted(data.previous, definition.skus)
    kinds = families(rows, skus=data.skus, definition=definition)
    main = kinds[0] if kinds else None
    curves = main.curves if main else ()
    origin = curves[0].origin if curves else None
    studied = [(study, study_family(study, skus=data.skus, definition=definition)) for study in data.studies]
    full = [family for family in kinds if not family.is_reduced]
    # a study ran in full, so its curves are not shown beside reduced runs
    shown = (*kinds, *(family for _, family in studied)) if len(full) == len(kinds) else kinds
    iso = iso_table(curves, skus=data.skus, definition=definition)
    changes = compare(rows, previous, planned=data.planned, relevant_change=definition.relevant_change)
    covered = coverage(rows, previous, planned=data.planned, planned_skus=data.planned_skus)
    return Report(
        name=data.name,
        definition=definition,
        verdict=overall(changes, covered),
        run=run_finding(changes, covered),
        answer=answer(iso, definition.skus, bar=definition.level_within, origin=origin),
        largest_ratio=largest_ratio(iso, curves, definition),
        long_waits=long_waits(main),
        caveats=caveats(shown, covered, data.left_out),
        origin=origin,
        runs=tuple(sorted({run_name(row) for row in rows})),
        sku_titles={sku: data.skus[sku].title for sku in definition.skus},
        curves=tuple(curve for family in shown for curve in family.curves),
        iso=iso,
        changes=changes,
        coverage=covered,
        hbm=hbm_rows(rows),
        timing=data.timing.skus if data.timing else (),
        timing_errors=data.timing.errors if data.timing else (),
        calibration=calibration(data.timing),
        prices={sku: data.skus[sku].price(definition.price_tier) for sku in definition.skus},
        provenance=provenance_rows(rows),
        held=held_rows(rows),
        comparison=comparison(data, shown if kinds else (), iso),
        studies=tuple(study_section(study, data, family, full) for study, family in studied),
    )


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
