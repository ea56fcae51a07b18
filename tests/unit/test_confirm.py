"""What replays say of a calibration: errors of each point, and what the other points cannot predict."""

from __future__ import annotations

import math

from pipeline.calibrate.confirm import IDENTIFIABLE, LeaveOneOut, Replayed, identifiable, point_error
from pipeline.calibrate.rows import Row
from pipeline.deployment.closed_loop import RequestLengths
from tests.fakes.rows import recipe

ROW = Row(recipe("1p1d-dep4-dep4"), 8.0, 4, 100.0, 10.0, RequestLengths((800, 800), (100, 100)))
FITTED = Replayed(duration_s=10.0, overhead_s=0.0, tpot_ms=11.0, versions={})


def test_a_point_that_the_others_cannot_predict_has_no_left_out_figures():
    error = point_error(ROW, FITTED, LeaveOneOut(math.inf, None))
    assert (error.left_out_total_tok_s_gpu, error.left_out_tpot_ms, error.left_out_sd) == (None, None, None)
    assert (error.tpot_ms, error.fitted_tpot_ms) == (10.0, 11.0)


def test_the_throughput_of_a_prediction_twice_as_slow_is_half():
    slower = Replayed(duration_s=20.0, overhead_s=0.0, tpot_ms=22.0, versions={})
    error = point_error(ROW, FITTED, LeaveOneOut(0.05, slower))
    assert error.left_out_total_tok_s_gpu == error.fitted_total_tok_s_gpu / 2
    assert error.left_out_sd == 0.05


def test_a_row_is_identifiable_up_to_the_limit():
    other = Row(ROW.recipe, 8.0, 8, 100.0, 10.0, ROW.lengths)
    assert identifiable({ROW: IDENTIFIABLE, other: IDENTIFIABLE + 0.01}) == [ROW]
