"""What runs is chosen by digests; nothing to run, or more than GitHub takes, is refused."""

import json

import pytest

from pipeline import load
from pipeline import plan as planning
from pipeline.errors import PlanError
from pipeline.schema.plan import Plan
from tests.fakes import recipe_set as small


@pytest.fixture
def recipe_set():
    return load.read(small.texts())


def candidates(recipe_set, *, count=1, **changed):
    recipe = recipe_set.recipes[small.ID]
    jobs = (
        planning.job(
            recipe.model_copy(update={"id": f"{recipe.id}{n or ''}"}),
            cluster(recipe_set),
            recipe_set.catalogue,
            None,
            None,
        )
        for n in range(count)
    )
    return [planning.PlanCandidate(job, **changed) for job in jobs]


def cluster(recipe_set):
    return recipe_set.catalogue.clusters["here"]


def plan(recipe_set, candidates, **changed) -> Plan:
    return planning.plan(
        planning.Request("p", "dispatch", created_at="now", **changed),
        cluster(recipe_set),
        recipe_set.catalogue,
        None,
        candidates,
    )


def test_a_plan_survives_being_written_and_read(recipe_set):
    made = plan(recipe_set, candidates(recipe_set))
    assert Plan.from_json(made.to_json(), where="plan.json") == made


def test_nothing_to_run_is_refused_with_the_reason(recipe_set):
    with pytest.raises(PlanError, match="nothing to run") as caught:
        plan(recipe_set, candidates(recipe_set, is_measured=True))
    assert "measured already" in caught.value.hint
    assert caught.value.exit_code == 4


def test_a_recipe_of_a_sku_that_the_cluster_has_not_is_left_out(recipe_set):
    elsewhere = cluster(recipe_set).model_copy(update={"skus": ("other",)})
    with pytest.raises(PlanError) as caught:
        planning.plan(
            planning.Request("p", "dispatch"), elsewhere, recipe_set.catalogue, None, candidates(recipe_set)
        )
    assert "cluster here has no tiny-2x4" in caught.value.hint


def test_a_recipe_of_another_purpose_than_the_cluster_is_left_out(recipe_set):
    smoke = cluster(recipe_set).model_copy(update={"purpose": "smoke"})
    with pytest.raises(PlanError) as caught:
        planning.plan(
            planning.Request("p", "dispatch"), smoke, recipe_set.catalogue, None, candidates(recipe_set)
        )
    assert "a benchmark recipe; here runs smoke ones" in caught.value.hint


def test_only_what_measures_something_else_than_before_is_planned(recipe_set):
    (one,) = candidates(recipe_set)
    same = planning.PlanCandidate(one.job, was_identity=planning.identity(one.job))
    with pytest.raises(PlanError, match="nothing to run"):
        plan(recipe_set, [same], since="HEAD")
    other = planning.PlanCandidate(one.job, was_identity="something else")
    assert len(plan(recipe_set, [other], since="HEAD").jobs) == 1


@pytest.mark.parametrize("word", ["sku", "llm", "cluster"])
def test_the_identity_follows_every_environment(recipe_set, word):
    (one,) = candidates(recipe_set)
    moved = one.job.model_copy(update={"environment": {**one.job.environment, word: "0"}})
    assert planning.identity(moved) != planning.identity(one.job)


def test_a_price_is_no_part_of_the_identity(recipe_set):
    dearer = load.read(small.texts(skus=small.SKUS.replace("usd_per_gpu_hour: 2.0", "usd_per_gpu_hour: 3.0")))
    assert planning.identity(candidates(dearer)[0].job) == planning.identity(candidates(recipe_set)[0].job)


def test_more_jobs_than_github_takes_are_refused_and_shards_are_named(recipe_set):
    many = candidates(recipe_set, count=300)
    with pytest.raises(PlanError, match="300 jobs") as caught:
        plan(recipe_set, many)
    assert "--shard 1/2" in caught.value.hint
    halves = [plan(recipe_set, many, shard=(n, 2)) for n in (1, 2)]
    assert sorted(job.id for half in halves for job in half.jobs) == sorted(one.job.id for one in many)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(PlanError, match="is not I/N"):
        planning.shard(text)


def test_the_matrix_of_a_full_run_stays_far_below_a_megabyte(recipe_set):
    made = plan(recipe_set, candidates(recipe_set, count=256))
    assert len(json.dumps(planning.matrix(made))) < 100_000
    assert planning.matrix(made)["include"][0] == {
        "id": small.ID,
        "name": "tiny-2x4 1P1D DEP4/DEP8",
        "runs_on": ["ubuntu-latest"],
    }
