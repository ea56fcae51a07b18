"""Runs that start runs: what a run takes of a night, what goes to further runs, and whether there was a night at all."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline import cli
from pipeline import plan as planning
from tests.fakes import github as fake
from tests.fakes import recipe_set as small

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five recipes and two clusters that take them all."""
    files = small.texts()
    files["clusters/there.yaml"] = small.CLUSTER.replace("This machine", "Another").replace(
        "racks: 1", "racks: 2"
    )
    for workers in range(2, 6):
        path = small.PATH.replace("1p1d", f"{workers}p1d")
        files[path] = small.RECIPE.replace("  workers: 1\n", f"  workers: {workers}\n", 1).replace(
            "conc: [4, 8]", f"conc: [{workers}]"
        )
    files["skus.yaml"] = small.SKUS.replace("domain_gpus: 16", "domain_gpus: 72")
    for path, text in files.items():
        target = tmp_path / "recipes" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "recipes/timing").mkdir()
    (tmp_path / "recipes/timing/small.json").write_text(small.timing().to_json())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matrix(folder, *words):
    out = folder / "outputs"
    out.unlink(missing_ok=True)
    code = cli.run(
        ["matrix", "--clusters", "here there", "--out", "plans", *words], {"GITHUB_OUTPUT": str(out)}
    )
    lines = out.read_text().splitlines() if out.exists() else []
    return code, dict(line.split("=", 1) for line in lines)


def legs(outputs):
    return [
        (one["name"], job["id"]) for one in json.loads(outputs["matrix"])["cluster"] for job in one["jobs"]
    ]


def git(where, *words):
    subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.com", *words], cwd=where, check=True
    )


def edit(folder, workers):
    path = folder / "recipes" / small.PATH.replace("1p1d", f"{workers}p1d")
    path.write_text(path.read_text().replace(f"conc: [{workers}]", f"conc: [{workers + 1}]"))


def test_one_run_takes_what_there_is_room_for_and_the_rest_is_shared_out(folder):
    code, outputs = matrix(folder, "--shard-size", "4")
    assert code == 0
    assert (outputs["count"], outputs["shards"]) == ("4", "3")
    rest = [matrix(folder, "--shard", f"{number}/3", "--plan-id", outputs["plan-id"])[1] for number in (2, 3)]
    assert {one["plan-id"] for one in rest} == {outputs["plan-id"]}
    every = [leg for one in (outputs, *rest) for leg in legs(one)]
    assert len(every) == len(set(every)) == 10


def test_a_shard_that_starts_later_takes_its_own_share_whatever_was_measured_meanwhile(folder):
    _, first = matrix(folder, "--shard-size", "4")
    measured = legs(first)[0][1]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        git(folder, *command)
    edit(folder, 5)
    later = [
        legs(matrix(folder, "--shard", f"{number}/3", "--since", "HEAD", "--may-be-empty")[1])
        for number in (1, 2, 3)
    ]
    assert sorted(leg for part in later for leg in part) == [
        (name, small.ID.replace("1p1d", "5p1d")) for name in ("here", "there")
    ]
    whole = [legs(matrix(folder, "--shard", f"{number}/3")[1]) for number in (1, 2, 3)]
    assert all(set(part) <= set(full) for part, full in zip(later, whole, strict=True))
    assert measured in {job for _, job in whole[0]}


def test_a_checkout_of_a_commit_is_compared_with_where_it_left_a_branch_of_its_remote(folder, monkeypatch):
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-qm", "x"],
        ["checkout", "-qb", "change"],
    ):
        git(folder, *command)
    edit(folder, 5)
    for command in (["commit", "-qam", "ours"], ["checkout", "-q", "main"]):
        git(folder, *command)
    edit(folder, 4)
    git(folder, "commit", "-qam", "theirs, merged meanwhile")
    git(folder, "clone", "-q", ".", "checkout")
    clone = folder / "checkout"
    for command in (["checkout", "-q", "--detach", "origin/change"], ["branch", "-qD", "main"]):
        git(clone, *command)
    monkeypatch.chdir(clone)
    code, outputs = matrix(folder, "--since", "main", "--clusters", "here")
    assert (code, legs(outputs)) == (0, [("here", small.ID.replace("1p1d", "5p1d"))])
    assert matrix(folder, "--since", "nowhere")[0] == 4


def test_each_cluster_says_how_many_racks_it_has(folder):
    _, outputs = matrix(folder)
    assert {one["name"]: one["max_parallel"] for one in json.loads(outputs["matrix"])["cluster"]} == {
        "here": 1,
        "there": 2,
    }
    assert sorted(path.name for path in (folder / "plans").iterdir()) == ["here.json", "there.json"]


