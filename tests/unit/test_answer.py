"""Which SKU is cheaper where, held against rows worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.analyse.answer import Limit, answer
from pipeline.analyse.curves import UNREACHABLE, with_ratios
from pipeline.schema.findings import Answer, UncoveredRange
from pipeline.schema.report import IsoCell, IsoRow
from tests.fakes.rows import GB200, GB300

SKUS = (GB200, GB300)


def iso(*ratios: float | None) -> list[IsoRow]:
    """Rows at 10, 20, …: cost of the first SKU over the last; None = the last is unreachable."""
    rows = []
    for index, cost_ratio in enumerate(ratios, start=1):
        first = IsoCell(total_tok_s_gpu=1_000.0, usd_per_mtok=1.0, ttft_p50_ms=None, shape="A c1")
        last = (
            first.model_copy(update={"usd_per_mtok": 1 / cost_ratio, "shape": "B c1"})
            if cost_ratio
            else UNREACHABLE
        )
        rows.append(with_ratios(10.0 * index, (first, last)))
    return rows


def answered(rows: list[IsoRow], **changed: Any) -> Answer:
    found = answer(rows, SKUS, bar=0.05, origin="simulated", **changed)
    assert found is not None
    return found


def ranges(found: Answer) -> list[tuple[str, float, float]]:
    return [(one.winner, one.low, one.high) for one in found.ranges]


def test_the_answer_has_ranges_the_largest_win_first_then_what_is_level() -> None:
    found = answered(iso(1.04, 0.8, 2.5, 1.5, None))
    assert ranges(found) == [
        ("last", 30, 40),
        ("first", 20, 20),
        ("level", 10, 10),
        ("only_first", 50, 50),
    ]
    assert [(one.ratio, one.at) for one in found.ranges[:2]] == [
        (pytest.approx(2.5), 30),
        (pytest.approx(1.25), 20),
    ]
    assert (found.best, found.level_within, found.ttft_limit_s) == (found.ranges[0], 0.05, None)


def test_an_answer_under_a_limit_carries_the_deployments_behind_it() -> None:
    found = answered(iso(2.0), limit=Limit(10.0))
    assert (found.ranges[0].deployments, found.ttft_limit_s) == (("B c1", "A c1"), 10.0)
    assert answered(iso(2.0)).ranges[0].deployments is None


def test_a_directional_reading_is_marked_in_the_answer() -> None:
    (one,) = answered([directional(*iso(2.0), 1)]).ranges
    assert (one.winner, one.directional) == ("last", True)


def directional(row_: IsoRow, *sides: int) -> IsoRow:
    cells = (cell.model_copy(update={"directional": index in sides}) for index, cell in enumerate(row_.cells))
    return row_.model_copy(update={"cells": tuple(cells)})


def test_where_both_readings_are_directional_there_is_no_winner() -> None:
    wins, lost, level = iso(2.0, 0.5, 1.0)
    found = answered([wins, directional(lost, 0, 1), directional(level, 0, 1)])
    assert ranges(found) == [("last", 10, 10), ("direction_only", 20, 30)]
    only = answered([directional(wins, 0, 1)])
    assert (ranges(only), only.best) == ([("direction_only", 10, 10)], None)


def test_an_answer_under_a_limit_keeps_where_a_sku_has_no_point() -> None:
    uncovered = (UncoveredRange(sku=GB300, low=None, high=36.4),)
    assert answered(iso(2.0), limit=Limit(10.0, uncovered)).uncovered == uncovered


@pytest.mark.parametrize(
    ("rows", "skus", "origin"),
    [
        (iso(None), SKUS, "simulated"),
        (iso(2.0), SKUS[:1], "simulated"),
        (iso(2.0), SKUS, None),
    ],
)
def test_with_nothing_to_compare_there_is_no_answer(
    rows: list[IsoRow], skus: tuple[str, ...], origin: Any
) -> None:
    assert answer(rows, skus, bar=0.05, origin=origin) is None
