"""The question of who buys: which SKU is cheaper at which interactivity, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.analyse.cost import is_level
from pipeline.schema.report import IsoRow, Sentence

Values = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class UncoveredRange:
    """A range of tok/s/user in which a SKU has no point that keeps a limit; ``low`` null = from the start of the grid."""

    title: str
    low: float | None
    high: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on the median TTFT, seconds, and what it leaves bare."""

    seconds: float
    bare: tuple[UncoveredRange, ...] = ()


def answer(
    iso: Sequence[IsoRow], titles: Sequence[str], *, bar: float, origin: str, limit: Limit | None = None
) -> Sentence | None:
    """Ranges of the grid that each SKU wins per dollar by ``bar`` (relative) or more, the largest win first.

    Only the first and the last SKU are compared, as in every ratio of the report; None with nothing to compare. Rows that only one
    side reaches are said apart, and so are rows of which both sides are a direction only: nobody wins those. With ``limit``, the rows
    are of points that keep that TTFT.
    """
    rows = [row for row in iso if row.cost_ratio is not None]
    if not rows or len(titles) < 2:
        return None
    values: Values = {"first": titles[0], "last": titles[-1], "origin": origin, "bar": f"{100 * bar:g}"}
    values |= {} if limit is None else {"limit": limit.seconds}
    runs = [(winner, list(group)) for winner, group in groupby(rows, key=lambda row: _winner(row, bar))]
    runs.sort(key=lambda run: -_lead(*run))
    parts = [_part(values, winner, run) for winner, run in runs]
    parts += [said for side in (0, -1) if (said := _alone(values, iso, side))]
    said = "; ".join(parts)
    if limit is None:
        return Sentence(
            words=f"More tokens per dollar at equal tok/s/user: {said} ({{origin}})", values=values
        )
    start = "With a median TTFT of at most {limit:grid} s, more tokens per dollar at so many tok/s/user or more, of the deployments that "
    return Sentence(words=f"{start}were run: {said}{_bare(values, limit.bare)} ({{origin}}).", values=values)


def _bare(values: Values, ranges: Sequence[UncoveredRange]) -> str:
    """Where a SKU has nothing to compare with, one clause a SKU."""
    clauses = []
    for title, group in groupby(enumerate(ranges), key=lambda one: one[1].title):
        said = []
        for index, one in group:
            values |= {f"b{index}low": one.low or 0.0, f"b{index}high": one.high, f"b{index}": title}
            place = f"below {{b{index}high:interactivity}}"
            said.append(
                place
                if one.low is None
                else f"between {{b{index}low:interactivity}} and {{b{index}high:interactivity}}"
            )
        clauses.append(f"{{b{index}}} has none {' or '.join(said)}")
    return "".join(f"; {clause}" for clause in clauses)


def _winner(row: IsoRow, bar: float) -> str:
    cost_ratio = row.cost_ratio or 1.0
    if row.has_direction_only:
        return "direction"
    if is_level(cost_ratio, bar):
        return "level"
    return "last" if cost_ratio > 1 else "first"


def _lead(winner: str, rows: list[IsoRow]) -> float:
    apart = {"level": 0.0, "direction": -1.0}
    return apart[winner] if winner in apart else max(_advantage(row, winner) for row in rows)


def _advantage(row: IsoRow, winner: str) -> float:
    cost_ratio = row.cost_ratio or 1.0
    return cost_ratio if winner == "last" else 1 / cost_ratio


def _part(values: Values, winner: str, rows: list[IsoRow]) -> str:
    key = f"p{len(values)}"
    values |= {f"{key}low": rows[0].interactivity, f"{key}high": rows[-1].interactivity}
    where = f"at {{{key}low:grid}}" if len(rows) == 1 else f"from {{{key}low:grid}} to {{{key}high:grid}}"
    if winner == "level":
        return f"level (within {{bar}} %) {where}"
    if winner == "direction":
        return f"a direction only {where}"
    best = max(rows, key=lambda row: _advantage(row, winner))
    values |= {f"{key}best": _advantage(best, winner), f"{key}at": best.interactivity}
    about = "≈ " if best.directional else ""
    peak = (
        f"{about}{{{key}best:ratio}}"
        if len(rows) == 1
        else f"up to {about}{{{key}best:ratio}} at {{{key}at:grid}}"
    )
    return f"{{{winner}}} {where}, {peak}{_points(values, best, winner, key)}"


def _points(values: Values, row: IsoRow, winner: str, key: str) -> str:
    """The deployments behind a ratio of two points; a reading between knots has none."""
    if "limit" not in values:
        return ""
    mine, other = (row.cells[-1], row.cells[0]) if winner == "last" else (row.cells[0], row.cells[-1])
    values |= {f"{key}mine": mine.shape or "", f"{key}other": other.shape or ""}
    return f" ({{{key}mine}} against {{{key}other}})"


def _alone(values: Values, iso: Sequence[IsoRow], side: int) -> str:
    """Where this side alone has a figure."""
    rows = [
        row
        for row in iso
        if row.cells[side].total_tok_s_gpu is not None and row.cells[-1 - side].total_tok_s_gpu is None
    ]
    if not rows:
        return ""
    name = "first" if side == 0 else "last"
    values[f"{name}only"] = ", ".join(f"{row.interactivity:g}" for row in rows)
    return f"{{{name}}} alone at {{{name}only}}"
