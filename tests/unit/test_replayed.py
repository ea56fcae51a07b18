"""What virtual time reads is one declared list, and a change outside of it has no simulated effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.analyse.changes import compare
from pipeline.deployment import hbm, replayed, simulated
from pipeline.deployment.settings import positive
from pipeline.deployment.timings import sku_timing
from pipeline.errors import PipelineError
from pipeline.render.words.reasons import reason_text
from pipeline.schema.plan import Job
from pipeline.schema.recipe import ROLES, Recipe, Role
from pipeline.schema.report import Change
from pipeline.schema.timing import Timing
from tests.fakes.rows import recipe as fake
from tests.fakes.rows import row
from tests.golden.regenerate import RECIPES as FOLDER
from tests.golden.regenerate import recipe_set

SET = recipe_set()
RECIPES = {name: one for name, one in SET.recipes.items() if one.purpose == "benchmark"}
TIMING = Timing.from_json((FOLDER / "timing" / "deepseek-v4-pro-fp4.json").read_text(), where="timing")


def simulated_inputs(recipe: Recipe) -> dict[str, Any]:
    """Everything that a replay is given of a recipe, by role."""
    sku, llm = SET.catalogue.skus[recipe.sku], SET.catalogue.llms[recipe.model]
    job = Job(id=recipe.id, recipe=recipe, deployment_digest="d", environment={}, gpu_hours=None,
              hbm=hbm.estimate(recipe, sku, llm) or ())  # fmt: skip
    timing = sku_timing([TIMING], recipe)
    return {
        role: [simulated.arguments(job, role, sku, sequences=8), simulated.table(role, recipe, timing)]
        for role in ROLES
    }


def with_flag(recipe: Recipe, role: Role, name: str, value: object) -> Recipe:
    pool = recipe.pools[role]
    flags = {key: one for key, one in pool.flags.items() if positive(key) != positive(name)}
    return recipe.model_copy(update={role: pool.model_copy(update={"flags": {**flags, name: value}})})


def is_seen(recipe: Recipe, changed: Recipe) -> bool:
    try:
        return simulated_inputs(changed) != simulated_inputs(recipe)
    except PipelineError:
        return True  # it is read, and refused


def others(value: object) -> Iterator[object]:
    """Values that differ from this one, of the same type."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value * 2, max(1, value // 2))
    elif isinstance(value, float):
        yield value * 0.97
    elif isinstance(value, str):
        yield "auto"
    else:
        yield {"changed": True}


MORE: dict[str, object] = {
    "enable-prefix-caching": True,
    "offload-group-size": 4,
    "offload-num-in-group": 2,
    "speculative-config": {"method": "mtp", "num_speculative_tokens": 2},
    "attention-config": {"use_fp4_indexer_cache": True},
}


def flag_edits(recipe: Recipe) -> Iterator[tuple[Role, str, Recipe]]:
    for role in ROLES:
        for name, value in recipe.pools[role].flags.items():
            for other in others(value):
                yield role, name, with_flag(recipe, role, name, other)
        for name, value in MORE.items():
            yield role, name, with_flag(recipe, role, name, value)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.id)
def test_what_a_replay_reads_of_the_flags_is_declared(recipe: Recipe) -> None:
    declared = replayed.FLAGS | replayed.ONLY_FOR_MEMORY
    seen = {positive(name) for _, name, edited in flag_edits(recipe) if is_seen(recipe, edited)}
    assert seen <= declared


def test_every_declared_flag_has_an_effect() -> None:
    seen = {
        positive(name)
        for one in RECIPES.values()
        for _, name, edited in flag_edits(one)
        if is_seen(one, edited)
    }
    assert {name.partition(".")[0] for name in replayed.FLAGS} <= seen


@pytest.mark.parametrize(
    "update",
    [{"image": "other"}, {"versions": {"vllm": "9.9.9"}}, {"dp_launch": "per-tray"}, {"model_revision": "0" * 40}],
    ids=str,
)  # fmt: skip
def test_other_fields_have_no_simulated_effect_and_are_not_declared(update: dict[str, object]) -> None:
    recipe = next(iter(RECIPES.values()))
    assert not is_seen(recipe, recipe.model_copy(update=update))
    assert replayed.unseen(update) == tuple(update)


@pytest.mark.parametrize("update", [{"NCCL_P2P_LEVEL": "x"}, {"UCX_TLS": "tcp"}])
def test_variables_have_no_simulated_effect_and_are_not_declared(update: dict[str, str]) -> None:
    recipe = next(iter(RECIPES.values()))
    changed = recipe.model_copy(update={"decode": recipe.decode.model_copy(update={"env": update})})
    assert not is_seen(recipe, changed)
    assert not any(replayed.is_replayed(f"decode.env.{name}") for name in update)


THEN = row(fake(), 4096, (10_000.0, 13.0), run="100")
UNSEEN = {"speculative-config": {"method": "mtp"}}


def change(decode_flags: dict[str, Any], tok_s_gpu: float, **fields: Any) -> Change:
    now = row(fake(decode_flags=decode_flags), 4096, (tok_s_gpu, 13.0), **fields)
    (only,) = compare([now], [THEN], planned=[fake().id], relevant_change=0.01)
    return only


@pytest.mark.parametrize(
    ("flags", "tok_s_gpu", "verdict", "named"),
    [
        (UNSEEN, 10_000.0, "unknown", True),
        ({"max-num-seqs": 256}, 10_000.0, "same", False),
        ({"max-num-seqs": 256}, 9_000.0, "worse", False),
        ({"max-num-seqs": 256, **UNSEEN}, 10_000.0, "unknown", True),
        ({"max-num-seqs": 256, **UNSEEN}, 11_000.0, "unknown", True),
        ({"max-num-seqs": 256, **UNSEEN}, 9_000.0, "worse", False),
        ({}, 10_000.0, "same", False),
    ],
)
def test_a_simulated_change_outside_of_the_list_is_never_the_same(
    flags, tok_s_gpu, verdict, *, named
) -> None:
    found = change(flags, tok_s_gpu)
    assert found.verdict == verdict
    assert [diff.field for diff in found.unseen] == ["decode.flags.speculative-config.method"] * bool(
        UNSEEN.items() <= flags.items()
    )
    assert (
        "virtual time does not simulate decode.flags.speculative-config" in reason_text(found.reason)
    ) == named
    assert found.tok_s_gpu_change == pytest.approx(tok_s_gpu / 10_000 - 1)


def test_a_measured_run_sees_every_setting() -> None:
    then = row(fake(), 4096, (10_000.0, 13.0), run="100", origin="measured", measure="aiperf")
    now = row(fake(decode_flags=UNSEEN), 4096, (10_000.0, 13.0), origin="measured", measure="aiperf")
    (found,) = compare([now], [then], planned=[fake().id], relevant_change=0.01)
    assert (found.unseen, found.reason and found.reason.kind) == ((), "noise unknown")


@pytest.mark.parametrize(
    "field",
    ["versions.vllm", "image", "dp_launch", "decode.flags.moe-backend", "decode.flags.all2all-backend",
     "prefill.flags.attention-config.backend", "decode.flags.compilation-config.cudagraph_mode", "decode.env.UCX_TLS",
     "decode.flags.kv-transfer-config.kv_connector", "decode.flags.no-async-scheduling"],
)  # fmt: skip
def test_kernels_transfer_versions_and_graphs_are_not_simulated(field: str) -> None:
    assert not replayed.is_replayed(field)
    assert json.dumps(replayed.unseen([field])) == json.dumps([field])
