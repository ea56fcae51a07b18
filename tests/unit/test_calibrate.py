"""The fit finds the parameters that made the points, and says which points the others cannot predict."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import calibrate, load
from pipeline.calibrate import Fit, RequestLengths, Row, closed_loop
from pipeline.calibrate.fitting import _loop
from pipeline.errors import PipelineError, RecipeError
from pipeline.flow.context import texts
from pipeline.flow.published import points_of

BOOK = load.read(texts(Path(__file__).parents[2] / "recipes"))
PASS = 16384
HEAD = ",".join(calibrate.points.COLUMNS)
LINE = "deepseek-v4-pro,fp4,GB200 NVL72,8192,1024,256,3148.0,41.23,1,1,8,8,1,1,8,8"
TRUTH = {
    "overhead_s@gb200-nvl72": 20.0,
    "tok_s_gpu.resident@gb200-nvl72": 11000.0,
    "step_ms.DEP8@gb200-nvl72": 40.0,
    "slope.DEP8@8 TB/s": 12.0,
}


def row(shape: str, conc: int, given: tuple[float, float] = (1.0, 1.0), sku: str = "gb200-nvl72") -> Row:
    generator = np.random.RandomState(conc)
    inputs, outputs = generator.randint(6553, 8193, 4 * conc), generator.randint(819, 1025, 4 * conc)
    tokens = RequestLengths(tuple(inputs.tolist()), tuple(outputs.tolist()))
    return Row(BOOK.recipes[f"deepseek-v4-pro-fp4.{sku}.8k1k.{shape}"], 8.0, conc, *given, tokens)


def simulate(loops):
    return [closed_loop(loop) for loop in loops]


def made(shape: str, conc: int) -> Row:
    blank = row(shape, conc)
    names = Fit([blank, row(shape, conc)], simulate).names[blank]
    duration, tpot, *_ = closed_loop(_loop(blank, names, TRUTH, PASS))
    return row(shape, conc, (calibrate.rate(blank, duration, TRUTH["overhead_s@gb200-nvl72"]), tpot))


def test_one_request_takes_its_prefill_and_its_steps():
    blank = row("1p1d-dep8-dep8", 1)
    fit = Fit([blank, row("1p1d-dep8-dep8", 2)], simulate)
    duration, tpot, *_ = closed_loop(
        _loop(blank, fit.names[blank], {**TRUTH, "slope.DEP8@8 TB/s": 0.0}, PASS)
    )
    assert tpot == pytest.approx(40.0)
    assert duration == pytest.approx(sum(blank.lengths.inputs) / 11000 + sum(blank.lengths.outputs) * 0.040)


def test_the_fit_finds_the_parameters_that_made_the_points():
    rows = [made("1p1d-dep8-dep8", 16), made("1p1d-dep8-dep8", 128), made("2p1d-dep8-dep8", 512)]
    fit = Fit(rows, simulate)
    found = fit.fit()
    assert found == {name: pytest.approx(value, rel=0.02) for name, value in TRUTH.items()}
    assert np.abs(fit.residuals([(one, found) for one in rows])).max() < 0.002


def test_a_point_that_alone_holds_a_parameter_is_not_identifiable():
    rows = [made("1p1d-dep8-dep8", 16), made("1p1d-dep8-dep8", 48), made("2p1d-dep8-dep8", 512)]
    fit = Fit(rows, simulate)
    fit.fit()
    saturated, idle = fit.uncertainty(rows[2]), fit.uncertainty(rows[1])
    assert idle < saturated


def test_the_document_names_the_kind_that_a_slope_was_fitted_on():
    rows = [
        row("4p1d-dep4-dep8", 8, sku="gb300-nvl72"),
        row("5p1d-dep4-dep8", 8, sku="gb300-nvl72"),
        row("7p2d-dep4-dep16", 8, sku="gb300-nvl72"),
    ]
    fit = Fit(rows, simulate)
    timing = calibrate.sku_timing("gb300-nvl72", rows, fit.parameters, PASS)
    assert {one.kind: one.slope_of for one in timing.decode} == {"DEP16": "DEP8", "DEP8": "DEP8"}
    assert [one.kind for one in timing.prefill] == ["DEP4"]


def test_skus_of_equal_bandwidth_share_a_slope_and_nothing_else():
    rows = [row("1p1d-dep8-dep8", 8), row("1p1d-dep8-dep8", 16), row("4p1d-dep4-dep8", 8, sku="gb300-nvl72")]
    names = Fit(rows, simulate).names
    assert names[rows[0]].slope == names[rows[2]].slope
    assert names[rows[0]].step != names[rows[2]].step
    assert names[rows[0]].rate != names[rows[2]].rate


def test_one_point_of_a_family_cannot_be_fitted():
    with pytest.raises(PipelineError, match="decode workers TP4 cannot determine both step time and slope"):
        Fit([row("1p6d-dep4-tp4", 8, sku="gb300-nvl72")], simulate)


def test_points_are_read_with_their_shapes():
    (point,) = points_of(f"{HEAD}\n{LINE}\n", where="points.csv")
    assert (point.sku, point.conc, point.total_tok_s_gpu, point.decode.shape) == (
        "GB200 NVL72",
        256,
        3148.0,
        "DEP8",
    )
    assert point.is_of(BOOK.recipes["deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-dep8"], "gb200-nvl72")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("sku,conc\n", 1, "no column `precision`"),
        (f"{HEAD}\n", 1, "no rows below"),
        (f"{HEAD}\n{LINE.replace('3148.0', 'nan')}\n", 2, "total_tok_s_gpu is 'nan'"),
        (f"{HEAD}\n{LINE}\n{LINE.replace('41.23', '-1')}\n", 3, "tpot_ms is '-1'"),
        (f"{HEAD}\n{LINE.replace(',256,', ',many,')}\n", 2, "conc is 'many'"),
        (f"{HEAD}\n{LINE.replace(',256,', ',2_56,')}\n", 2, "conc is '2_56'"),
        (f"{HEAD}\n{LINE.replace(',256,', ',25.6,')}\n", 2, "conc is '25.6', not a positive integer"),
        (f"{HEAD}\n{LINE.replace('41.23', '٤١')}\n", 2, "tpot_ms is"),
        (f"{HEAD}\r{LINE}\n", 1, "not valid CSV"),
    ],
)
def test_points_that_are_none_are_refused_at_their_line(text, line, word):
    with pytest.raises(RecipeError) as caught:
        points_of(text, where="points.csv")
    problem = next(one for one in caught.value.problems if word in one.what)
    assert problem.line == line
    assert word in problem.what
