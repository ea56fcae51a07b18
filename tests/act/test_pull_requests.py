"""Pull requests under the real engine: predicted for everybody, on a rack for those that a maintainer let in."""

from __future__ import annotations

import re

import pytest

from tests.act.conftest import RECIPES, completed, pull_request
from tests.act.engine import REPOSITORY, TOKEN, git

FORK = "mallory/rackbench"
RECIPE = f"{RECIPES}/1p6d-dep4-tp4.yaml"


@pytest.fixture(scope="module")
def base(engine):
    return git(engine.work, "rev-parse", "HEAD").strip()


def edited(engine, base, old, new, *, repository=REPOSITORY, branch="change"):
    """A branch with one edit of a recipe."""
    git(engine.work, "checkout", "-q", "--detach", base)
    path = engine.work / RECIPE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return engine.commit("Edit a recipe", branch=branch, repository=repository)


@pytest.fixture(scope="module")
def fork(engine, base, github):
    """A pull request from a fork: its run, that of the label that somebody tried, and what is published of the first."""
    head = edited(engine, base, "decode: {workers: 6}", "decode: {workers: 5}", repository=FORK)
    git(
        engine.remote(), "fetch", "-q", str(engine.remote(FORK)), "change:refs/pull/7/head"
    )  # GitHub keeps a fork's head here
    github.add_pull(6, head, "somebody/else")
    github.add_pull(7, head, FORK)
    review = engine.run(
        "pull_request",
        "recipes.yml",
        pull_request("opened", base=base, head=head, repository=FORK),
        run_id=301,
    )
    event = pull_request("labeled", base=base, head=head, repository=FORK, label={"name": "rack"})
    labelled = engine.run("pull_request", "recipes.yml", event, run_id=302)
    git(engine.work, "checkout", "-q", "--detach", base)
    told = engine.run(
        "workflow_run", "publish.yml", completed("recipes", 301, head=head, repository=FORK), run_id=303
    )
    return head, review, labelled, told


def test_a_fork_is_predicted_and_gets_no_rack_and_no_token(fork):
    _, review, labelled, _ = fork
    assert {name.split("/")[-1].strip() for name in review.jobs} == {"review"}
    assert set(review.results("review").values()) == {"success"}
    assert TOKEN not in review.text() + labelled.text()
    assert labelled.jobs == set()


def test_the_comment_lands_on_the_pull_request_that_has_this_head_in_this_repository(fork, github):
    head, _, _, told = fork
    assert set(told.results("comment").values()) == {"success"}
    assert not github.comments_on(6)
    (comment,) = github.comments_on(7)
    first = comment["body"].splitlines()[0]
    assert "1p6d-dep4-tp4, 1P6D DEP4/TP4 → 1P5D DEP4/TP4: predicted " in first
    assert "gb300-nvl72" in comment["body"]
    assert re.search(r"[+−]\d+\.\d % tok/s/GPU at conc 192", first)
    assert first.endswith("(simulated)")
    (check,) = github.checks
    assert check["head_sha"] == head


def test_a_fork_that_calls_its_workflow_nightly_is_not_published(engine, base, fork):
    head = fork[0]
    for run_id, repository, event in (
        (304, FORK, "pull_request"),
        (305, REPOSITORY, "pull_request"),
        (306, FORK, "workflow_dispatch"),
    ):
        ended = completed("nightly", run_id - 10, head=head, repository=repository, event=event)
        assert engine.run("workflow_run", "publish.yml", ended, run_id=run_id).jobs == set()


def test_a_label_runs_what_changed_at_the_commit_that_it_was_set_on(engine, base, github):
    head = edited(engine, base, "conc: [192]", "conc: [48]")
    github.add_pull(9, head)
    event = pull_request("labeled", base=base, head=head, label={"name": "rack"})
    run = engine.run("pull_request", "recipes.yml", event, run_id=401)
    assert set(run.results("").values()) == {"success"}
    (leg,) = (job for job in run.jobs if "bench" in job or "rack" in job)
    assert "1P6D DEP4/TP4" in leg
    assert not any("review" in job for job in run.jobs)
    names = {one.name for one in engine.results.of_run("401")}
    assert names == {"plan-401", "bench-401-1-deepseek-v4-pro-fp4.gb300-nvl72.8k1k.1p6d-dep4-tp4"}
    git(engine.work, "checkout", "-q", "--detach", base)
    engine.run("workflow_run", "publish.yml", completed("recipes", 401, head=head), run_id=403)
    (comment,) = github.comments_on(9)
    assert "1/11 deployments" in comment["body"].splitlines()[0]
    assert "history" not in git(engine.remote(), "for-each-ref")


def test_another_label_starts_nothing(engine, base):
    event = pull_request("labeled", base=base, head=base, label={"name": "documentation"})
    assert engine.run("pull_request", "recipes.yml", event, run_id=402).jobs == set()


def test_zero_changed_recipes_are_said_in_one_line(engine, base, github):
    head = edited(engine, base, "title: GB300", "title: Our GB300", branch="words")
    github.add_pull(8, head)
    review = engine.run(
        "pull_request", "recipes.yml", pull_request("opened", base=base, head=head), run_id=501
    )
    assert set(review.results("review").values()) == {"success"}
    git(engine.work, "checkout", "-q", "--detach", base)
    engine.run("workflow_run", "publish.yml", completed("recipes", 501, head=head), run_id=502)
    (comment,) = github.comments_on(8)
    assert comment["body"].startswith("### ⚪ no recipe measures something else than at")
    assert "|" not in comment["body"]
