"""ingest against a plan: the newest complete attempt of each job, and nobody missing unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import cli, store
from pipeline.schema.plan import Plan
from tests.fakes import results

NAMES = ("1p1d-dep4-dep8", "2p1d-dep4-dep8", "3p1d-dep4-dep8")
FROZEN = Path(__file__).parents[1] / "contract" / "frozen" / "plan.1.json"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*names: str) -> str:
    made = Plan.from_json(FROZEN.read_bytes(), where="frozen")
    jobs = tuple(results.record(results.recipe(name)).job for name in names)
    skus = {jobs[0].recipe.sku: next(iter(made.skus.values()))}
    Path("plan.json").write_text(made.model_copy(update={"jobs": jobs, "skus": skus}).to_json())
    return "plan.json"


def arrive(name: str, attempt: int = 1, run: str = "101") -> Path:
    return results.folder(Path("artifacts"), results.record(results.recipe(name), run=run, attempt=attempt))


def ingest(*words: str) -> int:
    return cli.run(["ingest", "artifacts", "--history", "history", *words], {})


def stored() -> set[tuple[str, int]]:
    return {(row.record.job.id.rpartition("8k1k.")[2], row.run[1]) for row in store.rows("history")}


def test_everything_planned_that_arrived_is_stored_and_well(place, capsys):
    for name in NAMES:
        arrive(name)
    assert ingest("--plan", plan(*NAMES)) == 0
    assert stored() == {(name, 1) for name in NAMES}


def test_a_planned_job_that_did_not_arrive_is_named_after_the_others_are_stored(place, capsys):
    arrive(NAMES[0])
    assert ingest("--plan", plan(*NAMES)) == 7
    assert stored() == {(NAMES[0], 1)}
    err = capsys.readouterr().err
    assert "2 of 3 planned jobs did not arrive" in err
    assert all(name in err for name in NAMES[1:])


def test_plans_of_several_shards_are_one(place, capsys):
    arrive(NAMES[0])
    first = Path(plan(NAMES[0])).rename("first.json")
    assert ingest("--plan", str(first), plan(NAMES[1])) == 7
    assert f"1 of 2 planned jobs did not arrive: {results.recipe(NAMES[1]).id}" in capsys.readouterr().err


def test_nothing_at_all_arriving_names_every_job(place, capsys):
    Path("artifacts").mkdir()
    assert ingest("--plan", plan(*NAMES)) == 7
    assert "3 of 3 planned jobs did not arrive" in capsys.readouterr().err


def test_the_newest_complete_attempt_of_each_job_is_taken(place, capsys):
    arrive(NAMES[0])
    arrive(NAMES[1], 1)
    arrive(NAMES[1], 2)
    arrive(NAMES[2], 2)
    (arrive(NAMES[2], 10) / "SHA256SUMS").unlink()
    assert ingest("--plan", plan(*NAMES)) == 0
    assert stored() == {(NAMES[0], 1), (NAMES[1], 2), (NAMES[2], 2)}
    assert "passed over" in capsys.readouterr().err


def test_a_job_with_nothing_but_a_torn_attempt_is_missing(place, capsys):
    arrive(NAMES[0])
    (arrive(NAMES[1]) / "SHA256SUMS").unlink()
    assert ingest("--plan", plan(*NAMES[:2])) == 7
    assert stored() == {(NAMES[0], 1)}
    assert NAMES[1] in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--plan",)])
def test_a_torn_folder_costs_its_job_and_is_named(words, place, capsys):
    arrive(NAMES[0])
    (arrive(NAMES[1]) / "SHA256SUMS").unlink()
    assert ingest(*words, *([plan(*NAMES[:2])] if words else [])) == 7
    assert stored() == {(NAMES[0], 1)}
    assert f"not stored: artifacts/bench-101-1-{results.recipe(NAMES[1]).id}: torn" in capsys.readouterr().err


def test_another_deployment_of_a_planned_recipe_is_not_what_was_planned(place, capsys):
    results.folder(Path("artifacts"), results.record(results.recipe(NAMES[0], image="another")))
    assert ingest("--plan", plan(NAMES[0])) == 7


def test_a_second_attempt_adds_only_what_is_new(place):
    arrive(NAMES[0])
    assert ingest("--plan", plan(*NAMES[:2])) == 7
    arrive(NAMES[1], 2)
    assert ingest("--plan", plan(*NAMES[:2])) == 0
    assert stored() == {(NAMES[0], 1), (NAMES[1], 2)}


def test_the_only_artifact_of_a_run_is_unpacked_flat_and_ingested(place):
    arrive(NAMES[0]).rename("flat")
    Path("artifacts").rmdir()
    Path("flat").rename("artifacts")
    assert ingest("--plan", plan(NAMES[0])) == 0
    assert stored() == {(NAMES[0], 1)}
