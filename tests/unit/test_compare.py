"""compare as a person types it: SKUs of the catalogue, runs, recipes and images of a history; and report --lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import analyse, cli, render, store
from pipeline.analyse.curves import with_ratios
from pipeline.analyse.iso import Knots
from pipeline.analyse.peak import CurvePair, peak
from pipeline.flow.compare import lint_report
from pipeline.render.as_tables import as_tables
from pipeline.schema.compare import PairedCurves, SideBySide
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.report import IsoCell
from pipeline.store import published
from tests.fakes import results, rows, studies
from tests.fakes.rows import GB200, GB300
from tests.golden.regenerate import recipe_set

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def compared(capsys, *words: str) -> dict:
    assert cli.run(["compare", *words, "--json"], {}) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def history(tmp_path) -> str:
    """Two runs of a GB300 recipe, the later a tenth faster and with another image, and a published study of both racks."""
    url = str(tmp_path / "history")
    first, second = results.recipe(), results.recipe(image="vllm/vllm-openai:v0.21.0")
    simulated = [
        results.result_folder(first, run="101", tok_s_gpu=1000.0),
        results.result_folder(second, run="102", tok_s_gpu=1100.0, started_at="2026-11-24T02:00:00+00:00"),
    ]
    own = recipe_set()
    tied = [
        studies.row(
            GB200 if ".gb200-" in recipe.id else GB300,
            recipe.conc[0],
            5000.0 if ".gb300-" in recipe.id else 2500.0,
            30.0 - recipe.prefill.workers,
            recipe=recipe.id,
            gpus_prefill=recipe.prefill.gpus,
            gpus_decode=recipe.decode.gpus,
            prefill=None,
            decode=None,
        )
        for recipe in own.recipes.values()
        if ".8k1k." in recipe.id
    ]
    store.ingest(
        url, [*simulated, *published(studies.study(points=studies.points(*tied)), own.recipes, where="study")]
    )
    return url


def test_every_sku_of_the_catalogue_can_be_compared_on_paper(capsys):
    skus = list(recipe_set().catalogue.skus)
    assert len(skus) == 9
    for sku in skus:
        answer = compared(capsys, sku, "b200")
        rows_ = {row["spec"]: row for row in answer["specs"]}
        assert rows_["hbm"]["values"][1] == 180.0
    assert answer["price_tier"] == "hyperscaler"
    assert rows_["price"]["ratio"] == pytest.approx(1.95 / 1.48)


def test_two_skus_are_read_on_the_curves_of_one_kind(capsys, history):
    answer = compared(capsys, "gb200", "gb300", "--history", history, "--at", "28,29")
    by_kind = {one["kind"]["origin"]: one for one in answer["paired"]}
    both = by_kind["published"]
    assert [row["throughput_ratio"] for row in both["iso"]] == [2.0]
    assert [row["cost_ratio"] for row in both["iso"]] == pytest.approx([2.0 / 1.2])
    assert by_kind["simulated"]["curves"][0] is None


def test_two_runs_are_compared_point_by_point(capsys, history):
    answer = compared(capsys, "101", "102", "--history", history, "--at", "30")
    assert [(one["verdict"], one["tok_s_gpu_change"]) for one in answer["changes"]] == [
        ("unknown", pytest.approx(0.1))  # simulated figures do not contain the effect of another image
    ] * 2
    assert {one["reason"]["kind"] for one in answer["changes"]} == {"not-simulated"}
    assert answer["changes"][0]["differs"][0]["after"] == "vllm/vllm-openai:v0.21.0"
    (one,) = answer["paired"]
    assert one["about"] == "GB300 NVL72"
    assert [row["throughput_ratio"] for row in one["iso"]] == pytest.approx([1.1])


def test_two_images_are_compared_as_runs_are(capsys, history):
    answer = compared(capsys, "vllm/vllm-openai:v0.20.0", "vllm/vllm-openai:v0.21.0", "--history", history)
    assert answer["kind"] == "images"
    assert {(one["verdict"], one["reason"]["kind"]) for one in answer["changes"]} == {
        ("unknown", "not-simulated")
    }


def test_two_recipes_differ_in_what_they_ask_for(capsys):
    names = [
        f"deepseek-v4-pro-fp4.gb300-nvl72.8k1k.{shape}" for shape in ("5p1d-dep4-dep8", "6p1d-dep4-dep8")
    ]
    answer = compared(capsys, *names)
    assert answer["differs"] == [{"field": "prefill.workers", "before": "5", "after": "6"}]
    assert len(answer["notes"]) == 2


def test_compare_prints_the_tables_of_a_report_as_markdown(capsys, history):
    assert cli.run(["compare", "gb200", "gb300", "--history", history, "--at", "29"], {}) == 0
    out = capsys.readouterr().out
    assert out.startswith("# GB200 NVL72 against GB300 NVL72\n")
    assert "| 29 | 2,500 | **5,000** | 2.00× | 0.246 | 0.147 | 1.67× |\n" in out
    assert "| dense FP4, TFLOP/s | 10,000 | 15,000 | 1.50× |\n" in out
    assert "published (article, 10 × conc requests)" in out


def test_compare_marks_every_figure_that_is_read_between_far_knots():
    cells = [
        IsoCell(total_tok_s_gpu=speed, usd_per_mtok=usd, ttft_p50_ms=None, shape=None)
        for speed, usd in ((100.0, 1.0), (300.0, 0.5))
    ]
    row = with_ratios(20.0, (cells[0], cells[1].model_copy(update={"directional": True})))
    found = peak(
        CurvePair(Knots((10.0, 15.0, 30.0), (200.0, 150.0, 50.0)), Knots((10.0, 30.0), (400.0, 200.0))),
        [20.0],
        "total_tok_s_gpu",
    )
    one = PairedCurves(
        kind=CurveKind(origin="simulated", measure="replay", requests_per_conc=10),
        about="",
        curves=(None, None),
        iso=(row,),
        throughput_peak=found,
        cost_peak=None,
    )
    empty = {"specs": (), "price_tier": "hyperscaler", "changes": (), "differs": (), "notes": ()}
    page = render.side_by_side(SideBySide(kind="SKUs", names=("A", "B"), paired=(one,), gap=10.0, **empty))
    assert "| 20 | 100 | ≈ **300** | ≈ 3.00× | 1.000 | ≈ 0.500 | ≈ 2.00× |\n" in page
    assert "- tok/s/GPU: largest on this grid ≈ 2." in page
    assert page.rstrip().endswith("2.00× at 10.00 and 4.00× at 30.00, at the ends of the common range")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("gb20", "gb300"), "did you mean `gb200`?"),
        (("101", "gb300"), "101 is one of the runs and gb300 is one of the SKUs: they cannot be compared"),
        (("101", "103"), "'103' is no SKU or recipe of this checkout, and no run or image"),
    ],
)
def test_names_that_cannot_be_compared_are_answered(capsys, history, names, words):
    assert cli.run(["compare", *names, "--history", history], {}) == 2
    assert words in capsys.readouterr().err


def test_the_kept_report_passes_its_linter():
    linted = lint_report(ROOT / "reports/gb300-vs-gb200")
    assert linted.wrong == ()


def test_a_report_is_linted_as_it_is_printed(tmp_path):
    of = rows.recipe(conc=(600,))
    data = rows.report_data(rows.row(of, 600, (3000.04, 20.004), ttft_s=1.0))
    tables = as_tables(analyse.analyse(data), data)
    (point,) = tables.rows
    assert (point.total_tok_s_gpu, point.interactivity_as_printed, point.tpot_p50_ms, point.usd_per_mtok) == (
        3000.0,
        20.0,
        49.99,
        0.246,
    )
    assert tables.points.decimals == {
        "total_tok_s_gpu": 1,
        "interactivity_as_printed": 2,
        "tpot_p50_ms": 2,
        "usd_per_mtok": 3,
    }
    assert tables.iso.decimals == {"total_tok_s_gpu": 0, "usd_per_mtok": 3, "ratio": 2}


def test_report_exits_21_when_a_figure_that_it_publishes_cannot_be(tmp_path, capsys):
    of = rows.recipe(conc=(1,))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/data.json").write_text(rows.report_data(rows.row(of, 1, (3000.0, 20.0))).to_json())
    assert (
        cli.run(
            ["report", str(tmp_path / "kept.yaml"), "--out", str(tmp_path / "out"), "--lint", "--gate"], {}
        )
        == 21
    )
    assert "Little's law · points, gb300-nvl72 conc 1" in capsys.readouterr().err
    assert (tmp_path / "out/index.html").is_file()
