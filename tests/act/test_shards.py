"""A plan with more jobs than a run may have goes on in runs of their own."""

from __future__ import annotations

import json

import pytest

from tests.act.conftest import completed, dispatch

HAS_UV = True
PREFIX = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k"
BOTH = {f"{PREFIX}.1p17d-tep4-tp4", f"{PREFIX}.1p6d-dep4-tp4"}


@pytest.fixture(scope="module")
def runs(engine, github):
    """The run that somebody started, and the one that it started."""
    first = engine.run(
        "workflow_dispatch", "nightly.yml", dispatch(select=f"{PREFIX}.*-tp4", shard_size="1"), run_id=201
    )
    (asked,) = github.dispatches
    second = engine.run("workflow_dispatch", asked["workflow"], dispatch(**asked["inputs"]), run_id=202)
    for run_id in (201, 202):
        engine.run(
            "workflow_run",
            "publish.yml",
            completed("nightly", run_id, head=asked["inputs"]["sha"]),
            run_id=run_id + 10,
        )
    return asked, first, second


def test_the_rest_is_dispatched_once_with_the_plan_id_and_the_commit(runs, engine, github):
    asked, first, second = runs
    assert set(first.results("").values()) == {"success"}
    assert set(second.results("").values()) == {"success"}
    assert asked["workflow"] == "nightly.yml"
    assert asked["inputs"]["shard"] == "2/2"
    assert len(asked["inputs"]["sha"]) == 40
    assert f"of plan {asked['inputs']['plan_id']}" in first.text("plan")
    assert f"shard 2/2 of plan {asked['inputs']['plan_id']}" in second.text("plan")
    assert len(github.dispatches) == 1


def test_a_night_that_never_had_a_plan_is_red_and_opens_the_issue(runs, engine, github):
    head = runs[0]["inputs"]["sha"]
    told = engine.run(
        "workflow_run", "publish.yml", completed("nightly", 299, head=head, conclusion="failure"), run_id=298
    )
    assert set(told.results("report").values()) == {"failure"}
    assert [one["title"] for one in github.issues if one["state"] == "open"][-1:] == [
        "🔴 nothing was measured: the run ended before it had a plan"
    ]


def test_together_the_runs_measure_every_job_once(runs, engine):
    names = [
        one.name
        for run in ("201", "202")
        for one in engine.results.of_run(run)
        if one.name.startswith("bench-")
    ]
    assert sorted(name.split("-1-", 1)[1] for name in names) == sorted(BOTH)


def test_the_later_report_has_both(runs, engine):
    data = json.loads(engine.published("gh-pages", "pages/202-1-gb300-vs-gb200/data.json"))
    assert {row["record"]["job"]["id"] for row in data["rows"]} == BOTH
