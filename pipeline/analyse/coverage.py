"""The state of every planned recipe, and the provenance of each result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pipeline.analyse.changes import problem_of
from pipeline.schema.history import HistoryRow
from pipeline.schema.reasons import CoverageProblem
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import CoverageRow, HbmRow, HeldRow, ProvenanceRow
from pipeline.schema.result import Point

QUEUE = "queue"  # stage in which a job waits for GPUs
State = Literal["ran", "invalid", "failed", "missing", "not-planned"]


def coverage(
    rows: Iterable[HistoryRow],
    previous: Iterable[HistoryRow],
    *,
    planned: tuple[str, ...],
    planned_skus: Mapping[str, str],
) -> tuple[CoverageRow, ...]:
    """Return one row per planned recipe, in plan order, then those that ran without being planned.

    ``planned_skus``: SKU of each recipe that has no row.
    """
    by_recipe: dict[str, list[HistoryRow]] = {recipe: [] for recipe in planned}
    for row in rows:
        by_recipe.setdefault(row.record.job.recipe.id, []).append(row)
    earlier = {row.record.job.recipe.id: row for row in previous}
    return tuple(
        _ran(found, is_planned=recipe in planned)
        if found
        else _missing(recipe, earlier.get(recipe), planned_skus.get(recipe, "unknown"))
        for recipe, found in by_recipe.items()
    )


def _ran(rows: list[HistoryRow], *, is_planned: bool) -> CoverageRow:
    recipe, infra = rows[0].record.job.recipe, [row.point.gpus_held for row in rows if row.point]
    hours = [
        row.point.gpus_held * row.point.duration_s / 3600 for row in rows if isinstance(row.point, Point)
    ]
    missing = sorted(set(recipe.conc) - {row.conc for row in rows})
    problems = [
        CoverageProblem(conc=row.conc, kind=found.kind, error=found.error, reasons=found.reasons)
        for row in rows
        if (found := problem_of(row))
    ]
    problems += [CoverageProblem(conc=conc, kind="missing") for conc in missing]
    valid = sum(row.point is not None and row.point.status != "invalid" for row in rows)
    return CoverageRow(
        recipe=recipe.id,
        sku=recipe.sku,
        state=_state(rows, has_gaps=bool(missing)) if is_planned else "not-planned",
        points=valid,
        planned_points=len(recipe.conc),
        problems=tuple(problems),
        gpus_counted=recipe.gpus_counted,
        gpus_held=infra[0] if infra else None,
        gpu_hours=sum(hours) if hours else None,
    )


def _state(rows: list[HistoryRow], *, has_gaps: bool) -> State:
    if any(row.point is None for row in rows):
        return "failed"
    if any(row.point is not None and row.point.status == "invalid" for row in rows):
        return "invalid"
    return "missing" if has_gaps else "ran"


def _missing(recipe: str, earlier: HistoryRow | None, sku: str) -> CoverageRow:
    known = earlier.record.job.recipe if earlier else None
    return CoverageRow(
        recipe=recipe,
        sku=known.sku if known else sku,
        state="missing",
        points=0,
        planned_points=len(known.conc) if known else None,
        problems=(CoverageProblem(conc=None, kind="missing"),),
        gpus_counted=known.gpus_counted if known else None,
        gpus_held=None,
    )


def skus_without_rows(planned: Iterable[Recipe], rows: Iterable[HistoryRow]) -> dict[str, str]:
    """Return the SKU of each planned recipe that has no row."""
    known = {row.record.job.recipe.id for row in rows}
    return {recipe.id: recipe.sku for recipe in planned if recipe.id not in known}


def hbm_rows(rows: Iterable[HistoryRow]) -> tuple[HbmRow, ...]:
    """Return the HBM of every role of every recipe that was planned, once each."""
    jobs = {row.record.job.id: row.record.job for row in rows}
    return tuple(
        HbmRow(recipe=job.id, sku=job.recipe.sku, hbm=hbm) for job in jobs.values() for hbm in job.hbm
    )


def provenance_rows(rows: Iterable[HistoryRow]) -> tuple[ProvenanceRow, ...]:
    """Return one row per result folder, with the raw files of all its points."""
    folders: dict[str, list[HistoryRow]] = {}
    for row in rows:
        folders.setdefault(row.folder, []).append(row)
    return tuple(_provenance(group) for group in folders.values())


def held_rows(rows: list[HistoryRow]) -> tuple[HeldRow, ...]:
    """Return where the time with GPUs held went, for each live job."""
    by_folder = {row.folder: row for row in rows if row.point is not None}
    return tuple(
        HeldRow(
            recipe=row.record.job.recipe.id,
            sku=row.record.job.recipe.sku,
            run_id=row.record.provenance.run_id,
            gpus_held=row.point.gpus_held,
            gpus_counted=row.point.gpus_counted,
            queue_s=row.record.provenance.stages_s.get(QUEUE, 0.0),
            stages_s=held_stages(row.record.provenance.stages_s),
        )
        for row in by_folder.values()
        if isinstance(row.point, Point) and "ready" in row.record.provenance.stages_s
    )


def held_stages(stages_s: dict[str, float]) -> dict[str, float]:
    """Return the stages in which GPUs are held: all but the wait in the queue."""
    return {name: seconds for name, seconds in stages_s.items() if name != QUEUE}


def _provenance(rows: list[HistoryRow]) -> ProvenanceRow:
    record, provenance = rows[0].record, rows[0].record.provenance
    return ProvenanceRow(
        recipe=record.job.recipe.id,
        sku=record.job.recipe.sku,
        run_id=provenance.run_id,
        attempt=provenance.attempt,
        folder=rows[0].folder,
        started_at=provenance.started_at,
        deployment_digest=record.job.deployment_digest,
        git_sha=provenance.git_sha,
        git_dirty=provenance.git_dirty,
        seed=provenance.seed,
        versions=provenance.versions,
        host=provenance.host,
        seconds=sum(held_stages(provenance.stages_s).values()),
        measured_share=_measured_share(provenance.stages_s),
        raw=tuple(dict.fromkeys(file for row in rows if row.point for file in row.point.raw)),
    )


def _measured_share(stages_s: dict[str, float]) -> float | None:
    """Return the share of the time with GPUs held that was measurement.

    None where no deployment was started.
    """
    held = sum(held_stages(stages_s).values())
    return stages_s.get("measure", 0.0) / held if "ready" in stages_s and held else None
