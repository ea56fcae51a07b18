"""iso as a person types it: any CSV, what it answers, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import cli
from tests.fakes.rows import GB200

ROOT = Path(__file__).parents[2]
HEAD = "sku,interactivity,total_tok_s_gpu\n"


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def csv(tmp_path):
    def write(body: str, head: str = HEAD) -> str:
        path = tmp_path / "points.csv"
        path.write_text(head + body)
        return str(path)

    return write


def iso(capsys, *words: str, code: int = 0) -> dict:
    assert cli.run(["iso", *words, "--json"], {}) == code
    return json.loads(capsys.readouterr().out)


def test_rows_come_one_a_sku_and_interactivity_unrounded(csv, capsys):
    path = csv("GB200,10,300\nGB200,20,200\nGB200,40,100\nsomething else,10,3\nsomething else,20,1\n")
    assert iso(capsys, path, "--at", "15,30,41") == {
        "rows": [
            {"sku": GB200, "interactivity": 15.0, "total_tok_s_gpu": 246.875},
            {"sku": GB200, "interactivity": 30.0, "total_tok_s_gpu": 137.5},
            {"sku": GB200, "interactivity": 41.0, "total_tok_s_gpu": None},
            {"sku": "something else", "interactivity": 15.0, "total_tok_s_gpu": 2.0},
            {"sku": "something else", "interactivity": 30.0, "total_tok_s_gpu": None},
            {"sku": "something else", "interactivity": 41.0, "total_tok_s_gpu": None},
        ],
        "directional": [{"sku": GB200, "interactivity": 30.0, "gap": 20.0}],
    }


def test_aliases_of_a_sku_are_one_curve(csv, capsys):
    path = csv("gb300-nv,10,300\nGB300 NVL72,20,100\n")
    assert [row["total_tok_s_gpu"] for row in iso(capsys, path, "--at", "15")["rows"]] == [200.0]


def test_cost_is_answered_when_asked_and_its_mode_is_named(csv, capsys):
    path = csv("b200,10,300\nb200,20,200\nb200,40,100\nunknown,10,3\n")
    derived = iso(capsys, path, "--at", "30", "--cost", "derived")
    article = iso(capsys, path, "--at", "30", "--cost", "article")
    assert derived["cost"] == {
        "mode": "derived",
        "tier": "hyperscaler",
        "usd_per_gpu_hour": {"b200-sxm": 1.95},
    }
    assert derived["rows"][0]["usd_per_mtok"] == pytest.approx(
        1.95e6 / 3600 / derived["rows"][0]["total_tok_s_gpu"]
    )
    assert article["cost"]["mode"] == "article"
    assert article["rows"][0]["usd_per_mtok"] != pytest.approx(derived["rows"][0]["usd_per_mtok"], rel=1e-3)
    assert derived["rows"][1]["usd_per_mtok"] is None


def test_other_columns_can_be_read_and_the_answer_names_them(csv, capsys):
    path = csv("a,10,3\na,20,1\n", head="sku,per_user,output\n")
    answer = iso(capsys, path, "--at", "15", "--x", "per_user", "--y", "output")
    assert answer["rows"] == [{"sku": "a", "interactivity": 15.0, "total_tok_s_gpu": 2.0}]
    assert answer["columns"] == {"interactivity": "per_user", "total_tok_s_gpu": "output"}
    assert (
        cli.run(["iso", path, "--at", "15", "--x", "per_user", "--y", "output", "--cost", "derived"], {}) == 2
    )


COSTS = "sku,interactivity,total_tok_s_gpu,usd_per_mtok,ttft\n"
ROWS = "a,10,1000,0.6,9\na,20,800,0.8,5\na,30,500,1.2,1\n"


def test_a_cost_is_read_on_the_deployments_that_the_throughput_keeps(csv, capsys):
    answer = iso(capsys, csv(ROWS, COSTS), "--at", "10,20,30", "--y", "usd_per_mtok")
    assert [one["total_tok_s_gpu"] for one in answer["rows"]] == [0.6, 0.8, 1.2]
    assert answer["frontier"] == {"of": ["interactivity", "total_tok_s_gpu"], "better": ["more", "more"]}


def test_less_of_a_latency_is_better_when_it_is_what_a_curve_is_read_along(csv, capsys):
    answer = iso(capsys, csv(ROWS, COSTS), "--at", "1,5,9", "--x", "ttft")
    assert [one["total_tok_s_gpu"] for one in answer["rows"]] == [500.0, 800.0, 1000.0]
    assert answer["frontier"]["better"] == ["less", "more"]


@pytest.mark.parametrize(
    ("better", "kept"), [((), [0.6, 0.8, 1.2]), (("--better", "more,more"), [None, None, 1.2])]
)
def test_without_a_throughput_the_names_of_the_columns_say_what_is_better_or_the_reader_does(
    csv, capsys, better, kept
):
    path = csv("a,10,0.6\na,20,0.8\na,30,1.2\n", "sku,interactivity,usd_per_mtok\n")
    answer = iso(capsys, path, "--at", "10,20,30", "--y", "usd_per_mtok", *better)
    assert [one["total_tok_s_gpu"] for one in answer["rows"]] == kept


@pytest.mark.parametrize("better", ["more", "moreless", "more,less,more", "up,down"])
def test_a_way_that_is_none_is_wrong_use(csv, better):
    with pytest.raises(SystemExit) as caught:
        cli.run(["iso", csv(ROWS, COSTS), "--at", "10", "--better", better], {})
    assert caught.value.code == 2


def test_the_published_table_comes_from_its_own_axis(capsys):
    path = str(ROOT / "reports/published/2026-05-22-gb300-vs-gb200.csv")
    rows = iso(capsys, path, "--at", "27.25", "--x", "interactivity_as_printed")["rows"]
    assert [round(row["total_tok_s_gpu"], 1) for row in rows] == [2189.5, 6182.1]


def test_text_marks_what_is_directional_and_what_nobody_measured(csv, capsys):
    path = csv("GB200,10,300\nGB200,40,100\n")
    assert cli.run(["iso", path, "--at", "20,50"], {}) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].split() == ["20", "≈", "233.3", "≈", "2.631"]
    assert out[2].split() == ["50", "_unreachable_", "_unreachable_"]
    assert out[3:] == [
        "cost: derived from the throughput at that interactivity",
        "≈ directional: read between knots more than 10 apart",
    ]


def test_order_and_duplicates_do_not_matter_and_are_told(csv, capsys):
    path = csv("a,20,1\na,10,3\na,10,2\na,10,3\n")
    assert [row["total_tok_s_gpu"] for row in iso(capsys, path, "--at", "10,15,20")["rows"]] == [
        3.0,
        2.0,
        1.0,
    ]
    cli.run(["iso", path, "--at", "10"], {})
    err = capsys.readouterr().err
    assert f"{path}:4: a at 10 is left out, dominated" in err
    assert f"{path}:5: a at 10 is left out, the same point twice" in err


def test_a_lone_knot_answers_for_itself_and_nothing_else(csv, capsys):
    assert [
        row["total_tok_s_gpu"] for row in iso(capsys, csv("a,20,5\n"), "--at", "19.9,20,20.1")["rows"]
    ] == [None, 5.0, None]


@pytest.mark.parametrize(
    ("body", "head", "words"),
    [
        ("a,1\n", "sku,interactivity\n", ":1:1: no column `total_tok_s_gpu`"),
        ("a,1,2,3\n", "sku,sku,interactivity,total_tok_s_gpu\n", ":1:1: duplicate column `sku`"),
        ("a,nan,5\n", HEAD, ":2:1: `interactivity` is 'nan'"),
        ("a,10,5\na,inf,5\n", HEAD, ":3:1: `interactivity` is 'inf'"),
        ("a,10,-5\n", HEAD, ":2:1: `total_tok_s_gpu` is -5 — it must not be below zero"),
        ("a,0,5\n", HEAD, ":2:1: `interactivity` is 0 — it must be above zero"),
        ("a,,5\n", HEAD, ":2:1: `interactivity` is empty"),
        (",10,5\n", HEAD, ":2:1: `sku` is empty"),
        ("a,10\n", HEAD, ":2:1: the row has 2 cells, the header has 3"),
        ("", HEAD, ":1:1: no rows below the header"),
        ("", "", ":1:1: the file is empty"),
        (
            "a,10,5,measured\na,20,1,simulated\n",
            HEAD.strip() + ",origin\n",
            "rows of several origins: measured, simulated",
        ),
    ],
)
def test_a_csv_that_cannot_be_read_is_answered_at_its_line(csv, capsys, body, head, words):
    assert cli.run(["iso", csv(body, head), "--at", "10", "--json"], {}) == 3
    out, err = capsys.readouterr()
    assert (out, words in err) == ("", True), err


@pytest.mark.parametrize("at", ["", "0", "-1", "nan", "16;18", "16,,18"])
def test_an_interactivity_that_is_none_is_wrong_use(csv, at):
    with pytest.raises(SystemExit) as caught:
        cli.run(["iso", csv("a,1,2\n"), "--at", at], {})
    assert caught.value.code == 2


def test_outside_a_checkout_names_stay_and_nothing_has_a_price(csv, capsys, monkeypatch, tmp_path):
    path = csv("GB200,10,300\n")
    monkeypatch.chdir(tmp_path)
    assert iso(capsys, path, "--at", "10", "--cost", "derived")["rows"] == [
        {"sku": "GB200", "interactivity": 10.0, "total_tok_s_gpu": 300.0, "usd_per_mtok": None}
    ]
