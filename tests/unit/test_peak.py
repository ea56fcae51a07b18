"""The largest ratio of two curves: on the grid that was declared, inside what was measured, and where measuring ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse.iso import Knots
from pipeline.analyse.peak import CurvePair, peak
from pipeline.analyse.reach import reach

FLAT = Knots((10.0, 20.0, 40.0), (100.0, 99.0, 98.0))
HUMP = Knots((10.0, 20.0, 40.0), (150.0, 148.0, 50.0))


def test_a_ratio_that_falls_has_its_largest_at_the_edge():
    found = peak(
        CurvePair(FLAT, Knots((10.0, 20.0, 40.0), (300.0, 200.0, 100.0))), (15.0, 25.0), "total_tok_s_gpu"
    )
    assert (found.kind, found.highest.at, found.highest.ratio) == ("edge", 10.0, 3.0)
    assert found.local == ()
    assert found.passed_again_from is None
    assert found.on_grid.at == 15.0


def test_a_peak_inside_is_told_from_the_edges():
    found = peak(
        CurvePair(Knots((10.0, 20.0, 40.0), (200.0, 80.0, 70.0)), HUMP), (12.0, 35.0), "total_tok_s_gpu"
    )
    assert found.kind == "local peak"
    assert 19 < found.highest.at < 25
    assert found.highest.ratio > max(found.low.ratio, found.high.ratio, found.on_grid.ratio)


def test_only_the_range_that_both_have_measured_is_searched():
    found = peak(
        CurvePair(Knots((5.0, 25.0), (100.0, 50.0)), Knots((15.0, 60.0), (90.0, 10.0))),
        (1.0, 20.0, 99.0),
        "total_tok_s_gpu",
    )
    assert (found.low.at, found.high.at, found.on_grid.at) == (15.0, 25.0, 20.0)


@pytest.mark.parametrize("other", [Knots((50.0, 60.0), (9.0, 1.0)), Knots((20.0,), (9.0,)), Knots((), ())])
def test_curves_without_a_common_range_have_no_peak(other: Knots):
    assert peak(CurvePair(FLAT, other), (20.0,), "total_tok_s_gpu") is None


def test_without_a_price_there_is_no_peak_of_cost():
    assert peak(CurvePair(FLAT, HUMP, 2.0), (20.0,), "usd_per_mtok") is None


def test_derived_cost_peaks_where_throughput_does():
    speed, cost = (
        peak(CurvePair(FLAT, HUMP, 2.0, 3.0), (20.0,), quantity)
        for quantity in ("total_tok_s_gpu", "usd_per_mtok")
    )
    assert cost.highest.at == pytest.approx(speed.highest.at, abs=1e-6)
    assert cost.highest.ratio == pytest.approx(speed.highest.ratio * 2 / 3)


VALUES = st.lists(st.floats(1, 1e4), min_size=3, max_size=3, unique=True).map(
    lambda values: tuple(sorted(values, reverse=True))
)


@given(VALUES, VALUES)
def test_no_reading_is_above_the_highest(first: tuple[float, ...], second: tuple[float, ...]):
    pair = CurvePair(Knots((10.0, 20.0, 40.0), first), Knots((12.0, 25.0, 35.0), second))
    found = peak(pair, (), "total_tok_s_gpu")
    at = [12.0 + 23.0 * step / 997 for step in range(998)]
    assert max(pair.ratios(at, "total_tok_s_gpu")) <= found.highest.ratio * (1 + 1e-6)


def test_article_cost_is_a_spline_of_its_own_and_meets_derived_cost_at_the_knots_alone():
    at_knots, between = [10.0, 20.0, 40.0], [15.0, 30.0]
    assert HUMP.cost(at_knots, 2.0, "article") == pytest.approx(HUMP.cost(at_knots, 2.0))
    assert all(
        abs(a / b - 1) > 1e-3
        for a, b in zip(HUMP.cost([30.0], 2.0, "article"), HUMP.cost([30.0], 2.0), strict=True)
    )
    assert HUMP.cost([9.0, 41.0], 2.0, "article") == [None, None]
    assert HUMP.cost(between, None, "article") == HUMP.cost(between, None) == [None, None]


def test_the_gap_is_between_the_knots_around_and_none_outside():
    assert [FLAT.gap(at) for at in (9.0, 10.0, 15.0, 30.0, 41.0)] == [None, 0.0, 10.0, 20.0, None]


def test_reach_of_a_knot_is_what_its_digits_leave_open():
    assert reach(FLAT, lambda moved: moved.read([20.0])[0], half_x=0.0, half_y=0.5) == pytest.approx(
        0.5, rel=1e-6
    )
    assert reach(FLAT, lambda moved: moved.read([99.0])[0], half_x=1.0, half_y=0.5) is None
