"""A night under the real engine: one leg fails, one result is lost on its way; then the run again, in which it arrives."""

from __future__ import annotations

import json

import pytest

from tests.act.conftest import RECIPES, completed, dispatch

HAS_UV = True
PREFIX = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k"
SOUND, LOST, FULL = f"{PREFIX}.1p17d-tep4-tp4", f"{PREFIX}.1p6d-dep4-tp4", f"{PREFIX}.1p2d-dep4-tp4"
RECIPE = """\
extends: [_tp4-decode]
title: Decode workers without room for the KV cache of one request
source: a test
conc: [16]
fit: {accept: a test of a leg that fails}
prefill: {workers: 1, tp: 1, dp: 4, ep: 4}
decode: {workers: 2, flags: {gpu-memory-utilization: 0.7}}
"""


@pytest.fixture(scope="module")
def night(engine):
    """Attempt 1 and attempt 2 of the same commit, each with the run that publishes it."""
    (engine.work / RECIPES / "1p2d-dep4-tp4.yaml").write_text(RECIPE)
    head = engine.commit("A recipe that cannot be predicted")
    event = dispatch(select=f"{PREFIX}.*-tp4")
    runs = []
    for attempt, lost in ((1, LOST), (2, "none")):
        engine.results.refuse = lambda name, lost=lost: name.endswith(lost)
        measured = engine.run("workflow_dispatch", "nightly.yml", event, run_id=101, attempt=attempt)
        ended = completed("nightly", 101, attempt=attempt, head=head)
        runs.append((measured, engine.run("workflow_run", "publish.yml", ended, run_id=110 + attempt)))
    return runs


def test_every_leg_runs_whatever_the_others_do(night):
    (measured, _), _ = night
    legs = {one for one in measured.jobs if "bench" in one}
    assert len(legs) == 3
    assert {measured.steps(leg)["Remove what a killed job left on the rack"] for leg in legs} == {"success"}


def test_a_leg_that_failed_and_a_result_that_was_lost_are_told_apart(night):
    (measured, told), _ = night
    steps = {leg: measured.steps(leg)["Measure"] for leg in measured.jobs if "bench" in leg}
    assert sorted(steps.values()) == ["failure", "success", "success"]
    assert "decode has KV cache for 0 tokens" in measured.text("1P2D")
    assert f"1 of 3 planned jobs did not arrive: {LOST}" in told.text("report")
    assert set(told.results("report").values()) == {"failure"}


def test_what_arrived_is_stored_and_published_all_the_same(night, engine):
    (_, told), _ = night
    pages = engine.published("gh-pages").splitlines()
    assert {"feed.xml", "badge.json", "index.html", "pages/101-1-gb300-vs-gb200/index.html"} <= set(pages)
    page = engine.published("gh-pages", "pages/101-1-gb300-vs-gb200/README.md")
    assert page.startswith("# 🟡 1/12 deployments")
    assert "decode has KV cache for 0 tokens" in page
    assert "🟡 1/12 deployments" in engine.published("gh-pages", "feed.xml")
    assert "Summary - # 🟡 1/12 deployments" in told.text("report")


def test_artifacts_carry_run_attempt_and_recipe(night, engine):
    names = [one.name for one in engine.results.of_run("101")]
    first = {f"bench-101-1-{one}" for one in (SOUND, FULL)}
    second = {f"bench-101-2-{one}" for one in (SOUND, LOST, FULL)}
    assert {name for name in names if name.startswith("bench-")} == first | second
    assert "plan-101" in names
    assert [one.name for run in ("111", "112") for one in engine.results.of_run(run)] == [
        "report-101-1-1",
        "report-101-2-1",
    ]


def test_the_second_attempt_brings_what_was_lost_and_stands_for_the_first(night, engine):
    _, (_, told) = night
    assert set(told.results("report").values()) == {"success"}
    data = json.loads(engine.published("gh-pages", "pages/101-2-gb300-vs-gb200/data.json"))
    attempts = {row["record"]["job"]["id"]: row["record"]["provenance"]["attempt"] for row in data["rows"]}
    assert attempts == {SOUND: 2, LOST: 2, FULL: 2}


def test_publishing_a_run_once_more_keeps_its_page(night, engine):
    before = engine.published("gh-pages", "pages/101-2-gb300-vs-gb200/entry.json")
    head = json.loads(engine.published("gh-pages", "pages/101-2-gb300-vs-gb200/data.json"))["rows"][0][
        "record"
    ]["provenance"]["git_sha"]
    told = engine.run(
        "workflow_run", "publish.yml", completed("nightly", 101, attempt=2, head=head), run_id=112, attempt=2
    )
    assert set(told.results("report").values()) == {"success"}
    assert "101-2-gb300-vs-gb200 exists already" in told.text("report")
    assert engine.published("gh-pages", "pages/101-2-gb300-vs-gb200/entry.json") == before


def test_the_history_only_grows(night, engine):
    stored = [name for name in engine.published("history").splitlines() if name.startswith("points/")]
    assert [name.rpartition("/")[2] for name in stored] == ["101-1.parquet", "101-2.parquet"]
