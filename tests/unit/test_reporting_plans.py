"""A report of a night is held to its plans: what they name and did not come is missing, whatever earlier nights brought."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from pipeline import cli, store
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.flow import publishing, reporting
from pipeline.flow.context import Context
from pipeline.flow.publishing import Message
from pipeline.publish import WorkflowRun
from pipeline.schema.plan import Plan
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import ReportData
from tests.fakes import results, rows
from tests.golden.regenerate import recipe_set

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "tests/contract/frozen/plan.1.json"
DEFINITION = ROOT / "reports/gb300-vs-gb200.yaml"
ONE, TWO, THREE = (
    f"deepseek-v4-pro-fp4.{name}"
    for name in (
        "gb200-nvl72.8k1k.3p1d-dep8-dep8",
        "gb300-nvl72.8k1k.6p1d-dep4-dep8",
        "gb300-nvl72.8k1k.7p2d-dep4-dep16",
    )
)


@cache
def recipes() -> dict[str, Recipe]:
    return dict(recipe_set().recipes)


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Gives a function: these recipes were measured by that run."""
    monkeypatch.chdir(ROOT)

    def measured(run: str, *names: str) -> None:
        found = [
            results.result_folder(recipes()[name], run=run, started_at=f"2026-11-{run[-2:]}T02:00:00Z")
            for name in names
        ]
        store.ingest(str(tmp_path / "history"), found)

    return measured


def plan(*planned: Recipe) -> Plan:
    jobs = tuple(results.record(one).job for one in planned)
    skus = {one.sku: rows.sku(one.sku) for one in planned}
    return Plan.from_json(FROZEN.read_bytes(), where="frozen").model_copy(update={"jobs": jobs, "skus": skus})


def report(folder: Path, *words: str, planned: tuple[str, ...] = ()) -> int:
    if planned:
        (folder / "plan.json").write_text(plan(*(recipes()[name] for name in planned)).to_json())
        words = (*words, "--plan", str(folder / "plan.json"))
    return cli.run(
        [
            "report",
            str(DEFINITION),
            "--history",
            str(folder / "history"),
            "--out",
            str(folder / "out"),
            *words,
        ],
        {},
    )


def told(folder: Path) -> tuple[ReportData, Message]:
    data = ReportData.from_json((folder / "out/data.json").read_bytes(), where="data.json")
    options = publishing.PublishOptions(
        folder=folder / "out", targets=(), run=WorkflowRun("acme/bench", sha="0" * 40), site=folder / "site"
    )
    return data, publishing.read_message(options)


def runs(data: ReportData) -> dict[str, str]:
    return {row.record.job.id: row.run[0] for row in data.rows}


def test_a_night_that_brought_nothing_shows_nothing_of_the_night_before_and_is_red(night, tmp_path):
    night("120", ONE, TWO)
    assert report(tmp_path, "--run-id", "121", planned=(ONE, TWO)) == 0
    data, message = told(tmp_path)
    assert (data.rows, set(data.awaited)) == ((), {ONE, TWO})
    assert {row.record.job.id for row in data.previous} == {ONE, TWO}
    assert message.is_red
    assert message.verdict == "unknown"
    assert message.headline.startswith("🟡 0/11 deployments")


def test_what_a_night_lost_is_missing_and_what_it_had_not_to_bring_stays(night, tmp_path):
    night("120", ONE, TWO, THREE)
    night("121", TWO)
    assert report(tmp_path, "--run-id", "121", planned=(TWO, THREE)) == 0
    data, message = told(tmp_path)
    assert runs(data) == {ONE: "120", TWO: "121"}
    assert message.is_red
    night("121", THREE)
    assert report(tmp_path, "--run-id", "121", planned=(TWO, THREE)) == 0
    data, message = told(tmp_path)
    assert runs(data) == {ONE: "120", TWO: "121", THREE: "121"}
    assert not message.is_red  # nine recipes never ran, but nobody's plan named them


def test_a_recipe_of_the_plan_that_the_definition_leaves_out_is_named_on_the_page(night, tmp_path):
    night("120", ONE, TWO)
    definition = tmp_path / "one-rack.yaml"
    text = DEFINITION.read_text().replace("skus: [gb200-nvl72, gb300-nvl72]", "skus: [gb200-nvl72]")
    definition.write_text(text.partition("comparison:")[0])
    (tmp_path / "plan.json").write_text(plan(recipes()[ONE], recipes()[TWO]).to_json())
    words = ["--run-id", "120", "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / "out")]
    assert cli.run(["report", str(definition), "--history", str(tmp_path / "history"), *words], {}) == 0
    data, _ = told(tmp_path)
    assert (data.awaited, data.left_out) == ((ONE,), (TWO,))
    said = f"left out: 1 recipe in the plan of this run but not selected by the report: {TWO}"
    for page in ("README.md", "index.html"):
        assert said in (tmp_path / "out" / page).read_text().replace("\\", "")


def test_the_very_first_night_may_bring_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "history").mkdir()
    assert report(tmp_path, "--run-id", "121", planned=(ONE,)) == 0
    assert told(tmp_path)[1].is_red


def test_a_recipe_that_only_the_run_knows_is_told_and_compared(night, tmp_path):
    night("120", ONE, TWO)
    known = recipes()[TWO]
    added, renamed = (
        known.model_copy(update={"id": f"{TWO}-added"}),
        known.model_copy(update={"id": f"{TWO}-new", "was": (TWO,)}),
    )
    elsewhere = known.model_copy(update={"id": TWO.replace("gb300-nvl72", "h100"), "sku": "h100"})
    found = [
        results.result_folder(one, run="121", started_at="2026-11-21T02:00:00Z")
        for one in (added, renamed, elsewhere)
    ]
    store.ingest(str(tmp_path / "history"), found)
    context = Context(Shell(), SystemClock(), ROOT / "recipes", http=SystemHttp)
    data = reporting.report_data(
        context, reporting.ReportOptions(DEFINITION, str(tmp_path / "history"), "121", tmp_path / "out")
    )
    assert runs(data) == {added.id: "121", renamed.id: "121"}
    assert {row.record.job.id for row in data.previous} == {TWO}
    assert TWO not in data.planned


def test_a_recipe_that_was_renamed_since_the_run_is_told_once(night, tmp_path):
    night("120", ONE)
    former = recipes()[TWO].model_copy(update={"id": f"{TWO}-former"})
    store.ingest(
        str(tmp_path / "history"),
        [results.result_folder(former, run="121", started_at="2026-11-21T02:00:00Z")],
    )
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    path = next((tmp_path / "recipes").rglob("gb300-nvl72/8k1k/6p1d-dep4-dep8.yaml"))
    path.write_text(f"{path.read_text()}was: [{former.id}]\n")
    (tmp_path / "plan.json").write_text(plan(former).to_json())
    options = reporting.ReportOptions(
        DEFINITION, str(tmp_path / "history"), "121", tmp_path / "out", plans=(tmp_path / "plan.json",)
    )
    data = reporting.report_data(
        Context(Shell(), SystemClock(), tmp_path / "recipes", http=SystemHttp), options
    )
    assert [
        (row.record.job.id, row.run[0]) for row in data.rows if row.record.job.recipe.sku == former.sku
    ] == [(former.id, "121")]


def test_plans_without_their_run_are_refused(night, tmp_path, capsys):
    night("120", ONE)
    assert report(tmp_path, planned=(ONE,)) != 0
    assert "--run-id" in capsys.readouterr().err
