"""All 60 cells of the published iso-interactivity table: what its printed knots reproduce, and why the rest cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.analyse.iso import Knots
from pipeline.analyse.peak import CurvePair
from pipeline.analyse.published import knots, peak_of
from pipeline.analyse.reach import reach
from pipeline.flow.published import read_study
from pipeline.schema.published import PublishedIsoRow
from tests.golden.regenerate import recipe_set

ROOT = Path(__file__).parents[2]
STUDY = read_study(ROOT / "reports/published/2026-05-22-gb300-vs-gb200.yaml", recipe_set().catalogue)
AXIS = "interactivity_as_printed"
SKUS = ("gb200-nvl72", "gb300-nvl72")
ISO = STUDY.iso
USD = 2.652

# Unrounded points inside the rounding boxes of the printed ones, found by a local search.
WITNESS_GB200 = Knots.of(
    [
        (15.25984, 8932.999),
        (18.5092, 8153.094),
        (21.59733, 6036.176),
        (24.42016, 3148.018),
        (28.30844, 2004.468),
        (32.68771, 1613.828),
        (74.13, 32.8),
    ]
)
WITNESS_GB300 = Knots.of(
    [
        (13.12007, 11055.6),
        (14.73788, 10853.085),
        (17.57883, 10213.992),
        (25.90952, 6811.973),
        (36.78346, 1920.015),
        (73.4265, 138.753),
    ]
)
ROUNDING = "the printed points are rounded: within reach of their digits"
IMPOSSIBLE = "2.83 cannot follow from 6182 / 2189: 2.825 at most"
MISSES = {
    ("16", "gb300"): ROUNDING,
    ("18", "gb300"): ROUNDING,
    ("20", "gb200"): ROUNDING,
    ("22", "ratio"): ROUNDING,
    ("25", "gb300"): ROUNDING,
    ("27", "ratio"): IMPOSSIBLE,
    ("27", "$ ratio"): ROUNDING,
    ("28", "gb200"): ROUNDING,
    ("28", "$ ratio"): ROUNDING,
    ("36", "gb300"): ROUNDING,
    ("22", "gb200"): ROUNDING,
}


FIGURES = {
    "gb200": lambda pair, at: pair.first.read([at])[0],
    "gb300": lambda pair, at: pair.second.read([at])[0],
    "ratio": lambda pair, at: pair.ratios([at], "total_tok_s_gpu")[0],
    "gb200 $": lambda pair, at: pair.first.cost([at], pair.usd_first, "article")[0],
    "gb300 $": lambda pair, at: pair.second.cost([at], pair.usd_second, "article")[0],
    "$ ratio": lambda pair, at: pair.ratios([at], "usd_per_mtok", "article")[0],
}


@dataclass(frozen=True)
class Cell:
    """One cell as printed and as computed, cost splined apart as the study had it."""

    row: str
    at: float
    column: str
    printed: float
    pair: CurvePair

    @property
    def name(self) -> tuple[str, str]:
        return self.row, self.column

    @property
    def decimals(self) -> int:
        return 0 if self.column in ("gb200", "gb300") else 2

    @property
    def computed(self) -> float:
        return FIGURES[self.column](self.pair, self.at)

    @property
    def is_exact(self) -> bool:
        return f"{self.computed:.{self.decimals}f}" == f"{self.printed:.{self.decimals}f}"

    @property
    def is_within_reach(self) -> bool:
        """Half a last digit, and what the rounding of every knot of both curves can move."""
        read, halves = FIGURES[self.column], {"half_x": 0.005, "half_y": 0.05}
        moved = reach(self.pair.first, lambda knots: read(replace(self.pair, first=knots), self.at), **halves)
        moved += reach(
            self.pair.second, lambda knots: read(replace(self.pair, second=knots), self.at), **halves
        )
        return abs(self.computed - self.printed) <= 0.5 * 10**-self.decimals + moved


def printed_pair(usd_gb300: float = USD) -> CurvePair:
    return CurvePair(knots(STUDY, SKUS[0], AXIS), knots(STUDY, SKUS[1], AXIS), 2.21, usd_gb300)


def row_cells(pair: CurvePair, row: PublishedIsoRow) -> list[Cell]:
    printed = (*row.total_tok_s_gpu, row.throughput_ratio, *row.usd_per_mtok, row.cost_ratio)
    return [
        Cell(row.label, row.interactivity, column, said, pair)
        for column, said in zip(FIGURES, printed, strict=True)
    ]


def cells(pair: CurvePair) -> list[Cell]:
    return [cell for row in ISO.rows for cell in row_cells(pair, row)]


def test_the_printed_points_reproduce_the_table_but_for_the_misses_that_are_listed():
    found = cells(printed_pair())
    assert len(found) == 60
    assert {cell.name for cell in found if not cell.is_exact} == set(MISSES)
    assert sum(cell.is_exact for cell in found) == 49


def test_at_the_printed_rate_two_more_cells_are_exact():
    assert sum(cell.is_exact for cell in cells(printed_pair(2.65))) == 51


def test_every_cell_lies_within_reach_of_the_rounding_of_its_points():
    out_of_reach = [cell for cell in cells(printed_pair()) if not cell.is_within_reach]
    assert out_of_reach == []


def test_a_label_of_27_that_was_read_at_27_would_put_its_row_out_of_reach():
    row = next(row for row in ISO.rows if row.label == "27").model_copy(update={"at": 27.0})
    assert any(not cell.is_within_reach for cell in row_cells(printed_pair(), row))


def test_unrounded_points_within_the_printed_digits_give_every_cell_but_one():
    witness = CurvePair(WITNESS_GB200, WITNESS_GB300, 2.21, USD)
    for mine, printed in (
        (WITNESS_GB200, knots(STUDY, SKUS[0], AXIS)),
        (WITNESS_GB300, knots(STUDY, SKUS[1], AXIS)),
    ):
        assert mine.x == pytest.approx(printed.x, abs=0.005)
        assert mine.y == pytest.approx(printed.y, abs=0.05)
    missed = [cell for cell in cells(witness) if not cell.is_exact]
    assert [cell.name for cell in missed] == [("27", "ratio")]
    assert f"{missed[0].computed:.2f}" == "2.82"


def test_the_cell_that_is_left_is_impossible_from_its_operands():
    row = next(row for row in ISO.rows if row.label == "27")
    assert row.throughput_ratio == 2.83
    assert (row.total_tok_s_gpu[1] + 0.5) / (row.total_tok_s_gpu[0] - 0.5) < 2.825


@pytest.mark.parametrize(
    ("at", "gb200", "gb300", "ratio"),
    [
        (16, 0.0695, 0.0694, 1.001),
        (18, 0.0734, 0.0730, 1.006),
        (20, 0.0843, 0.0784, 1.075),
        (22, 0.1086, 0.0860, 1.262),
        (25, 0.2157, 0.1022, 2.111),
        (27, 0.2744, 0.1168, 2.350),
        (28, 0.2982, 0.1273, 2.343),
        (32, 0.3696, 0.2064, 1.791),
        (36, 0.4462, 0.3620, 1.233),
        (50, 0.9457, 0.7830, 1.208),
    ],
)
def test_cost_derived_from_throughput_in_every_row(at: float, gb200: float, gb300: float, ratio: float):
    pair = printed_pair()
    assert pair.first.cost([at], 2.21) == pytest.approx([gb200], abs=5.1e-5)
    assert pair.second.cost([at], USD) == pytest.approx([gb300], abs=5.1e-5)
    assert pair.ratios([at], "usd_per_mtok") == pytest.approx([ratio], abs=5.1e-4)


def test_the_throughput_ratio_has_one_peak_inside_and_a_larger_edge():
    found = peak_of(STUDY, axis=AXIS, quantity="total_tok_s_gpu")
    assert [(place.at, place.ratio) for place in found.local] == [pytest.approx((27.32, 2.8237), abs=6e-3)]
    assert (found.on_grid.at, found.on_grid.ratio) == pytest.approx((27.0, 2.8197), abs=1e-4)
    assert (found.kind, found.highest.at, found.highest.ratio) == (
        "edge",
        73.43,
        pytest.approx(3.007, abs=5e-4),
    )
    assert found.passed_again_from == pytest.approx(73.145, abs=0.005)


def test_cost_splined_apart_peaks_elsewhere_and_is_passed_from_40_on():
    found = peak_of(STUDY, axis=AXIS, quantity="usd_per_mtok", cost="article")
    assert (found.local[0].at, found.local[0].ratio) == pytest.approx((27.42, 2.306), abs=5e-3)
    assert found.on_grid.at == 50
    assert found.passed_again_from == pytest.approx(39.5, abs=0.1)


def test_on_the_median_axis_the_peak_is_2_81():
    found = peak_of(STUDY, axis="interactivity", quantity="total_tok_s_gpu")
    assert (found.local[0].at, found.local[0].ratio) == pytest.approx((27.09, 2.814), abs=5e-3)
