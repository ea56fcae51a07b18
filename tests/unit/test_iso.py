"""Reading between knots reproduces the published study's tables, and stops where the knots stop."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.analyse.cost import ratio, usd_per_mtok, usd_per_mtok_held
from pipeline.analyse.iso import bracket, read_at, tangents

GB200 = (
    [15.26, 18.51, 21.6, 24.42, 28.31, 32.69, 74.13],
    [8933.0, 8153.1, 6036.2, 3148.0, 2004.5, 1613.8, 32.8],
)
GB300 = ([13.12, 14.74, 17.58, 25.91, 36.78, 73.43], [11055.6, 10853.1, 10214.0, 6812.0, 1920.0, 138.8])


def costs(knots_y: list[float], usd: float) -> list[float]:
    return [usd_per_mtok(usd, y) or 0.0 for y in knots_y]


def test_tangents_are_those_of_the_published_curves() -> None:
    assert tangents(*GB200) == pytest.approx(
        [-125.883, -468.1416, -862.3787, -587.9177, -178.4018, -76.3031, -19.0758], abs=1e-3
    )
    assert tangents(*GB300) == pytest.approx(
        [-106.8322, -161.3357, -271.657, -426.4702, -97.2005, -24.3001], abs=1e-3
    )


def test_tangents_of_cost_are_those_of_the_published_curves() -> None:
    gb200 = [0.001011, 0.004045, 0.017091, 0.031201, 0.023109, 0.033856, 0.646769]
    gb300 = [0.000635, 0.001032, 0.002215, 0.008648, 0.050281, 0.176376]
    assert tangents(GB200[0], costs(GB200[1], 2.21)) == pytest.approx(gb200, abs=2e-6)
    assert tangents(GB300[0], costs(GB300[1], 2.652)) == pytest.approx(gb300, abs=2e-6)


@pytest.mark.parametrize(
    ("at", "gb200", "gb300"),
    [
        (17, 8657.06, 10367.65),
        (24, 3454.05, 7658.70),
        (27, 2236.99, 6307.55),
        (30, 1791.72, 4670.14),
        (40, 1125.48, 1627.03),
        (60, 333.68, 508.97),
        (73.43, 46.16, 138.8),
    ],
)
def test_throughput_read_at_an_interactivity(at: float, gb200: float, gb300: float) -> None:
    assert read_at(*GB200, at) == pytest.approx(gb200, abs=0.01)
    assert read_at(*GB300, at) == pytest.approx(gb300, abs=0.01)


@pytest.mark.parametrize(
    ("at", "gb200", "gb300"),
    [
        (16, 0.0695, 0.0694),
        (22, 0.1086, 0.0860),
        (27, 0.2744, 0.1168),
        (36, 0.4462, 0.3620),
        (50, 0.9457, 0.7830),
    ],
)
def test_cost_derived_from_the_throughput_read(at: float, gb200: float, gb300: float) -> None:
    assert usd_per_mtok(2.21, read_at(*GB200, at)) == pytest.approx(gb200, abs=5.1e-5)
    assert usd_per_mtok(2.652, read_at(*GB300, at)) == pytest.approx(gb300, abs=5.1e-5)


@pytest.mark.parametrize(
    ("at", "gb200", "gb300"), [(24, 0.1808, 0.0943), (40, 1.3718, 0.5802), (60, 9.9129, 3.0145)]
)
def test_cost_with_its_own_spline_as_the_article_had_it(at: float, gb200: float, gb300: float) -> None:
    assert read_at(GB200[0], costs(GB200[1], 2.21), at) == pytest.approx(gb200, abs=5.1e-5)
    assert read_at(GB300[0], costs(GB300[1], 2.652), at) == pytest.approx(gb300, abs=5.1e-5)


def test_outside_the_knots_there_is_no_number() -> None:
    assert read_at(*GB300, 73.44) is None
    assert read_at(*GB200, 13.12) is None
    assert read_at([], [], 1.0) is None
    assert ratio(read_at(*GB300, 14.0), read_at(*GB200, 14.0)) is None


def test_the_ends_are_inside() -> None:
    assert (read_at(*GB200, 15.26), read_at(*GB200, 74.13)) == (8933.0, 32.8)


def test_one_knot_answers_for_itself_alone() -> None:
    assert read_at([20.0], [5.0], 20.0000005) == 5.0
    assert read_at([20.0], [5.0], 20.00001) is None


def test_two_knots_are_joined_by_a_straight_line() -> None:
    assert read_at([10.0, 20.0], [100.0, 0.0], 12.5) == pytest.approx(75.0)


def test_knots_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="rise strictly"):
        read_at([2.0, 1.0], [1.0, 2.0], 1.5)


def test_the_bracket_of_a_knot_is_the_knot() -> None:
    assert bracket(GB300[0], 25.91) == (3, 3)
    assert bracket(GB300[0], 27.0) == (3, 4)
    assert bracket(GB300[0], 80.0) is None


STEPS = st.lists(st.floats(0.1, 50), min_size=1, max_size=8)


@given(STEPS, st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8), st.floats(0, 1), st.integers(0, 7))
def test_between_knots_the_curve_stays_between_them(
    steps: list[float], values: list[float], share: float, place: int
) -> None:
    x = [sum(steps[:count], 1.0) for count in range(len(steps))]
    y = values[: len(x)]
    left = place % len(x)
    assume(left + 1 < len(x))
    read = read_at(x, y, min(x[left] + share * (x[left + 1] - x[left]), x[-1]))
    assert read is not None
    slack = 1e-9 * (1 + abs(y[left]) + abs(y[left + 1]))
    assert min(y[left], y[left + 1]) - slack <= read <= max(y[left], y[left + 1]) + slack


@given(STEPS, st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8), st.integers(0, 7))
def test_a_knot_gives_the_knot(steps: list[float], values: list[float], place: int) -> None:
    x = [sum(steps[:count], 1.0) for count in range(len(steps))]
    at = place % len(x)
    assert read_at(x, values[: len(x)], x[at]) == pytest.approx(values[at], rel=1e-12, abs=1e-9)


def test_cost_needs_a_price_and_a_throughput() -> None:
    assert usd_per_mtok(None, 100.0) is None
    assert usd_per_mtok(2.21, None) is None
    assert usd_per_mtok(2.652, 138.8) == pytest.approx(5.3074, abs=5e-5)


def test_held_gpus_are_paid_too() -> None:
    assert usd_per_mtok_held(3.6, 1000.0, counted=16, held=20) == pytest.approx(1.25)