def test_nothing_to_run_is_an_error_unless_it_may_be(folder, capsys):
    assert matrix(folder, "--select", "no-such-*")[0] == 4
    assert "nothing to run" in capsys.readouterr().err
    code, outputs = matrix(folder, "--select", "no-such-*", "--may-be-empty")
    assert (code, outputs["count"], outputs["shards"], legs(outputs)) == (0, "0", "1", [])


def test_256_jobs_and_their_names_are_far_below_what_an_output_may_hold():
    leg = {"id": "x" * 100, "name": "y" * 60, "runs_on": ["self-hosted", "gb300-k8s"], "minutes": 7140}
    assert len(json.dumps([leg] * planning.MAX_JOBS)) < 100_000


@pytest.fixture
def github():
    with fake.serve() as state:
        yield state


def environment(github):
    return {
        "GITHUB_TOKEN": github.token,
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": github.repository,
        "GITHUB_REF_NAME": "main",
    }


def test_every_further_shard_is_started_once_with_the_inputs_of_the_first(github):
    inputs = json.dumps({"select": "*gb300*", "quick": True, "shard": "", "sha": None})
    assert (
        cli.run(
            ["dispatch", "nightly.yml", "--inputs", inputs, "--with", "plan_id=p", "--shards", "3"],
            environment(github),
        )
        == 0
    )
    assert [one["inputs"] for one in github.dispatches] == [
        {"select": "*gb300*", "quick": "true", "plan_id": "p", "shard": f"{number}/3"} for number in (2, 3)
    ]
    assert {one["ref"] for one in github.dispatches} == {"main"}


def started(github):
    """Dispatched runs appear in the list, as nightly.yml names them."""
    for number, one in enumerate(github.dispatches, start=len(github.runs) + 1):
        title = f"nightly {one['inputs']['plan_id']} {one['inputs']['shard']}"
        when = {"event": "workflow_dispatch", "created_at": "2126-11-25T01:17:00Z"}
        github.add_run(number, path=".github/workflows/nightly.yml", display_title=title, **when)
    return [one["inputs"]["shard"] for one in github.dispatches]


def test_a_shard_that_was_started_is_not_started_again_and_one_that_fails_keeps_no_other_from_it(
    github, capsys
):
    words = ["dispatch", "nightly.yml", "--shards", "4", "--with", "plan_id=p"]
    github.fail("POST", "dispatches", 422)
    assert cli.run(words, environment(github)) == 8
    assert "1 of 3 shards could not be started: 422" in capsys.readouterr().err
    assert started(github) == ["3/4", "4/4"]
    github.dispatches.clear()
    assert cli.run(words, environment(github)) == 0
    assert started(github) == ["2/4"]
    github.dispatches.clear()
    assert cli.run([*words[:-1], "plan_id=q"], environment(github)) == 0
    assert started(github) == ["2/4", "3/4", "4/4"]


def test_without_a_plan_id_no_run_is_taken_for_a_shard(github):
    github.add_run(
        1,
        path=".github/workflows/nightly.yml",
        display_title="nightly  2/2",
        event="workflow_dispatch",
        created_at="2126-11-25T01:17:00Z",
    )
    assert cli.run(["dispatch", "nightly.yml", "--shards", "2"], environment(github)) == 0
    assert [one["inputs"]["shard"] for one in github.dispatches] == ["2/2"]


def test_the_workflow_names_its_shards_as_dispatch_looks_for_them():
    name = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())["run-name"]
    (form,) = re.findall(r"inputs.shard && format\('([^']+)', inputs.plan_id, inputs.shard\)", name)
    assert form.format("p", "2/3") == planning.shard_title("nightly.yml", {"plan_id": "p", "shard": "2/3"})


def test_a_run_of_a_schedule_has_no_inputs_to_pass_on(github):
    assert (
        cli.run(["dispatch", "nightly.yml", "--inputs", "null", "--with", "select=*"], environment(github))
        == 0
    )
    assert [one["inputs"] for one in github.dispatches] == [{"select": "*"}]


def test_the_watchdog_is_quiet_when_the_schedule_ran_and_loud_when_it_did_not(github, capsys):
    day = "2126-11-25T01:17:00Z"
    github.add_run(1, path=".github/workflows/nightly.yml", event="workflow_dispatch", created_at=day)
    github.add_run(2, path=".github/workflows/other.yml", event="schedule", created_at=day)
    github.add_run(
        3, path=".github/workflows/nightly.yml", event="schedule", created_at="2020-11-25T01:17:00Z"
    )
    assert cli.run(["watchdog", "nightly.yml"], environment(github)) == 8
    said = capsys.readouterr().err
    assert "::error::the schedule of nightly.yml has started no run in the last 26 hours" in said
    github.add_run(4, path=".github/workflows/nightly.yml", event="schedule", created_at=day)
    assert cli.run(["watchdog", "nightly.yml"], environment(github)) == 0
