"""No cell, column or file kind of a CSV ends or hangs the commands that read one; no comment is slow to prepare."""

import os
from dataclasses import replace

import pytest

from pipeline import load
from pipeline.analyse import csv_curves, lint
from pipeline.errors import FileError, RecipeError
from pipeline.flow import compare
from pipeline.load import tables
from pipeline.load.published_csv import iso, points
from pipeline.publish import with_pictures
from pipeline.schema.published import Tables
from tests.fakes import recipe_set as small
from tests.fakes.contexts import context

HEADER = "sku,interactivity,total_tok_s_gpu\n"
CATALOGUE = load.read(small.texts()).catalogue
REQUEST = csv_curves.IsoRequest((20.0,), "interactivity", "total_tok_s_gpu", None, "hyperscaler", 8.0)
NO_NUMBERS = [
    "5e-324",
    "1e308",
    "nan",
    "inf",
    "-inf",
    "2_0",
    "\u0662\u0660",
    "\uff12\uff10",
    "0x20",
    "1e9999",
    "9" * 400,
    "\u00b2",
    "",
]


@pytest.mark.parametrize("cell", NO_NUMBERS)
@pytest.mark.parametrize("column", [1, 2])
def test_a_cell_that_is_no_plain_number_of_a_possible_size_is_a_problem(cell, column):
    row = ["a", "20", "100"]
    row[column] = cell
    with pytest.raises(RecipeError) as caught:
        tables.csv_points(
            HEADER + ",".join(row) + "\n", where="a.csv", x="interactivity", y="total_tok_s_gpu"
        )
    assert [problem.line for problem in caught.value.problems] == [2]


@pytest.mark.parametrize("cell", [cell for cell in NO_NUMBERS if cell])
def test_the_same_holds_for_published_tables(cell):
    for column in range(1, 5):
        row = ["tiny-2x4", "8", "4", "8", "100"]
        row[column] = cell
        text = "sku,conc,prefill_gpus,decode_gpus,total_tok_s_gpu\n" + ",".join(row) + "\n"
        with pytest.raises(RecipeError):
            points(text, where="a.csv", catalogue=CATALOGUE)
    with pytest.raises(RecipeError):
        iso(f"interactivity_label,tiny_tok_s_gpu\n20,{cell}\n", where="a.csv", catalogue=CATALOGUE)


@pytest.mark.parametrize("columns", [[f"c{number}" for number in range(100_000)], ["c"] * 100_000])
def test_a_table_of_too_many_columns_is_one_problem(columns):
    with pytest.raises(RecipeError) as caught:
        tables.lines(HEADER.strip() + "," + ",".join(columns) + "\n", where="a.csv", needed=["sku"])
    assert len(caught.value.problems) == 1


def test_many_wrong_rows_are_the_first_and_a_count():
    with pytest.raises(RecipeError) as caught:
        tables.csv_points(HEADER + "a,x,y\n" * 5_000, where="a.csv", x="interactivity", y="total_tok_s_gpu")
    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].what == "… and 9800 more problems"


def test_a_pipe_or_device_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to("/dev/zero")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(FileError):
            compare.iso(context(tmp_path), tmp_path / name, REQUEST)
        with pytest.raises(FileError):
            compare.lint(context(small_recipes(tmp_path)), [tmp_path / name], "hyperscaler")


def small_recipes(root):
    for name, text in small.texts().items():
        (root / "recipes" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "recipes" / name).write_text(text)
    return root / "recipes"


@pytest.mark.parametrize(
    "piece", ["<picture>", "![", "![](", "<picture", 'src="', "<picture></picture", "![a](b"]
)
def test_pictures_are_removed_in_one_pass(piece):
    body = piece * 40_000
    assert len(with_pictures(body, "")) <= len(body)
    assert len(with_pictures(body, "https://x/")) >= len(body)


@pytest.mark.parametrize(
    "column",
    [
        "origin",
        "measure",
        "requests_per_conc",
        "time_scale",
        "model",
        "llm",
        "precision",
        "workload",
        "isl",
        "osl",
    ],
)
def test_rows_that_must_not_share_a_frontier_are_refused_by_name(column):
    text = f"sku,interactivity,total_tok_s_gpu,{column}\na,20,100,x\na,30,90,{{}}\n"
    read = {"where": "a.csv", "x": "interactivity", "y": "total_tok_s_gpu"}
    assert len(tables.csv_points(text.format("x"), **read)) == 2
    for other in ("y", ""):
        with pytest.raises(RecipeError) as caught:
            tables.csv_points(text.format(other), **read)
        assert column in caught.value.problems[0].what


def test_a_row_of_an_invalid_point_is_refused_at_its_line():
    text = "sku,interactivity,total_tok_s_gpu,status\na,20,100,ok\na,30,90,invalid\na,40,80,failed\n"
    with pytest.raises(RecipeError) as caught:
        tables.csv_points(text, where="a.csv", x="interactivity", y="total_tok_s_gpu")
    assert [problem.line for problem in caught.value.problems] == [3, 4]


@pytest.mark.parametrize("y", ["0", "-0"])
def test_a_throughput_of_zero_is_no_knot(y, tmp_path):
    (tmp_path / "a.csv").write_text(f"{HEADER}a,20,100\na,30,{y}\n")
    answer = compare.iso(context(tmp_path), tmp_path / "a.csv", replace(REQUEST, at=(20.0, 25.0)))
    assert [one.line for one in answer.left_out] == [3]


POINTS = "sku,conc,prefill_gpus,decode_gpus,total_tok_s_gpu,tpot_ms,interactivity\n"


@pytest.mark.parametrize("factor", [1000, 1 / 1000, 1024, 60, 1 / 60])
def test_a_factor_of_a_unit_between_columns_is_a_unit_error(factor):
    text = POINTS + f"tiny-2x4,8,4,8,100,50.0,{20 * factor * 1.03:.6f}\n"
    found = lint(
        Tables(title="a", usd_per_gpu_hour={}, points=points(text, where="a.csv", catalogue=CATALOGUE))
    )
    assert [one.rule for one in found.wrong] == ["unit"]


def test_a_repeated_row_is_a_repeated_row():
    text = (
        POINTS
        + "tiny-2x4,8,4,8,100,50.0,20.0\ntiny-2x4,16,4,8,120,60.0,16.67\ntiny-2x4,8,4,8,100,50.0,20.0\n"
    )
    found = lint(
        Tables(title="a", usd_per_gpu_hour={}, points=points(text, where="a.csv", catalogue=CATALOGUE))
    )
    assert [one.rule for one in found.findings if one.rule in {"repeated row", "dominated row"}] == [
        "repeated row"
    ]
