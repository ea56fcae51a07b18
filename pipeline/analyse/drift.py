"""Drift of a new simulation from the kept one: the seed is the same, so the code or the engine changed."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.schema.history import HistoryRow
from pipeline.schema.report import DriftedFigure, ReportData

FIGURES = ("total_tok_s_gpu", "tpot_p50_ms", "ttft_p50_ms")


def drift(kept: ReportData, new: ReportData, *, tolerance: float) -> tuple[DriftedFigure, ...]:
    """Return every figure that changed by more than ``tolerance`` (relative), and every point of only one side."""
    before, after = _figures(kept), _figures(new)
    return tuple(_moved(before, after, tolerance))


def _moved(
    before: dict[tuple[str, int, str], float], after: dict[tuple[str, int, str], float], tolerance: float
) -> Iterator[DriftedFigure]:
    for key in sorted(before.keys() | after.keys()):
        recipe, conc, figure = key
        old, new = before.get(key), after.get(key)
        if old is None or new is None or abs(new / old - 1) > tolerance:
            yield DriftedFigure(recipe=recipe, conc=conc, figure=figure, kept=old, new=new)


def _figures(data: ReportData) -> dict[tuple[str, int, str], float]:
    return {
        (row.record.job.id, row.conc, figure): value
        for row in data.rows
        for figure, value in _of(row)
        if value
    }


def _of(row: HistoryRow) -> Iterator[tuple[str, float | None]]:
    if row.point is not None and row.point.status != "invalid":  # an invalid point counts as missing
        yield from zip(
            FIGURES, (row.point.total_tok_s_gpu, row.point.tpot_ms.p50, row.point.ttft_ms.p50), strict=True
        )
