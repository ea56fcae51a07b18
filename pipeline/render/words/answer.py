"""Which SKU is cheaper where: one line for the headline, and the ranges behind it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from pipeline.render.text import fixed, number, percent, plain
from pipeline.render.words.figures import Titles, at_grid, sku, span
from pipeline.render.words.length import fitted
from pipeline.schema.findings import Answer, AnswerRange, UncoveredRange

UNIT = "tok/s/user"


def headline(answer: Answer, titles: Titles) -> str:
    """Return the largest win in one sentence of plain text, with SKU ids where the names are too long."""
    names = ([titles.get(name, name) for name in answer.skus], list(answer.skus))
    return fitted([f"{_claim(answer, first, last)} ({answer.origin})" for first, last in names])


def _claim(answer: Answer, first: str, last: str) -> str:
    best = answer.best
    if best is not None:
        winner, other = (last, first) if best.winner == "last" else (first, last)
        limit = "" if best.low == best.high else "up to "
        about = "about " if best.directional else ""
        times = f"{limit}{about}{fixed(best.ratio or 0.0, 2)} times"
        return f"{winner} gives {times} the tokens per dollar of {other}, at {at_grid(best.at or 0.0)} {UNIT}"
    level = next((one for one in answer.ranges if one.winner == "level"), None)
    if level is None:
        return f"{first} and {last}: no winner per dollar, readings are directional only"
    within = percent(answer.level_within)
    return f"{first} and {last} cost the same per token within {within}, {span(level.low, level.high)} {UNIT}"


def details(answer: Answer, titles: Titles) -> str:
    """Return every range of the grid with its winner, as one Markdown paragraph."""
    if answer.ttft_limit_s is None:
        start = "Tokens per dollar at equal interactivity"
    else:
        start = f"Tokens per dollar with a median TTFT of at most {number(answer.ttft_limit_s, 'grid')} s"
    ranges = "; ".join(_range(one, answer, titles) for one in answer.ranges)
    return f"{start} ({answer.origin}): {ranges}.{_uncovered(answer.uncovered, titles)}"


def _range(found: AnswerRange, answer: Answer, titles: Titles) -> str:
    first, last = (sku(titles, name) for name in answer.skus)
    where = f"{span(found.low, found.high)} {UNIT}"
    match found.winner:
        case "level":
            return f"the two SKUs are level (within {percent(answer.level_within)}) {where}"
        case "direction_only":
            return f"both readings are directional {where}, so no winner is named"
        case "only_first" | "only_last":
            return f"only {first if found.winner == 'only_first' else last} has figures {where}"
        case "first" | "last":
            return f"{last if found.winner == 'last' else first} leads {where}, {_by(found)}"


def _by(found: AnswerRange) -> str:
    about = "≈ " if found.directional else ""
    figure = f"{about}{number(found.ratio, 'ratio')}"
    most = figure if found.low == found.high else f"up to {figure} at {at_grid(found.at or 0.0)}"
    if found.deployments is None:
        return most
    return f"{most} ({plain(found.deployments[0])} against {plain(found.deployments[1])})"


def _uncovered(ranges: Iterable[UncoveredRange], titles: Titles) -> str:
    """Return where a SKU has no point within the limit, one sentence a SKU."""
    sentences = []
    for name, group in groupby(ranges, key=lambda one: one.sku):
        where = " or ".join(_place(one) for one in group)
        sentences.append(f" No tested deployment of {sku(titles, name)} meets the limit {where} {UNIT}.")
    return "".join(sentences)


def _place(found: UncoveredRange) -> str:
    high = number(found.high, "interactivity")
    if found.low is None:
        return f"below {high}"
    return f"between {number(found.low, 'interactivity')} and {high}"
