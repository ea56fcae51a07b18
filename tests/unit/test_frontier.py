"""The frontier keeps what nothing else beats on both axes, and nothing more."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse.frontier import frontier

CurvePair = tuple[float, float]
COORDINATES = st.one_of(
    st.integers(-2, 6).map(float), st.floats(-10, 1e5, allow_nan=False)
)  # few integers, so that ties happen
PAIRS = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=40)


def knots(points: list[CurvePair]) -> list[CurvePair]:
    return frontier(points, x=lambda point: point[0], y=lambda point: point[1])


@given(PAIRS)
def test_the_frontier_of_a_frontier_is_itself(points: list[CurvePair]) -> None:
    assert knots(knots(points)) == knots(points)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(points: list[CurvePair], random) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)
    assert knots(shuffled) == knots(points)


@given(PAIRS)
def test_exactly_the_undominated_points_with_positive_x_are_kept(points: list[CurvePair]) -> None:
    def is_beaten(p: CurvePair) -> bool:
        return any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)

    assert set(knots(points)) == {p for p in points if p[0] > 0 and not is_beaten(p)}


@given(PAIRS)
def test_x_rises_and_y_falls_strictly(points: list[CurvePair]) -> None:
    kept = knots(points)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(kept))


def test_ties_keep_the_better_other_axis_and_duplicates_one() -> None:
    assert knots([(1, 5), (1, 4), (3, 2), (2, 2), (1, 5)]) == [(1, 5), (3, 2)]


def test_an_absent_or_infinite_coordinate_is_not_eligible() -> None:
    points: list[tuple[float | None, float | None]] = [
        (None, 9.0),
        (1.0, None),
        (float("inf"), 1.0),
        (0.0, 9.0),
        (2.0, 3.0),
    ]
    assert frontier(points, x=lambda point: point[0], y=lambda point: point[1]) == [(2.0, 3.0)]


def test_the_dominated_point_of_the_published_study_is_dropped() -> None:
    points = [
        (74.13, 32.8),
        (32.69, 1613.8),
        (28.31, 2004.5),
        (24.42, 3148.0),
        (21.26, 5336.2),
        (21.6, 6036.2),
        (18.51, 8153.1),
        (15.26, 8933.0),
    ]
    assert (21.26, 5336.2) not in knots(points)
    assert len(knots(points)) == 7


@given(PAIRS)
def test_a_mirrored_axis_keeps_what_the_frontier_of_mirrored_points_keeps(points: list[CurvePair]) -> None:
    cheapest = frontier(points, x=lambda point: point[0], y=lambda point: point[1], better=("more", "less"))
    assert cheapest == [(x, -y) for x, y in knots([(x, -y) for x, y in points])]


def test_throughput_over_a_latency_rises_from_the_left() -> None:
    waits = [(1.0, 10.0), (2.0, 9.0), (3.0, 30.0), (3.0, 20.0), (5.0, 30.0), (0.0, 99.0)]
    assert frontier(waits, x=lambda point: point[0], y=lambda point: point[1], better=("less", "more")) == [
        (1.0, 10.0),
        (3.0, 30.0),
    ]
