"""Curves of a CSV: the column that makes the frontier, and the points that are not on it."""

from __future__ import annotations

import pytest

from pipeline.analyse.csv_curves import IsoRequest, RankedPoint, by_sku, ranking, read_csv
from pipeline.errors import PipelineError
from pipeline.load.select import find_recipe, matching, one_recipe
from tests.fakes.rows import GB200
from tests.golden.regenerate import recipe_set

RECIPES = recipe_set().recipes
NAME = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.6p1d-dep4-dep8"


def request(**changed) -> IsoRequest:
    return IsoRequest(
        **{"at": (15.0,), "x": "interactivity", "y": "total_tok_s_gpu", "cost": None, "tier": "hyperscaler"}
        | {"gap": 10.0, "better": None}
        | changed
    )


@pytest.mark.parametrize(
    ("changed", "columns", "expected"),
    [
        ({}, ("total_tok_s_gpu",), ("total_tok_s_gpu", ("more", "more"))),
        ({"y": "ttft_p50_ms"}, ("total_tok_s_gpu", "ttft_p50_ms"), ("total_tok_s_gpu", ("more", "more"))),
        ({"y": "ttft_p50_ms"}, ("ttft_p50_ms",), ("ttft_p50_ms", ("more", "less"))),
        ({"x": "tpot_ms", "y": "rate"}, ("rate",), ("rate", ("less", "more"))),
        ({"better": ("less", "less")}, ("total_tok_s_gpu",), ("total_tok_s_gpu", ("less", "less"))),
    ],
)
def test_the_throughput_makes_the_frontier_where_the_file_has_it(changed, columns, expected):
    assert ranking(request(**changed), columns) == expected


def test_points_that_are_not_on_the_frontier_are_given_in_the_order_of_the_file():
    coordinates = [(10, 300), (10, 300), (20, 200), (15, 150)]
    points = [RankedPoint(line, "a", x, y, y) for line, (x, y) in enumerate(coordinates, start=2)]
    answer = read_csv(request(), points, ("total_tok_s_gpu",), None)
    assert [(one.line, one.is_duplicate) for one in answer.left_out] == [(3, True), (5, False)]
    assert [one.total_tok_s_gpu for one in answer.readings] == [250.0]
    assert (answer.is_default, answer.prices) == (True, {})


def test_cost_of_another_column_than_the_throughput_is_an_error():
    with pytest.raises(PipelineError, match="not from rate"):
        read_csv(request(y="rate", cost="derived"), [], ("rate",), None)


def test_aliases_are_one_curve_and_an_unknown_name_is_its_own():
    points = [RankedPoint(2, name, 1, 1, 1) for name in ("gb200", "GB200 NVL72", "other")]
    assert {sku: len(found) for sku, found in by_sku(points, recipe_set().catalogue).items()} == {
        GB200: 2,
        "other": 1,
    }


@pytest.mark.parametrize("name", [NAME, f"recipes/{NAME.replace('.', '/')}.yaml", f"/x/recipes/{NAME}.yaml"])
def test_a_recipe_is_named_by_its_id_or_by_the_path_of_its_file(name):
    assert find_recipe(RECIPES, name).id == NAME


def test_an_unknown_recipe_is_an_error_with_the_nearest_id_and_a_glob_has_to_match():
    with pytest.raises(PipelineError) as caught:
        one_recipe(RECIPES, NAME[:-1])
    assert NAME in caught.value.hint
    assert {one.sku for one in matching(RECIPES, ["*gb300*8k1k*"])} == {"gb300-nvl72"}
    with pytest.raises(PipelineError, match="no recipe 'nothing"):
        matching(RECIPES, ["*gb300*", "nothing*"])
