"""What full-size replays say of a fit: the error of each point, and of the point as the others predict it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pipeline.calibrate.fitting import rate
from pipeline.calibrate.rows import Row
from pipeline.schema.result import Point
from pipeline.schema.timing import PointError

CLOSE: Final = 0.005  # a surrogate that is off by more than this (log) is corrected and the fit repeated once
IDENTIFIABLE: Final = 0.10  # largest relative s.d. of a prediction by the other points that is replayed


@dataclass(frozen=True, slots=True)
class Replayed:
    """Figures of a replay: seconds without the fixed overhead, that overhead, medians, sequences a decode rank."""

    duration_s: float
    overhead_s: float
    tpot_ms: float
    versions: dict[str, str]
    decode_sequences: float | None = None
    ttft_ms: float | None = None

    @classmethod
    def of(cls, point: Point, versions: dict[str, str]) -> Self:
        """Return the figures of a replayed point."""
        seconds, tpot_ms = point.duration_s - point.overhead_s, point.tpot_ms.p50 or math.nan
        return cls(seconds, point.overhead_s, tpot_ms, versions, point.decode_sequences, point.ttft_ms.p50)


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """One point as the others predict it; ``spread`` is the relative s.d. of the prediction, ``replayed`` None = not identifiable."""

    spread: float
    replayed: Replayed | None


def identifiable(spreads: Mapping[Row, float]) -> list[Row]:
    """Return the rows that the other rows predict to ``IDENTIFIABLE``."""
    return [row for row, spread in spreads.items() if spread <= IDENTIFIABLE]


def point_error(
    row: Row, fitted: Replayed, left_out: LeaveOneOut, left_out_ttft_ms: float | None = None
) -> PointError:
    """Return the given, the fitted and the predicted figures of one point."""
    predicted = left_out.replayed
    return PointError(
        recipe=row.recipe.id,
        sku=row.recipe.sku,
        conc=row.conc,
        total_tok_s_gpu=row.total_tok_s_gpu,
        tpot_ms=row.tpot_ms,
        fitted_total_tok_s_gpu=rate(row, fitted.duration_s, fitted.overhead_s),
        fitted_tpot_ms=fitted.tpot_ms,
        left_out_total_tok_s_gpu=rate(row, predicted.duration_s, predicted.overhead_s) if predicted else None,
        left_out_tpot_ms=predicted.tpot_ms if predicted else None,
        ttft_ms=row.ttft_ms,
        fitted_ttft_ms=fitted.ttft_ms,
        left_out_ttft_ms=left_out_ttft_ms,
        left_out_sd=left_out.spread if math.isfinite(left_out.spread) else None,
    )
