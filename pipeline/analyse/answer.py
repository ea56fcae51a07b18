"""Which SKU is cheaper at which interactivity, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from typing import Literal

from pipeline.analyse.cost import is_level
from pipeline.schema.findings import Answer, AnswerRange, UncoveredRange, Winner
from pipeline.schema.report import IsoRow
from pipeline.schema.result import Origin


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on the median TTFT, seconds, and the ranges in which it leaves no point."""

    seconds: float
    uncovered: tuple[UncoveredRange, ...] = ()


def answer(
    iso: Sequence[IsoRow],
    skus: Sequence[str],
    *,
    bar: float,
    origin: Origin | None,
    limit: Limit | None = None,
) -> Answer | None:
    """Return the ranges of the grid in which a SKU wins per dollar by ``bar`` (relative) or more, largest win first.

    Only the first and the last SKU are compared, as in every ratio of the report; None with nothing to compare.
    Level ranges follow the wins, then ranges of which both readings are directional, then those that one SKU alone
    reaches. With ``limit``, the rows are of points within that TTFT.
    """
    rows = [row for row in iso if row.cost_ratio is not None]
    if not rows or len(skus) < 2 or origin is None:
        return None
    runs = [(winner, list(group)) for winner, group in groupby(rows, key=lambda row: _winner(row, bar))]
    ranges = [_range(winner, run, is_of_points=limit is not None) for winner, run in runs]
    return Answer(
        skus=(skus[0], skus[-1]),
        ranges=(*sorted(ranges, key=_place), *_alone(iso, 0), *_alone(iso, -1)),
        level_within=bar,
        origin=origin,
        ttft_limit_s=limit.seconds if limit else None,
        uncovered=limit.uncovered if limit else (),
    )


def _winner(row: IsoRow, bar: float) -> Winner:
    cost_ratio = row.cost_ratio or 1.0
    if row.has_direction_only:
        return "direction_only"
    if is_level(cost_ratio, bar):
        return "level"
    return "last" if cost_ratio > 1 else "first"


def _place(found: AnswerRange) -> float:
    """The largest win first, then level, then direction only."""
    if found.ratio is not None:
        return -found.ratio
    return 0.0 if found.winner == "level" else inf


def _range(winner: Winner, rows: list[IsoRow], *, is_of_points: bool) -> AnswerRange:
    low, high = rows[0].interactivity, rows[-1].interactivity
    if winner not in ("first", "last"):
        return AnswerRange(winner=winner, low=low, high=high)
    best = max(rows, key=lambda row: _advantage(row, winner))
    mine, other = (best.cells[-1], best.cells[0]) if winner == "last" else (best.cells[0], best.cells[-1])
    return AnswerRange(
        winner=winner,
        low=low,
        high=high,
        ratio=_advantage(best, winner),
        at=best.interactivity,
        directional=best.directional,
        deployments=(mine.shape or "", other.shape or "") if is_of_points else None,
    )


def _advantage(row: IsoRow, winner: Winner) -> float:
    cost_ratio = row.cost_ratio or 1.0
    return cost_ratio if winner == "last" else 1 / cost_ratio


def _alone(iso: Sequence[IsoRow], side: Literal[0, -1]) -> list[AnswerRange]:
    """Return the ranges in which this side alone has a figure."""

    def is_alone(row: IsoRow) -> bool:
        return row.cells[side].total_tok_s_gpu is not None and row.cells[-1 - side].total_tok_s_gpu is None

    groups = [list(group) for alone, group in groupby(iso, key=is_alone) if alone]
    winner: Winner = "only_first" if side == 0 else "only_last"
    return [
        AnswerRange(winner=winner, low=rows[0].interactivity, high=rows[-1].interactivity) for rows in groups
    ]
