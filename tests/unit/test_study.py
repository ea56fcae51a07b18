"""Report definitions and published tables as documents: what is wrong is named at its line."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from pipeline.errors import RecipeError
from pipeline.load import study
from tests.golden.regenerate import recipe_set

DEFINITION = Path(__file__).parents[2] / "reports/gb300-vs-gb200.yaml"


def test_a_definition_with_an_unknown_sku_is_an_error_at_that_line():
    text = DEFINITION.read_text("utf-8").replace("gb300-nvl72", "gb30-nvl72", 1)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "gb30-nvl72" in one)
    with pytest.raises(RecipeError) as caught:
        study.definition(PurePath("d.yaml"), text.encode(), recipe_set().catalogue)
    (problem,) = caught.value.problems
    assert (problem.line, problem.what) == (line, "unknown SKU `gb30-nvl72`")
    assert "gb300-nvl72" in problem.hint


def test_columns_that_no_rule_reads_are_named_of_a_csv_only():
    content = (
        b"sku,conc,prefill_gpus,decode_gpus,interactivity,total_tok_s_gpu,colour\ngb200,4,4,4,50,20,red\n"
    )
    assert study.unread_columns(PurePath("points.csv"), content) == ("colour",)
    assert study.unread_columns(PurePath("points.yaml"), content) == ()


TWO_RACKS = """\
title: Two racks
select: "*"
skus: [gb200-nvl72, gb300-nvl72]
interactivity: [16, 20]
price_tier: hyperscaler
relevant_change: 0.02
directional_gap: 10
"""


@pytest.mark.parametrize(
    ("was", "now", "line", "what"),
    [
        ("[gb200-nvl72, gb300-nvl72]", "[gb200-nvl72, gb200-nvl72]", 3, "'gb200-nvl72' is listed twice"),
        ("[16, 20]", "[16, 20, 16.0]", 4, "16.0 is listed twice"),
    ],
)
def test_a_repeated_sku_or_grid_point_of_a_definition_is_refused_at_its_line(was, now, line, what):
    catalogue = recipe_set().catalogue
    assert study.definition(PurePath("d.yaml"), TWO_RACKS.encode(), catalogue).skus
    with pytest.raises(RecipeError) as caught:
        study.definition(PurePath("d.yaml"), TWO_RACKS.replace(was, now).encode(), catalogue)
    (problem,) = caught.value.problems
    assert (problem.line, what in problem.what) == (line, True), problem
