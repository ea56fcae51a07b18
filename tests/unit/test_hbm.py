"""What fits where, and why: the shapes that ran fit, the 4-GPU replica fits GB300 and not GB200."""

from pathlib import Path

import pytest

from pipeline import load
from pipeline.deployment import hbm as memory
from pipeline.flow.context import texts
from pipeline.schema.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
GB300_4P = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.4p1d-dep4-dep8"


@pytest.fixture(scope="module")
def recipe_set():
    return load.read(texts(RECIPES))


def hbm_of(recipe_set, name, role, *, sku=None, **shape):
    recipe: Recipe = recipe_set.recipes[name]
    pool = recipe.pools[role].model_copy(update=shape)
    recipe = recipe.model_copy(update={role: pool})
    roles = memory.estimate(
        recipe, recipe_set.catalogue.skus[sku or recipe.sku], recipe_set.catalogue.llms[recipe.model]
    )
    assert roles is not None
    return next(one for one in roles if one.role == role)


def test_every_deployment_that_ran_fits_its_rack(recipe_set):
    verdicts = {
        (name, hbm.role): hbm.verdict
        for name, recipe in recipe_set.recipes.items()
        if recipe.purpose == "benchmark"
        for hbm in memory.estimate(
            recipe, recipe_set.catalogue.skus[recipe.sku], recipe_set.catalogue.llms[recipe.model]
        )
        or ()
    }
    assert len(verdicts) == 22
    assert set(verdicts.values()) == {"fits", "tight"}


@pytest.mark.parametrize(
    ("shape", "gb200_budget", "gb300_budget", "gb300_sequences"),
    [
        ({"tp": 4, "dp": 1, "ep": 1}, -40.8, 48.6, 655),
        ({"tp": 4, "dp": 1, "ep": 4}, -40.8, 48.6, 655),
        ({"tp": 1, "dp": 4, "ep": 4}, -59.8, 29.6, 399),
        ({"tp": 8, "dp": 1, "ep": 1}, 65.1, 154.5, 2085),
        ({"tp": 1, "dp": 8, "ep": 8}, 42.9, 132.3, 1785),
        ({"tp": 1, "dp": 16, "ep": 16}, 94.1, 183.5, 2478),
    ],
)
def test_kv_budget_of_a_decode_worker_by_shape(
    recipe_set, shape, gb200_budget, gb300_budget, gb300_sequences
):
    flags = {
        **recipe_set.recipes[GB300_4P].decode.flags,
        "max-num-batched-tokens": 512,
        "enforce-eager": True,
    }
    on_gb300 = hbm_of(recipe_set, GB300_4P, "decode", flags=flags, **shape)
    on_gb200 = hbm_of(recipe_set, GB300_4P, "decode", sku="gb200-nvl72", flags=flags, **shape)
    assert on_gb300.kv_budget_gb == pytest.approx(gb300_budget, abs=0.06)
    assert on_gb200.kv_budget_gb == pytest.approx(gb200_budget, abs=0.06)
    assert on_gb300.max_sequences == pytest.approx(
        gb300_sequences, abs=1
    )  # the figures were rounded on the way
    assert (on_gb200.verdict == "does not fit") == (gb200_budget < 0)


def test_the_narrowest_shape_that_fits_is_one_tray_on_gb300_and_two_on_gb200(recipe_set):
    recipe, llm = recipe_set.recipes[GB300_4P], recipe_set.catalogue.llms["deepseek-v4-pro"]
    assert memory.narrowest(recipe, "prefill", recipe_set.catalogue.skus["gb300-nvl72"], llm) == "DEP4"
    assert memory.narrowest(recipe, "prefill", recipe_set.catalogue.skus["gb200-nvl72"], llm) == "DEP8"


def test_two_stages_of_four_gpus_hold_what_eight_gpus_hold(recipe_set):
    tensor = hbm_of(recipe_set, GB300_4P, "decode", sku="gb200-nvl72", tp=8, pp=1, dp=1, ep=1)
    staged = hbm_of(recipe_set, GB300_4P, "decode", sku="gb200-nvl72", tp=4, pp=2, dp=1, ep=1)
    alone = hbm_of(recipe_set, GB300_4P, "decode", sku="gb200-nvl72", tp=4, pp=1, dp=1, ep=1)
    assert (
        (staged.verdict, alone.verdict)
        == (tensor.verdict, "does not fit")
        != ("does not fit", "does not fit")
    )
    assert (staged.routed_gb, staged.shared_gb, staged.attention_gb) == (
        tensor.routed_gb,
        tensor.shared_gb,
        tensor.attention_gb,
    )
    assert (staged.replicated_gb, staged.sequence_gb) == pytest.approx(
        (tensor.replicated_gb / 2, tensor.sequence_gb / 2)
    )
    assert staged.embeddings_gb == alone.embeddings_gb  # one stage has them


def test_offload_takes_a_third_of_the_routed_experts_out_of_hbm(recipe_set):
    name = "deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-tp8"
    offloaded = hbm_of(recipe_set, name, "prefill")
    flags = {
        key: value
        for key, value in recipe_set.recipes[name].prefill.flags.items()
        if not key.startswith("offload")
    }
    resident = hbm_of(recipe_set, name, "prefill", flags=flags)
    assert offloaded.offload_gb == pytest.approx(resident.routed_gb / 3)
    assert (round(offloaded.kv_budget_gb, 1), round(resident.kv_budget_gb, 1)) == (37.7, 3.5)


def test_the_fp4_indexer_cache_makes_a_sequence_smaller(recipe_set):
    plain = hbm_of(recipe_set, GB300_4P, "decode")
    small = hbm_of(
        recipe_set,
        GB300_4P,
        "decode",
        flags={
            **recipe_set.recipes[GB300_4P].decode.flags,
            "attention-config": {"use_fp4_indexer_cache": True},
        },
    )
    assert (round(plain.sequence_gb * 1000, 1), round(small.sequence_gb * 1000, 1)) == (74.1, 69.6)


def test_a_sku_whose_memory_nobody_has_read_off_is_unknown(recipe_set):
    assert (
        memory.estimate(
            recipe_set.recipes[GB300_4P],
            recipe_set.catalogue.skus["mi355x"],
            recipe_set.catalogue.llms["deepseek-v4-pro"],
        )
        is None
    )
