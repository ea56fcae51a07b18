"""Claims of a text against its own tables: one function per kind of check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import mul
from typing import Any, Final

from pipeline.analyse.iso import Knots
from pipeline.analyse.lint.interval import Interval
from pipeline.analyse.published import knots, peak_of
from pipeline.analyse.reach import reach
from pipeline.schema.claims import (
    Arithmetic,
    Evidence,
    NearestKnot,
    PeakClaim,
    Range,
    ReadClaim,
    Whole,
)
from pipeline.schema.compare import RatioAt
from pipeline.schema.lint import (
    ClaimCheck,
    FigureOutcome,
    Finding,
    FindingPlace,
    KnotOutcome,
    Outcome,
    PeakOutcome,
    PlacedRatio,
    RangeOutcome,
    Severity,
    WholeOutcome,
)
from pipeline.schema.published import Tables

Judged = tuple[Severity, Outcome | None]


def claims(study: Tables) -> Iterator[Finding]:
    """Yield one finding per claim, those that hold as well."""
    for assertion in study.assertions:
        severity, outcome = CHECKS[assertion.check.kind](study, assertion.check)
        check = ClaimCheck(
            claim=assertion.claim,
            evidence=assertion.evidence,
            corrected=assertion.corrected,
            outcome=outcome,
        )
        place = FindingPlace(table="text", row=assertion.id, where=assertion.where)
        yield Finding(severity=severity, place=place, check=check)


def _severity(says: str, computed: Interval) -> Severity:
    printed = Interval.of(says)
    if printed.holds(computed.value):
        return "holds"
    return "edge" if printed.meets(computed) else "wrong"


def _arithmetic(_study: Tables, check: Arithmetic) -> Judged:
    above = reduce(mul, map(Interval.of, check.times))
    below = reduce(mul, map(Interval.of, check.per), Interval.exact(1.0))
    computed = above / below
    return _severity(check.says, computed), FigureOutcome(says=check.says, computed=computed.value)


def _whole(_study: Tables, check: Whole) -> Judged:
    outcome = WholeOutcome(of=check.of, per=check.per)
    return "wrong" if check.of % check.per else "holds", outcome


def _peak(study: Tables, check: PeakClaim) -> Judged:
    """Compare a claim with the largest ratio of the declared grid and of the continuum; it holds only where both agree."""
    found = peak_of(study, axis=check.axis, quantity=check.quantity, cost=check.cost)
    if found is None:
        return "wrong", PeakOutcome(says=check.says, at=check.at)
    says, at = Interval.of(check.says), Interval.of(check.at)
    places = [place for place in (found.on_grid, found.highest) if place]
    holds = all(says.holds(place.ratio) and at.holds(place.at) for place in places)
    outcome = PeakOutcome(
        says=check.says,
        at=check.at,
        on_grid=_placed(found.on_grid) if found.on_grid else None,
        local=_placed(found.local[0]) if found.local else None,
        highest=_placed(found.highest),
        is_edge=found.kind == "edge",
        passed_again_from=found.passed_again_from,
    )
    return "holds" if holds else "wrong", outcome


def _placed(place: RatioAt) -> PlacedRatio:
    return PlacedRatio(ratio=place.ratio, at=place.at)


def _reading(study: Tables, check: ReadClaim) -> Judged:
    """Compare a claim with the curve, within what the rounding of its knots leaves open, to first order."""
    curve, rate = knots(study, check.sku, check.axis), study.usd_per_gpu_hour.get(check.sku)

    def read(moved: Knots) -> float | None:
        return (
            moved.read([check.at])
            if check.quantity == "total_tok_s_gpu"
            else moved.cost([check.at], rate, check.cost)
        )[0]

    value = read(curve)
    off = reach(curve, read, half_x=_half(study, check.axis), half_y=_half(study, "total_tok_s_gpu"))
    if value is None or off is None:
        return "wrong", FigureOutcome(says=check.says, computed=None)
    severity = _severity(check.says, Interval(value, value - off, value + off))
    return severity, FigureOutcome(says=check.says, computed=value)


def _half(study: Tables, column: str) -> float:
    """Return half a last digit of a column; 0 where it is not printed. 1000 / TPOT is taken at face value."""
    digits = study.points.digits(column) if study.points else None
    return 0.0 if digits is None else 0.5 * 10.0**-digits


def _nearest(study: Tables, check: NearestKnot) -> Judged:
    curve = knots(study, check.sku, check.axis)
    if not curve.x:
        return "wrong", KnotOutcome(says=check.says)
    index = min(range(len(curve.x)), key=lambda one: abs(curve.x[one] - check.at))
    severity = _severity(check.says, Interval.exact(curve.y[index]))
    return severity, KnotOutcome(
        says=check.says, knot_tok_s_gpu=curve.y[index], knot_interactivity=curve.x[index]
    )


def _range(study: Tables, check: Range) -> Judged:
    rows = [row for row in study.iso.rows if check.low <= float(row.label) <= check.high] if study.iso else []
    values = [value for row in rows if (value := getattr(row, check.column)) is not None]
    outcome = RangeOutcome(
        least=check.least,
        most=check.most,
        lowest=min(values, default=None),
        highest=max(values, default=None),
    )
    holds = bool(values) and (
        Interval.of(check.least).holds(min(values)) and Interval.of(check.most).holds(max(values))
    )
    return "holds" if holds else "wrong", outcome


def _evidence(_study: Tables, check: Evidence) -> Judged:
    severities: dict[str, Severity] = {"holds": "holds", "wrong": "wrong", "opinion": "note"}
    return severities[check.verdict], None


CHECKS: Final[dict[str, Callable[[Tables, Any], Judged]]] = {
    "arithmetic": _arithmetic,
    "whole": _whole,
    "peak": _peak,
    "reading": _reading,
    "nearest-knot": _nearest,
    "range": _range,
    "evidence": _evidence,
}
