"""The run against the one before: the headline of a verdict, and the rule behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.render.tables import ICONS, short
from pipeline.render.text import number, percent
from pipeline.render.words.figures import Titles
from pipeline.render.words.length import LONGEST, cut, extended, fitted
from pipeline.render.words.reasons import diff_text, reason_text
from pipeline.schema.findings import Completeness
from pipeline.schema.reasons import FieldDiff
from pipeline.schema.report import Change, ComparedPoints, Definition, Report, RunFinding

DIRECTIONS: Final = {"worse": "slower", "better": "faster"}


def headline(report: Report) -> str:
    """Return the verdict in one line of plain text: icon, largest change or what ran, origin of the figures."""
    icon, origin = ICONS[report.verdict], _origin(report)
    longest = LONGEST - len(f"{icon} {origin}")
    if report.run.moved is not None:
        text = _moved(report.run, report.run.moved, report.sku_titles, longest)
    else:
        text = fitted(list(_quiet(report.run, report.definition)), longest)
    return f"{icon} {text}{origin}"


def rule(definition: Definition) -> str:
    """Return how the verdict of a run is reached."""
    return (
        "tok/s/GPU of each recipe at equal concurrency is compared with its previous run. A change of "
        f"{percent(definition.relevant_change)} or more is better or worse, a smaller one is the same. A "
        "replay with the same seed gives the same figures, so no margin for noise is needed. One measured "
        "run against one other gives no verdict (unknown): the noise between runs is not known."
    )


def _origin(report: Report) -> str:
    return f" ({report.origin})" if report.origin and report.origin != "measured" else ""


def _moved(run: RunFinding, first: Change, titles: Titles, longest: int) -> str:
    direction = DIRECTIONS[first.verdict]
    by = number(abs(first.tok_s_gpu_change or 0.0), "percent")
    starts = [
        f"{name} {first.shape} c{first.conc} {direction} by {by}"
        for name in (titles.get(first.sku, first.sku), first.sku)
    ]
    others = [f" · {run.others_moved} more {direction}"] if run.others_moved else []
    gaps = [f" · {_ran(run.completeness, with_names=False)}"] if run.completeness.gaps else []
    return extended(fitted(starts, longest), (_causes(first.differs), others, gaps), longest)


def _causes(differs: tuple[FieldDiff, ...]) -> list[str]:
    """Return what differs between the two runs, the most detailed text first."""
    if not differs:
        return [": no setting differs"]
    texts = [diff_text(diff) for diff in differs]
    more = [f" and {len(texts) - shown} more" if len(texts) > shown else "" for shown in (1, 2)]
    count = f": {len(texts)} setting{'s' * (len(texts) > 1)} differ{'s' * (len(texts) == 1)}"
    return [f": {', '.join(texts[:2])}{more[1]}", f": {texts[0]}{more[0]}", count]


def _quiet(run: RunFinding, definition: Definition) -> Iterator[str]:
    """Yield what ran and what it was compared with, the most detailed text first."""
    for with_names, with_run, with_counts in (
        (True, True, True),
        (True, True, False),
        (True, False, False),
        (False, False, False),
    ):
        compared = _compared(run.compared, definition, with_run=with_run, with_counts=with_counts)
        yield f"{_ran(run.completeness, with_names=with_names)} · {compared}"


def _ran(found: Completeness, *, with_names: bool) -> str:
    least = "≥ " if found.is_lower_bound else ""
    gaps = "".join(
        f" · {gap.count} {gap.state}" + (f" ({short(gap.recipe)})" if with_names and gap.count == 1 else "")
        for gap in found.gaps
    )
    points = f"{found.points}/{least}{found.planned_points} points"
    return f"{found.complete}/{found.deployments} deployments · {points}{gaps}"


def _compared(found: ComparedPoints, definition: Definition, *, with_run: bool, with_counts: bool) -> str:
    if found.new == found.points:
        return "no earlier run to compare with"
    new = f", {found.new} new" if found.new else ""
    if not found.same and found.example is not None:
        points = f"{found.unknown} point{'s' * (found.unknown > 1)}"
        reason = cut(reason_text(found.example.reason), LONGEST)
        return f"no verdict for {points}{new if with_counts else ''}: {reason}"
    against = f"run {found.runs[0]}" if len(found.runs) == 1 else f"{len(found.runs)} runs"
    unknown = f", {found.unknown} not comparable" if found.unknown else ""
    text = f"no change of {percent(definition.relevant_change)} or more"
    text += f" against {against}" if with_run else ""
    return text + (f" ({found.same} compared{unknown}{new})" if with_counts else "")
