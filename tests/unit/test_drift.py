"""A kept report says what a new run does not reproduce."""

from pipeline.analyse import drift
from pipeline.render import moved_table
from tests.fakes import rows


def data(tok_s_gpu=11_000.0):
    recipe = rows.recipe()
    return rows.report_data(rows.row(recipe, 4096, (tok_s_gpu, 13.0)))


def test_equal_data_has_not_moved():
    assert drift(data(), data(), tolerance=0.0) == ()


def test_a_figure_beyond_the_tolerance_is_named_and_one_within_is_not():
    moved = drift(data(11_000.0), data(10_780.0), tolerance=0.01)
    assert [one.figure for one in moved] == ["total_tok_s_gpu"]
    assert drift(data(11_000.0), data(10_950.0), tolerance=0.01) == ()
    assert "−2.0 %" in moved_table(moved)


def test_a_point_that_only_one_of_them_has_is_named():
    moved = drift(data(), data().model_copy(update={"rows": ()}), tolerance=0.01)
    assert {one.new for one in moved} == {None}
    assert "none" in moved_table(moved)


def test_a_point_that_is_refused_now_is_missing_however_equal_its_figures():
    recipe = rows.recipe()
    refused = rows.report_data(rows.row(recipe, 4096, (11_000.0, 13.0), reasons=("drift: slower",)))
    assert {(one.kept is None, one.new) for one in drift(data(), refused, tolerance=0.01)} == {(False, None)}
    assert drift(refused, refused, tolerance=0.01) == ()
