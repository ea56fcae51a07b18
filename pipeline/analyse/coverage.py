"""What became of everything that should have run, and where each result comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pipeline.analyse.changes import why_no_point
from pipeline.schema.history import HistoryRow
from pipeline.schema.report import CoverageRow, HbmRow, ProvenanceRow
from pipeline.schema.result import Host, Point

State = Literal["ran", "invalid", "failed", "missing", "not in plan"]


def coverage(
    rows: Iterable[HistoryRow],
    previous: Iterable[HistoryRow],
    *,
    planned: tuple[str, ...],
    skus: tuple[str, ...],
) -> tuple[CoverageRow, ...]:
    """One row a planned recipe, in plan order, then those that ran without being planned; ``ran`` means every point of it."""
    by_recipe: dict[str, list[HistoryRow]] = {recipe: [] for recipe in planned}
    for row in rows:
        by_recipe.setdefault(row.record.job.recipe.id, []).append(row)
    earlier = {row.record.job.recipe.id: row for row in previous}
    return tuple(
        _ran(found, is_planned=recipe in planned) if found else _missing(recipe, earlier.get(recipe), skus)
        for recipe, found in by_recipe.items()
    )


def _ran(rows: list[HistoryRow], *, is_planned: bool) -> CoverageRow:
    recipe, infra = rows[0].record.job.recipe, [row.point.gpus_held for row in rows if row.point]
    hours = [
        row.point.gpus_held * row.point.duration_s / 3600 for row in rows if isinstance(row.point, Point)
    ]
    troubles = [f"c{row.conc} {why}" for row in rows if (why := why_no_point(row, ""))]
    gone = sorted(set(recipe.conc) - {row.conc for row in rows})
    troubles += [f"c{conc} missing: no result arrived" for conc in gone]
    trusted = sum(row.point is not None and row.point.status == "ok" for row in rows)
    return CoverageRow(
        recipe=recipe.id,
        sku=recipe.sku,
        state=_state(rows, has_gaps=bool(gone)) if is_planned else "not in plan",
        points=trusted,
        planned_points=len(recipe.conc),
        reason="; ".join(troubles),
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


def _missing(recipe: str, earlier: HistoryRow | None, skus: tuple[str, ...]) -> CoverageRow:
    known = earlier.record.job.recipe if earlier else None
    return CoverageRow(
        recipe=recipe,
        sku=known.sku if known else next((sku for sku in skus if f".{sku}." in recipe), "unknown"),
        state="missing",
        points=0,
        planned_points=len(known.conc) if known else None,
        reason="no result arrived",
        gpus_counted=known.gpus_counted if known else None,
        gpus_held=None,
    )


def hbm_rows(rows: Iterable[HistoryRow]) -> tuple[HbmRow, ...]:
    """HBM of every role of every recipe that was planned, once each."""
    jobs = {row.record.job.id: row.record.job for row in rows}
    return tuple(
        HbmRow(recipe=job.id, sku=job.recipe.sku, hbm=hbm) for job in jobs.values() for hbm in job.hbm
    )


def provenance_rows(rows: Iterable[HistoryRow]) -> tuple[ProvenanceRow, ...]:
    """One row a result folder, with the raw files of all its points."""
    folders: dict[str, list[HistoryRow]] = {}
    for row in rows:
        folders.setdefault(row.folder, []).append(row)
    return tuple(_provenance(group) for group in folders.values())


def _provenance(rows: list[HistoryRow]) -> ProvenanceRow:
    record, provenance = rows[0].record, rows[0].record.provenance
    raw = {f"{file.path} {file.sha256[:12]}": None for row in rows if row.point for file in row.point.raw}
    return ProvenanceRow(
        recipe=record.job.recipe.id,
        run_id=provenance.run_id,
        attempt=provenance.attempt,
        folder=rows[0].folder,
        started_at=provenance.started_at,
        deployment_digest=record.job.deployment_digest,
        git_sha=(provenance.git_sha or "unknown")[:12]
        + (" with local changes" if provenance.git_dirty else ""),
        seed=provenance.seed,
        versions=", ".join(f"{name} {version}" for name, version in sorted(provenance.versions.items())),
        host=_host(provenance.host),
        seconds=sum(provenance.stages_s.values()),
        measured_share=_measured_share(provenance.stages_s),
        raw=tuple(raw),
    )


def _measured_share(stages_s: dict[str, float]) -> float | None:
    """What share of the time in which GPUs were held was measurement; None where no deployment had to get ready."""
    held = sum(stages_s.values())
    return stages_s.get("measure", 0.0) / held if "ready" in stages_s and held else None


def _host(host: Host | None) -> str:
    return f"{host.machine}, {host.cpus} CPUs, {host.kernel}, Python {host.python}" if host else "unknown"
