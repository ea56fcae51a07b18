"""Published figures become history as they are stated, and never mix with what is measured or simulated here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import analyse, cli, load, store
from pipeline.analyse.curves import families
from pipeline.errors import ArtifactError, RecipeError
from pipeline.flow.context import texts
from pipeline.flow.published import given_by, points_of, read_study
from pipeline.render.studies import beside
from pipeline.schema.published import Study
from pipeline.store import published
from tests.fakes import results, rows, studies
from tests.fakes.rows import GB200, GB300
from tests.fakes.studies import points, recipe_id, study

ROOT = Path(__file__).parents[2]
FILE = ROOT / "reports/published/2026-05-22-gb300-vs-gb200.yaml"
BOOK = load.read(texts(ROOT / "recipes"))
STUDY = read_study(FILE, BOOK.catalogue)


def recipe(sku: str = GB300):
    return rows.recipe("1p1d-dep4-dep4", sku=sku, conc=(4, 8))


def tied(**changed) -> Study:
    return study(
        points=points(
            studies.row(recipe=recipe_id(), conc=4),
            studies.row(recipe=recipe_id(), conc=8, speed=1500.0, user=12.5),
        ),
        **changed,
    )


RECIPES = {recipe_id(): recipe()}


def test_every_row_of_the_study_is_deployed_by_the_recipe_that_it_names():
    found = published(STUDY, BOOK.recipes, where="study")
    assert sum(len(one.points) for one in found) == 14
    assert {one.record.job.id for one in found} == {name for name in BOOK.recipes if ".8k1k." in name}


def test_the_study_says_what_the_points_of_the_calibration_say():
    given = points_of((FILE.with_suffix(".csv")).read_text("utf-8"), where="csv")
    mine = given_by(FILE, BOOK.catalogue)
    assert [replace(one, line=0, sku="", recipe=None) for one in mine] == [
        replace(one, line=0, sku="") for one in given
    ]
    assert [BOOK.catalogue.sku(one.sku).id for one in given] == [one.sku for one in mine]
    assert FILE.read_text("utf-8").splitlines()[mine[0].line - 1].strip().startswith("- recipe:")


def test_a_stated_row_has_rates_and_times_and_nothing_that_was_not_stated(tmp_path):
    store.ingest(str(tmp_path), published(tied(), RECIPES, where="study"))
    first, _ = store.rows(str(tmp_path))
    assert (
        first.point.total_tok_s_gpu,
        first.point.interactivity,
        first.point.gpus_counted,
        first.point.gpus_held,
    ) == (
        1000.0,
        20.0,
        8,
        12,
    )
    assert (
        first.point.requests,
        first.point.completed,
        first.point.ttft_ms.p50,
        first.point.output_tok_s_gpu,
    ) == (None,) * 4
    provenance = first.record.provenance
    assert (provenance.origin, provenance.measure, provenance.run_id, first.date) == (
        "published",
        "article",
        "777",
        "2026-05-22",
    )


def test_a_published_ttft_is_stored_and_stands_beside_ours_in_the_report(tmp_path):
    slow = study(points=points(studies.row(recipe=recipe_id(), conc=4, ttft_p50_ms=2008.0)))
    store.ingest(str(tmp_path), published(slow, RECIPES, where="study"))
    (stored,) = store.rows(str(tmp_path))
    assert stored.point.ttft_ms.p50 == 2008.0
    ours = rows.row(recipe(), 4, (1200.0, 20.0), ttft_s=1.004)
    report = analyse.analyse(rows.report_data(ours, studies=(slow,)))
    (section,) = report.studies
    assert [(one.ttft_p50_ms, one.ours_ttft_p50_ms) for one in section.points] == [(2008.0, 1004.0)]
    (table,) = [table for name, table in beside(report, section).tables if name.startswith("Median TTFT")]
    assert table.rows[0][3:5] == ("2.0", "1.0 (−50.0 %)")


def test_the_study_states_the_ttft_of_every_point_of_one_sku_and_of_none_of_the_other():
    stated = [(row.sku, row.conc, row.ttft_p50_ms) for row in STUDY.rows]
    assert all(ttft is None for sku, _, ttft in stated if sku == GB300)
    assert [ttft for sku, _, ttft in stated if sku == GB200] == [
        663.0,
        2316.0,
        17643.0,
        2008.0,
        2341.0,
        40520.0,
        117686.0,
        51781.0,
    ]


def test_a_study_of_schema_1_is_read_and_a_newer_one_is_refused(tmp_path):
    text = FILE.read_text("utf-8")
    old, newer = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(text.replace("schema: 2", "schema: 1", 1), "utf-8")
    newer.write_text(text.replace("schema: 2", "schema: 3", 1), "utf-8")
    assert read_study(old, BOOK.catalogue) == STUDY
    with pytest.raises(ArtifactError, match="version 2 or older expected, found 3"):
        read_study(newer, BOOK.catalogue)


def test_columns_of_a_stated_row_are_null_where_the_source_says_nothing(tmp_path):
    store.ingest(str(tmp_path), published(tied(), RECIPES, where="study"))
    sql = "select origin, total_tok_s_gpu, tpot_p50_ms, ttft_p50_ms, requests from points where conc = 8"
    assert store.query(str(tmp_path), sql) == [
        {
            "origin": "published",
            "total_tok_s_gpu": 1500.0,
            "tpot_p50_ms": 80.0,
            "ttft_p50_ms": None,
            "requests": None,
        }
    ]


def test_a_study_is_stored_once_and_other_figures_of_the_same_run_are_refused(tmp_path):
    store.ingest(str(tmp_path), published(tied(), RECIPES, where="study"))
    (again,) = store.ingest(str(tmp_path), published(tied(), RECIPES, where="study"))
    assert (again.jobs_new, again.jobs_known) == (0, 1)
    other = study(points=points(studies.row(recipe=recipe_id(), conc=4, speed=1.0)))
    with pytest.raises(ArtifactError, match="other content"):
        store.ingest(str(tmp_path), published(other, RECIPES, where="study"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recipe": "no.such"}, "no recipe no.such"),
        ({"conc": 5}, "conc 5, its recipe has 4, 8"),
        ({"gpus_prefill": 8}, "prefill GPUs 8, its recipe has 4"),
        ({"sku": GB200}, f"sku {GB200}, its recipe has {GB300}"),
        ({"gpus_held": None}, "gpus_held is missing"),
        ({"decode": studies.DEP4.model_copy(update={"ep": 1})}, "decode 1 x DP4, its recipe has 1 x DEP4"),
    ],
)
def test_a_row_that_its_recipe_does_not_deploy_is_refused_by_name(changed, words):
    wrong = study(points=points(studies.row(**{"recipe": recipe_id(), **changed})))
    with pytest.raises(ArtifactError, match=words):
        published(wrong, RECIPES, where="study.yaml")


def test_a_study_without_tied_rows_is_not_stored():
    with pytest.raises(ArtifactError, match="no row names a recipe"):
        published(study(), RECIPES, where="study.yaml")


def test_published_and_simulated_never_share_a_frontier(tmp_path):
    of = recipe()
    ours = [results.result_folder(of, tok_s_gpu=1200.0, run="900")]
    store.ingest(str(tmp_path), [*published(tied(), RECIPES, where="study"), *ours])
    found = families(
        store.rows(str(tmp_path)), skus={GB300: rows.sku()}, definition=rows.definition(skus=(GB300,))
    )
    assert sorted(curve.origin for family in found for curve in family.curves) == ["published", "simulated"]


def test_figures_of_others_do_not_displace_our_own_night(tmp_path):
    ours = [results.result_folder(recipe(), run="900", started_at="2026-05-01T01:00:00+00:00")]
    store.ingest(str(tmp_path), [*ours, *published(tied(), RECIPES, where="study")])
    current, previous = store.latest(str(tmp_path), {recipe_id(): ()})
    assert {row.record.provenance.run_id for row in current} == {"900"}
    assert previous == ()
    asked, _ = store.latest(str(tmp_path), {recipe_id(): ()}, run_id="777")
    assert {row.record.provenance.origin for row in asked} == {"published"}


def test_published_rows_alone_are_what_a_report_tells(tmp_path):
    store.ingest(str(tmp_path), published(tied(), RECIPES, where="study"))
    current, _ = store.latest(str(tmp_path), {recipe_id(): ()})
    assert [row.conc for row in current] == [4, 8]


def test_ingest_takes_a_study_by_its_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.run(["ingest", str(FILE), "--history", str(tmp_path)], {}) == 0
    assert "run 26306422380 attempt 1: 11 new" in capsys.readouterr().err
    assert store.query(str(tmp_path), "select count(*) as n from points where origin = 'published'") == [
        {"n": 14}
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "sku: gb200-nvl72\n      conc: 1\n",
            "sku: gb20-nvl72\n      conc: 1\n",
            "unknown SKU `gb20-nvl72` — did you mean `gb200-nvl72`?",
        ),
        ("[8835, 10608]", "[8835]", "row 16 has another number of cells than the 2 SKUs"),
        ('label: "18"', 'label: "eighteen"', "`iso.rows.1.label`: string should match pattern"),
        ('run_id: "26306422380"', "run_id: 26306422380", 'quote it: "26306422380"'),
        ("kind: whole", "kind: hole", "assertions.23.check"),
    ],
)
def test_a_mistake_in_a_study_is_answered_at_its_line(tmp_path, old, new, words):
    text = FILE.read_text("utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError) as caught:
        read_study(path, BOOK.catalogue)
    said = [problem for problem in caught.value.problems if words in str(problem)]
    assert said
    assert said[0].line > 1
