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
