"""A night under the real engine: one leg fails, one result is lost on its way; then the run again, in which it arrives."""

from __future__ import annotations

import json

import pytest

from tests.act.conftest import RECIPES, dispatch

PREFIX = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k"
SOUND, LOST, UNCALIBRATED = f"{PREFIX}.1p17d-tep4-tp4", f"{PREFIX}.1p6d-dep4-tp4", f"{PREFIX}.1p2d-dep4-tp8"
RECIPE = """\
extends: [_tp4-decode]
title: Decode workers of a shape that nobody has measured
source: a test
conc: [16]
prefill: {workers: 1, tp: 1, dp: 4, ep: 4}
decode: {workers: 2, tp: 8, crosses_trays: true}
"""


@pytest.fixture(scope="module")
def night(engine):
    """Attempt 1, and attempt 2 of the same commit."""
    (engine.work / RECIPES / "1p2d-dep4-tp8.yaml").write_text(RECIPE)
    engine.commit("A recipe that cannot be predicted")
    event = dispatch(select=f"{PREFIX}.*-tp[48]")
    engine.results.refuse = lambda name: name.endswith(LOST)
    first = engine.run("workflow_dispatch", "nightly.yml", event, run_id=101)
    pages = engine.published("gh-pages").splitlines()
    engine.results.refuse = lambda _name: False
    second = engine.run("workflow_dispatch", "nightly.yml", event, run_id=101, attempt=2)
    return first, pages, second


def test_every_leg_runs_whatever_the_others_do(night):
    first, _, _ = night
    legs = {one for one in first.jobs if "bench" in one}
    assert len(legs) == 3
    assert all(first.steps(leg)["Sweep what a killed job left on the rack"] == "success" for leg in legs)


def test_a_leg_that_failed_and_a_result_that_was_lost_are_told_apart(night):
    first, _, _ = night
    measured = {leg: first.steps(leg)["Measure"] for leg in first.jobs if "bench" in leg}
    assert sorted(measured.values()) == ["failure", "success", "success"]
    assert "no timing for decode workers TP8" in first.text("TEP4/TP8") + first.text("DEP4/TP8")
    told = first.text("report")
    assert f"1 of 3 planned jobs did not arrive: {LOST}" in told
    assert first.results("report") == {next(iter(first.results("report"))): "failure"}


def test_what_arrived_is_stored_and_published_all_the_same(night, engine):
    first, pages, _ = night
    assert "pages/101-1-gb300-vs-gb200/index.html" in pages
    assert {"feed.xml", "badge.json", "index.html"} <= set(pages)
    page = engine.published("gh-pages", "pages/101-1-gb300-vs-gb200/README.md")
    assert "1/11 deployments" in page or "failed (1p2d-dep4-tp8)" in page
    assert "no timing for decode workers TP8" in page
    assert any("Summary - " in line.get("msg", "") or "# 🟡" in line.get("msg", "") for line in first.lines)


def test_artifacts_carry_run_attempt_and_recipe(night, engine):
    names = {one.name for one in engine.results.of_run("101")}
    assert {f"bench-101-1-{SOUND}", f"bench-101-1-{UNCALIBRATED}", "plan-101", "report-101-1"} <= names
    assert f"bench-101-1-{LOST}" not in names
    assert {f"bench-101-2-{one}" for one in (SOUND, LOST, UNCALIBRATED)} <= names


def test_the_second_attempt_brings_what_was_lost_and_stands_for_the_first(night, engine):
    _, _, second = night
    assert set(second.results("report").values()) == {"success"}
    data = json.loads(engine.published("gh-pages", "pages/101-2-gb300-vs-gb200/data.json"))
    attempts = {row["record"]["job"]["id"]: row["record"]["provenance"]["attempt"] for row in data["rows"]}
    assert attempts == {SOUND: 2, LOST: 2, UNCALIBRATED: 2}


def test_the_history_only_grows(night, engine):
    stored = [name for name in engine.published("history").splitlines() if name.startswith("points/")]
    assert [name.rpartition("/")[2] for name in stored] == ["101-1.parquet", "101-2.parquet"]
