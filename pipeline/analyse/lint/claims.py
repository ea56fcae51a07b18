"""Claims of a text against what its own tables give: each kind of check by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import mul
from typing import Any, Final

from pipeline.analyse.iso import Knots
from pipeline.analyse.lint.interval import Interval, as_printed
from pipeline.analyse.published import knots, peak_of
from pipeline.analyse.reach import reach
from pipeline.schema.claims import (
    Arithmetic,
    Assertion,
    Evidence,
    NearestKnot,
    PeakClaim,
    Range,
    ReadClaim,
    Whole,
)
from pipeline.schema.lint import Finding, Severity
from pipeline.schema.published import Tables

Outcome = tuple[Severity, str, str, str]  # severity, printed, computed, corrected


def claims(study: Tables) -> Iterator[Finding]:
    """One finding an assertion, those that hold as well."""
    for assertion in study.assertions:
        severity, printed, computed, corrected = CHECKS[assertion.check.kind](study, assertion.check)
        yield _finding(assertion, severity, printed, computed, assertion.corrected or corrected)


def _finding(
    assertion: Assertion, severity: Severity, printed: str, computed: str, corrected: str
) -> Finding:
    return Finding(
        rule="assertion",
        severity=severity,
        place=f"{assertion.id}, {assertion.where}",
        printed=printed,
        computed=computed,
        corrected="" if severity == "holds" else corrected,
        why=assertion.claim,
        evidence=assertion.evidence,
    )


def _against(says: str, computed: Interval) -> Outcome:
    printed = Interval.of(says)
    severity: Severity = (
        "holds" if printed.holds(computed.value) else "edge" if printed.meets(computed) else "wrong"
    )
    decimals = printed.decimals or 0
    return severity, says, as_printed(computed.value, decimals + 2), as_printed(computed.value, decimals)


def _arithmetic(_study: Tables, check: Arithmetic) -> Outcome:
    above = reduce(mul, map(Interval.of, check.times))
    below = reduce(mul, map(Interval.of, check.per), Interval.exact(1.0))
    return _against(check.says, above / below)


def _whole(_study: Tables, check: Whole) -> Outcome:
    computed = check.of / check.per
    return (
        "holds" if check.of % check.per == 0 else "wrong",
        f"{check.of} by {check.per}",
        f"{computed:g} workers",
        "a whole number of workers",
    )


def _peak(study: Tables, check: PeakClaim) -> Outcome:
    """Right only where the largest ratio of the declared grid, if there is one, and of the continuum print as claimed, at that place."""
    found = peak_of(study, axis=check.axis, quantity=check.quantity, cost=check.cost)
    if found is None:
        return "wrong", f"{check.says} at {check.at}", "no ratio", "no range in common"
    says, at, decimals = Interval.of(check.says), Interval.of(check.at), Interval.of(check.says).decimals or 0
    places = [place for place in (found.on_grid, found.highest) if place]
    holds = all(says.holds(place.ratio) and at.holds(place.at) for place in places)
    inside = [
        f"local peak {as_printed(place.ratio, decimals + 2)} at {place.at:.2f}" for place in found.local[:1]
    ]
    words = (
        [f"on the grid {as_printed(found.on_grid.ratio, decimals + 2)} at {found.on_grid.at:g}"]
        if found.on_grid
        else []
    )
    words += inside
    words.append(
        f"largest {as_printed(found.highest.ratio, decimals + 2)} at {found.highest.at:.2f} ({found.kind})"
    )
    again = f" below {found.passed_again_from:.2f}" if found.passed_again_from else ""
    best = found.local[0] if found.local else found.highest
    return (
        "holds" if holds else "wrong",
        f"{check.says} at {check.at}",
        "; ".join(words),
        f"{as_printed(best.ratio, decimals)} at {best.at:.2f}{again}",
    )


def _reading(study: Tables, check: ReadClaim) -> Outcome:
    """With what the rounding of its knots leaves open, to first order."""
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
        return "wrong", check.says, "unreachable", "unreachable"
    return _against(check.says, Interval(value, value - off, value + off))


def _half(study: Tables, column: str) -> float:
    """Half a last digit of a column; 0 where it is not printed. 1000 / TPOT is taken at face value."""
    digits = study.points.digits(column) if study.points else None
    return 0.0 if digits is None else 0.5 * 10.0**-digits


def _nearest(study: Tables, check: NearestKnot) -> Outcome:
    curve = knots(study, check.sku, check.axis)
    if not curve.x:
        return "wrong", check.says, "no knots", ""
    index = min(range(len(curve.x)), key=lambda one: abs(curve.x[one] - check.at))
    severity, says, _, corrected = _against(check.says, Interval.exact(curve.y[index]))
    return severity, says, f"{curve.y[index]:g} at {curve.x[index]:g}", f"{corrected} at {curve.x[index]:g}"


def _range(study: Tables, check: Range) -> Outcome:
    rows = [row for row in study.iso.rows if check.low <= float(row.label) <= check.high] if study.iso else []
    values = [value for row in rows if (value := getattr(row, check.column)) is not None]
    if not values:
        return "wrong", f"{check.least} to {check.most}", "no such rows", ""
    ends = f"{min(values):.2f} to {max(values):.2f}"
    holds = Interval.of(check.least).holds(min(values)) and Interval.of(check.most).holds(max(values))
    return "holds" if holds else "wrong", f"{check.least} to {check.most}", ends, ends


def _evidence(_study: Tables, check: Evidence) -> Outcome:
    severities: dict[str, Severity] = {"holds": "holds", "wrong": "wrong", "opinion": "note"}
    return severities[check.verdict], "", "", ""


CHECKS: Final[dict[str, Callable[[Tables, Any], Outcome]]] = {
    "arithmetic": _arithmetic,
    "whole": _whole,
    "peak": _peak,
    "reading": _reading,
    "nearest-knot": _nearest,
    "range": _range,
    "evidence": _evidence,
}
