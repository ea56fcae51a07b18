"""The findings on the first page of a report, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.render.text import about, number, plain
from pipeline.render.words import answer
from pipeline.render.words.figures import Titles, at_grid, ratio, sku
from pipeline.schema.findings import LargestRatio, LongWaits, ReadRatio, StudyFinding
from pipeline.schema.published import Study
from pipeline.schema.report import Report


def highlights(report: Report) -> Iterator[str]:
    """Yield what a reader who stops at the first page should know."""
    titles = report.sku_titles
    if report.answer:
        yield answer.details(report.answer, titles)
    if report.largest_ratio:
        yield largest_ratio(report.largest_ratio, titles)
    if report.long_waits:
        yield long_waits(report.long_waits, titles)
    if report.comparison and report.comparison.slo_answer:
        yield answer.details(report.comparison.slo_answer, titles)
    for section in report.studies:
        if section.finding:
            yield study(section.finding, section.study, titles)


def largest_ratio(found: LargestRatio, titles: Titles) -> str:
    """Return the largest throughput ratio on the grid, those at its ends, and the local peak."""
    first, last = (sku(titles, name) for name in found.skus)
    largest, (low, high) = found.throughput, found.ends
    cost = about(number(found.cost_ratio, "ratio"), directional=largest.directional)
    per_dollar = f" and {cost} the tokens per dollar" if found.cost_ratio is not None else ""
    grid = f"{at_grid(low.at)} to {at_grid(high.at)} tok/s/user"
    text = f"{last} gives {ratio(largest)} the tok/s/GPU{per_dollar} of {first} at {at_grid(largest.at)} "
    text += "tok/s/user, "
    text += f"the largest throughput ratio on the grid ({grid}; {found.origin}"
    text += "; directional)" if largest.directional else ")"
    if low.at != high.at:
        text += f"; it is {ratio(low)} at {at_grid(low.at)} and {ratio(high)} at {at_grid(high.at)}"
    return f"{text}.{_between(found)}"


def _between(found: LargestRatio) -> str:
    if found.range_end is None:
        return ""
    end = f"at the end of the common range, {_place(found.range_end)}, it is {ratio(found.range_end)}"
    peak = "no local peak"
    if found.local_peak:
        peak = f"a local peak of {ratio(found.local_peak)} at {_place(found.local_peak)}"
    return f" Between the points of the grid it has {peak}; {end}."


def _place(found: ReadRatio) -> str:
    return f"{number(found.at, 'interactivity')} tok/s/user"


def long_waits(found: LongWaits, titles: Titles) -> str:
    """Return how many points wait long for the first token, and the longest wait."""
    limit = number(found.limit_ms / 1000, "grid")
    longest = f"{sku(titles, found.longest.sku)} {plain(found.longest.shape)} c{found.longest.conc}"
    return (
        f"Interactivity does not include the wait for the first token: the median TTFT is above {limit} s at "
        f"{found.count} of {found.points} points, and {number(found.longest_ms, 'seconds')} s at most "
        f"({longest})."
    )


def study(found: StudyFinding, of: Study, titles: Titles) -> str:
    """Return what a study reads where our ratio is largest, and where it favours the other SKU per dollar."""
    source = f"Published figures ({plain(of.source)}, dated {of.measured_on} by the source)"
    text = f"{source} give {ratio(found.theirs)} the tok/s/GPU at {at_grid(found.ours.at)} tok/s/user; "
    text += f"the {found.origin} figures give {ratio(found.ours)}."
    for one in found.disagreements:
        theirs, ours = (sku(titles, found.skus[int(side.ratio > 1)]) for side in (one.theirs, one.ours))
        text += f" At {at_grid(one.at)} tok/s/user the published tokens per dollar favour {theirs} "
        text += f"({ratio(one.theirs)}), "
        text += f"the {found.origin} ones {ours} ({ratio(one.ours)})."
    return text
