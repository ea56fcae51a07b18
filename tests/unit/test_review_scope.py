"""What a review looks at: new problems, and the recipes on the curve of a changed one."""

from __future__ import annotations

from pipeline.analyse.review_scope import annotation, new_problems, rest_of_curves
from pipeline.errors import Problem
from tests.fakes.rows import GB200, GB300, recipe


def problem(what: str, severity: str = "warning") -> Problem:
    return Problem("recipes/a.yaml", 3, 1, what, "do this", severity)


def test_known_warnings_are_left_out_and_errors_never():
    known = [("a.yaml", problem("old")), ("a.yaml", problem("wrong", "error"))]
    found = [*known, ("a.yaml", problem("new")), ("b.yaml", problem("old"))]
    assert new_problems(found, known) == [problem("wrong", "error"), problem("new"), problem("old")]


def test_an_annotation_has_the_advice_of_the_problem():
    assert annotation(problem("old")).message == "old — do this"


def test_the_rest_of_a_curve_is_the_unchanged_recipes_of_its_sku():
    recipes = {"a": recipe("1p1d-dep4-dep4", sku=GB300), "b": recipe("2p1d-dep4-dep4", sku=GB300)}
    recipes["c"] = recipe("1p1d-dep4-dep4", sku=GB200)
    assert rest_of_curves(["a"], recipes) == ["b"]
    assert rest_of_curves([], recipes) == []
