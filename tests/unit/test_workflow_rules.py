"""The rules of .github: what is there keeps them, and each rule finds what breaks it."""

from pathlib import Path

import pytest

from tests import workflow_rules
from tests.act.engine import pinned

GITHUB = Path(__file__).parents[2] / ".github"
NIGHTLY = (GITHUB / "workflows/nightly.yml").read_text(encoding="utf-8")
PUBLISH = (GITHUB / "workflows/publish.yml").read_text(encoding="utf-8")
RECIPES = (GITHUB / "workflows/recipes.yml").read_text(encoding="utf-8")
NOT_EXERCISED: frozenset[str] = frozenset()  # pinned actions without a shim; none so far


def breaches(text, path=".github/workflows/nightly.yml"):
    return list(workflow_rules.breaches(path, text))


def test_the_workflows_keep_the_rules():
    assert workflow_rules.check(GITHUB) == []


def test_a_folder_without_workflows_does_not_pass(tmp_path):
    assert workflow_rules.check(tmp_path) == [f"{tmp_path}: no workflow"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("permissions: {}\n", "permissions: {contents: read}\n", "at the top"),
        ("    timeout-minutes: 20\n", "", "timeout-minutes"),
        ("    permissions: {contents: read}\n", "", "permissions of its own"),
        ("cancel-in-progress: false", "name: x", "concurrency"),
        ("      fail-fast: false\n", "", "fail-fast"),
        ("persist-credentials: false, ", "", "persist-credentials"),
        (", retention-days: 90", "", "how long it lives"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "pinned"),
        (" # v7.0.1", "", "pinned"),
        ('--with plan_id="$PLAN_ID"', "--with plan_id=${{ needs.plan.outputs.plan-id }}", "through env"),
        (
            "    uses: ./.github/workflows/bench.yml\n",
            "    uses: ./.github/workflows/bench.yml\n    secrets: inherit\n",
            "secrets by name",
        ),
    ],
)
def test_each_rule_finds_its_breach(old, new, said):
    assert old in NIGHTLY
    assert any(said in one for one in breaches(NIGHTLY.replace(old, new)))


def test_a_long_run_belongs_into_a_verb():
    (said,) = breaches(NIGHTLY.replace("        run: >-\n", "        run: |\n          a\n          b\n", 1))
    assert "more than 3 lines" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    paths: [recipes/**]\n", "", "touch recipes"),
        ("  pull_request:\n", "  pull_request_target:\n", "pull_request_target"),
        ("    permissions: {contents: read}\n", "    permissions: {contents: write}\n", "may write"),
        ("    runs-on: ubuntu-latest\n", "    runs-on: [self-hosted, gb300-k8s]\n", "behind the label"),
    ],
)
def test_what_a_pull_request_may_not_do(old, new, said):
    assert old in RECIPES
    assert any(said in one for one in breaches(RECIPES.replace(old, new), ".github/workflows/recipes.yml"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("github.event.workflow_run.head_repository.full_name == github.repository &&", ""),
        (
            "(github.event.workflow_run.event == 'schedule' || github.event.workflow_run.event == 'workflow_dispatch')",
            "true",
        ),
    ],
)
def test_who_writes_after_another_run_asks_whose_it_was_and_what_started_it(old, new):
    assert old in PUBLISH
    (said,) = breaches(PUBLISH.replace(old, new, 1), ".github/workflows/publish.yml")
    assert "a fork's workflow may bear any name" in said


def test_nothing_that_a_pull_request_starts_is_given_a_token_or_a_secret():
    for name in ("recipes.yml", "bench.yml"):
        text = (GITHUB / "workflows" / name).read_text(encoding="utf-8")
        assert "secrets." not in text
        assert "github.token" not in text


def test_every_pinned_action_is_exercised_or_listed():
    shims = {path.parent.name for path in (Path(__file__).parents[1] / "act/shims").glob("*/action.yml")}
    without = {use for use in pinned(GITHUB) if use.split("@")[0].rsplit("/", 1)[-1] not in shims}
    assert without == NOT_EXERCISED
