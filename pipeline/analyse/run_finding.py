"""The verdict on a run, and what it rests on: the largest change, what arrived, what was compared."""

from __future__ import annotations

from collections import Counter

from pipeline.schema.findings import Completeness, GapCount
from pipeline.schema.report import Change, ComparedPoints, CoverageRow, RunFinding, Verdict


def overall(changes: tuple[Change, ...], coverage: tuple[CoverageRow, ...]) -> Verdict:
    """Return one word: any worse point is worse; a gap or an unknown point is unknown.

    A new point is no gap.
    """
    verdicts = {change.verdict for change in changes if not change.is_new}
    if "worse" in verdicts:
        return "worse"
    if "unknown" in verdicts or not verdicts or any(row.state != "ran" for row in coverage):
        return "unknown"
    return "better" if "better" in verdicts else "same"


def run_finding(changes: tuple[Change, ...], coverage: tuple[CoverageRow, ...]) -> RunFinding:
    """Return the largest change for the worse, else for the better, what arrived, and what was compared."""
    for verdict in ("worse", "better"):
        moved = [change for change in changes if change.verdict == verdict]
        if moved:
            break
    return RunFinding(
        moved=max(moved, key=lambda change: abs(change.tok_s_gpu_change or 0.0), default=None),
        others_moved=max(0, len(moved) - 1),
        completeness=completeness(coverage),
        compared=_compared(changes),
    )


def completeness(coverage: tuple[CoverageRow, ...]) -> Completeness:
    """Return how many planned deployments and points arrived, and the others by state."""
    planned = [row for row in coverage if row.state != "not in plan"]
    gaps: dict[str, GapCount] = {}
    for row in planned:
        if row.state in ("invalid", "failed", "missing"):
            count = gaps[row.state].count if row.state in gaps else 0
            first = gaps[row.state].recipe if row.state in gaps else row.recipe
            gaps[row.state] = GapCount(state=row.state, count=count + 1, recipe=first)
    return Completeness(
        complete=sum(row.state == "ran" for row in planned),
        deployments=len(planned),
        points=sum(row.points for row in planned),
        planned_points=sum(row.planned_points or 0 for row in planned),
        is_lower_bound=any(row.planned_points is None for row in planned),
        gaps=tuple(gaps[state] for state in sorted(gaps)),
    )


def _compared(changes: tuple[Change, ...]) -> ComparedPoints:
    same = [change for change in changes if change.verdict == "same"]
    unknown = [change for change in changes if change.verdict == "unknown" and not change.is_new]
    reasons = Counter(change.reason for change in unknown)
    commonest = reasons.most_common(1)[0][0] if reasons else None
    return ComparedPoints(
        points=len(changes),
        same=len(same),
        new=sum(change.is_new for change in changes),
        unknown=len(unknown),
        runs=tuple(sorted({change.before_run for change in same if change.before_run})),
        example=next((change for change in unknown if change.reason == commonest), None),
    )
