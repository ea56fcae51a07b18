"""Where the processes of a deployment run, for every recipe that was published."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deployment import layout
from pipeline.schema.recipe import Pool, Recipe
from tests.golden.regenerate import recipe_set

GB200, GB300 = "deepseek-v4-pro-fp4.gb200-nvl72.8k1k", "deepseek-v4-pro-fp4.gb300-nvl72.8k1k"
RECIPES = recipe_set().recipes

# recipe: instances (prefill, decode) with a process per GPU, with a process per tray; processes per GPU; GPUs held
EXPECTED = {
    f"{GB200}.1p1d-dep8-tp8": ((8, 1), (2, 1), 10, 20),
    f"{GB200}.1p4d-dep8-tp8": ((8, 4), (2, 4), 16, 44),
    f"{GB200}.1p1d-dep8-dep8": ((8, 8), (2, 2), 16, 20),
    f"{GB200}.2p1d-dep8-dep8": ((16, 8), (4, 2), 24, 28),
    f"{GB200}.3p1d-dep8-dep8": ((24, 8), (6, 2), 32, 36),
    f"{GB300}.1p17d-tep4-tp4": ((1, 17), (1, 17), 18, 72),
    f"{GB300}.1p6d-dep4-tp4": ((4, 6), (1, 6), 10, 32),
    f"{GB300}.7p2d-dep4-dep16": ((28, 32), (7, 8), 60, 64),
    f"{GB300}.4p1d-dep4-dep8": ((16, 8), (4, 2), 24, 28),
    f"{GB300}.5p1d-dep4-dep8": ((20, 8), (5, 2), 28, 32),
    f"{GB300}.6p1d-dep4-dep8": ((24, 8), (6, 2), 32, 36),
}


def placed(name: str, **changes: object) -> layout.Layout:
    return layout.place(RECIPES[name].model_copy(update=changes), 4)


def shaped(recipe: Recipe, **shape: int) -> Recipe:
    """The recipe with this prefill pool."""
    return recipe.model_copy(
        update={"prefill": Pool.model_validate({"workers": 1, "tp": 1, "pp": 1, "dp": 1, "ep": 1, **shape})}
    )


def test_every_recipe_is_in_the_table() -> None:
    assert {name for name, recipe in RECIPES.items() if recipe.purpose == "benchmark"} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_instances_to_wait_for_in_both_launch_modes(name: str) -> None:
    per_gpu, per_tray, _, _ = EXPECTED[name]
    assert tuple(layout.instances(placed(name, dp_launch="per-gpu")).values()) == per_gpu
    assert tuple(layout.instances(placed(name, dp_launch="per-tray")).values()) == per_tray


@pytest.mark.parametrize("name", EXPECTED)
def test_processes_and_held_gpus(name: str) -> None:
    one = placed(name)
    assert (len(one.processes), one.gpus_held) == EXPECTED[name][2:]
    assert RECIPES[name].gpus_held(4) == one.gpus_held


def test_gpus_of_a_tray_that_no_worker_fills_are_held_too() -> None:
    recipe = shaped(RECIPES[f"{GB200}.1p1d-dep8-tp8"], workers=3, tp=2)
    assert recipe.gpus_held(4) == layout.place(recipe, 4).gpus_held == 4 + 8 + 8


@pytest.mark.parametrize("mode", ["per-gpu", "per-tray"])
@pytest.mark.parametrize("name", EXPECTED)
def test_each_gpu_is_used_once_and_none_is_left_idle(name: str, mode: str) -> None:
    one = placed(name, dp_launch=mode)
    used = Counter((process.tray, device) for process in one.processes for device in process.devices)
    workers = range(one.infra_trays, one.trays)
    assert used == Counter({(tray, device): 1 for tray in workers for device in range(4)})
    assert sum(used.values()) == RECIPES[name].gpus_counted


def test_order_of_trays_is_infra_then_prefill_then_decode() -> None:
    one = placed(f"{GB300}.7p2d-dep4-dep16")
    assert (one.services_tray, one.head_tray, one.trays) == (0, 1, 16)
    assert [process.tray for process in one.worker("prefill", 6)] == [7] * 4
    assert [process.tray for process in one.worker("decode", 0)] == [8] * 4 + [9] * 4 + [10] * 4 + [11] * 4
    assert {process.tray for process in one.worker("decode", 1)} == {12, 13, 14, 15}


def test_without_an_infra_tray_the_services_share_the_head() -> None:
    one = placed(f"{GB300}.1p17d-tep4-tp4")
    assert (one.services_tray, one.head_tray) == (0, 0)


def test_workers_smaller_than_a_tray_share_it_but_not_with_the_other_role() -> None:
    one = layout.place(shaped(RECIPES[f"{GB300}.1p6d-dep4-tp4"], workers=3, tp=2), 4)
    assert [(process.tray, process.devices) for process in one.processes[:4]] == [
        (1, (0, 1)),
        (1, (2, 3)),
        (2, (0, 1)),
        (3, (0, 1, 2, 3)),
    ]


def test_only_the_first_process_of_tensor_parallelism_across_trays_answers() -> None:
    crew = placed(f"{GB200}.1p1d-dep8-tp8").worker("decode", 0)
    assert [(process.tray, process.rank, process.dp_rank, process.headless) for process in crew] == [
        (3, 0, 0, False),
        (4, 1, 0, True),
    ]


def test_ranks_that_each_cross_trays_have_one_process_a_tray_and_one_instance() -> None:
    one = layout.place(shaped(RECIPES[f"{GB200}.1p1d-dep8-tp8"], tp=8, dp=2, ep=16), 4)
    assert [(process.dp_rank, process.headless) for process in one.worker("prefill", 0)] == [
        (0, False),
        (0, True),
        (1, True),
        (1, True),
    ]
    assert layout.instances(one)["prefill"] == 1


def test_a_rank_of_two_gpus_drives_both() -> None:
    crew = layout.place(shaped(RECIPES[f"{GB300}.1p6d-dep4-tp4"], tp=2, dp=4, ep=8), 4).worker("prefill", 0)
    assert [(process.tray, process.devices, process.dp_rank) for process in crew] == [
        (1, (0, 1), 0),
        (1, (2, 3), 1),
        (2, (0, 1), 2),
        (2, (2, 3), 3),
    ]


def test_names_are_unique_so_that_no_two_processes_write_one_log() -> None:
    for name in EXPECTED:
        names = [process.name for process in placed(name).processes]
        assert len(set(names)) == len(names)


def pools() -> st.SearchStrategy[Pool]:
    """Pools whose workers fill trays evenly, or share one."""
    shape = st.tuples(
        st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2]), st.sampled_from([1, 2, 4, 8, 16])
    )
    return st.builds(
        lambda workers, shape: Pool(workers=workers, tp=shape[0], pp=shape[1], dp=shape[2], ep=1),
        st.integers(1, 6),
        shape.filter(lambda one: one[0] * one[1] * one[2] <= 32),
    )


def expected_trays(recipe: Recipe) -> list[tuple[str, int, set[int]]]:
    """Role, worker and places (4 · tray + GPU) by the rules of srt-slurm, counted worker by worker.

    Trays of the services come first, then each worker takes whole trays in the order of prefill and decode; workers
    that are smaller than a tray fill one from its first GPU on. srt-slurm lets a prefill worker and a decode worker
    share a tray only where it is told to, which ours never does.
    """
    found, tray, used = [], recipe.infra_trays, 0
    for role, pool in recipe.pools.items():
        for worker in range(pool.workers):
            size = pool.tp * pool.pp * pool.dp
            if used + size > 4:
                tray, used = tray + (used > 0), 0
            first = 4 * tray + used
            found.append((role, worker, set(range(first, first + size))))
            whole, rest = divmod(used + size, 4)
            tray, used = tray + whole, rest
        tray, used = tray + (used > 0), 0
    return found


@settings(max_examples=200, deadline=None)
@given(
    prefill=pools(), decode=pools(), infra=st.integers(0, 2), mode=st.sampled_from(["per-gpu", "per-tray"])
)
def test_random_layouts_use_each_gpu_once_and_stand_where_srt_slurm_puts_them(
    prefill: Pool, decode: Pool, infra: int, mode: str
) -> None:
    changes = {"prefill": prefill, "decode": decode, "infra_trays": infra, "dp_launch": mode}
    recipe = RECIPES[f"{GB200}.1p1d-dep8-dep8"].model_copy(update=changes)
    found = layout.place(recipe, 4)
    each = [4 * one.tray + device for one in found.processes for device in one.devices]
    assert len(each) == len(set(each)) == recipe.gpus_counted
    assert all(place % 4 >= 0 and place // 4 < found.trays for place in each)
    assert found.gpus_held == recipe.gpus_held(4)
    for role, worker, places in expected_trays(recipe):
        processes = found.worker(role, worker)
        own = [4 * one.tray + device for one in processes for device in one.devices]
        assert set(own) == places
        assert sum(not one.headless for one in processes) >= 1
