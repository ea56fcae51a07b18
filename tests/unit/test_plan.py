"""What runs is chosen by digests; nothing to run, or more than GitHub takes, is refused."""

import json

import pytest

from pipeline import load
from pipeline import plan as planning
from pipeline.deployment import hbm
from pipeline.errors import PlanError
from pipeline.schema.cluster import SlurmSite
from pipeline.schema.plan import Job, Plan
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
            [small.timing()],
            None,
        )
        for n in range(count)
    )
    return [planning.PlanCandidate(job, **changed) for job in jobs]


def cluster(recipe_set):
    return recipe_set.catalogue.clusters["here"]


def plan(recipe_set, candidates, **changed) -> Plan:
    return planning.plan(
        planning.PlanRequest("p", "dispatch", created_at="now", **changed),
        cluster(recipe_set),
        recipe_set.catalogue,
        [small.timing()],
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
            planning.PlanRequest("p", "dispatch"),
            elsewhere,
            recipe_set.catalogue,
            None,
            candidates(recipe_set),
        )
    assert "cluster here has no tiny-2x4" in caught.value.hint


def test_a_recipe_of_another_purpose_than_the_cluster_is_left_out(recipe_set):
    smoke = cluster(recipe_set).model_copy(update={"purpose": "smoke"})
    with pytest.raises(PlanError) as caught:
        planning.plan(
            planning.PlanRequest("p", "dispatch"), smoke, recipe_set.catalogue, None, candidates(recipe_set)
        )
    assert "its purpose is benchmark, but cluster here runs smoke recipes" in caught.value.hint


def test_only_what_measures_something_else_than_before_is_planned(recipe_set):
    (one,) = candidates(recipe_set)
    same = planning.PlanCandidate(one.job, was_identity=planning.identity(one.job))
    with pytest.raises(PlanError, match="nothing to run"):
        plan(recipe_set, [same], since="HEAD")
    other = planning.PlanCandidate(one.job, was_identity="something else")
    assert len(plan(recipe_set, [other], since="HEAD").jobs) == 1


def test_equal_jobs_have_equal_identities_however_they_came_about(recipe_set):
    """A history stores jobs, not identities: both sides of a comparison are computed from documents."""
    (one,) = candidates(recipe_set)
    read_again = Job.model_validate_json(one.job.model_dump_json())
    turned = one.job.model_copy(update={"environment": dict(reversed(one.job.environment.items()))})
    reloaded = candidates(load.read(small.texts()))[0].job
    assert {planning.identity(job) for job in (one.job, read_again, turned, reloaded)} == {
        planning.identity(one.job)
    }


@pytest.mark.parametrize(
    "edited",
    [
        small.RECIPE.replace("conc: [4, 8]", "conc: [4]"),
        small.RECIPE + "client: {seed: 1}\n",
        small.RECIPE + "client: {requests_per_conc: 3}\n",
        small.RECIPE + "dp_launch: per-tray\n",
    ],
)
def test_the_identity_follows_concurrencies_client_and_deployment(recipe_set, edited):
    (one,), (other,) = candidates(recipe_set), candidates(load.read(small.texts(recipe=edited)))
    assert planning.identity(one.job) != planning.identity(other.job)


def test_what_does_not_fit_in_hbm_is_left_out(recipe_set):
    (one,) = candidates(recipe_set)
    recipe, catalogue = one.job.recipe, recipe_set.catalogue
    huge = catalogue.llms["small"].model_copy(update={"overhead_gb": 1000.0})
    roles = hbm.estimate(recipe, catalogue.skus[recipe.sku], huge)
    job = planning.job(recipe, cluster(recipe_set), catalogue, [small.timing()], roles)
    with pytest.raises(PlanError) as caught:
        plan(recipe_set, [planning.PlanCandidate(job)])
    assert f"does not fit in HBM; run: python -m pipeline fit {small.ID}" in caught.value.hint


def test_a_selection_of_nothing_is_named(recipe_set):
    with pytest.raises(PlanError, match="nothing to run") as caught:
        plan(recipe_set, candidates(recipe_set), select="other.*")
    assert caught.value.hint == "no recipe matches --select 'other.*'"


def test_a_shard_beyond_the_last_job_is_empty_for_that_reason(recipe_set):
    with pytest.raises(PlanError) as caught:
        plan(recipe_set, candidates(recipe_set, count=2), shard=(3, 4))
    assert caught.value.hint == "shard 3/4: there are only 2 jobs in all shards together"


def test_reasons_beyond_the_third_are_counted(recipe_set):
    with pytest.raises(PlanError) as caught:
        plan(recipe_set, candidates(recipe_set, count=5, is_measured=True))
    assert caught.value.hint.endswith("; and 2 more")


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
        "minutes": 330,
    }


def test_a_measurement_on_a_runner_of_our_own_may_take_as_long_as_recipe_and_queue_allow(recipe_set):
    made = plan(recipe_set, candidates(recipe_set, count=1))
    site = SlurmSite(launcher="slurm", partition="p", segment=True, queue_s=7200)
    there = made.cluster.model_copy(update={"site": site, "runs_on": ("self-hosted", "rack")})
    minutes = [
        planning.matrix(made.model_copy(update={"cluster": cluster}))["include"][0]["minutes"]
        for cluster in (
            there.model_copy(update={"runs_on": ("ubuntu-latest",)}),
            there.model_copy(update={"site": site.model_copy(update={"queue_s": 36_000})}),
            there.model_copy(update={"site": site.model_copy(update={"queue_s": 1_000_000})}),
        )
    ]
    assert minutes == [330, 600 + 60 + 30, 7140]
