"""An option and its negation are one; what the launcher owns is refused; the engine version decides the form."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from pipeline import load
from pipeline.deployment import launcher_owned, layout
from pipeline.deployment.settings import opposite, positive, setting
from pipeline.launch import dynamo
from pipeline.launch.addresses import Addresses
from pipeline.launch.options import render_flags
from pipeline.schema.engine import EngineOption
from pipeline.schema.recipe import ROLES, Recipe
from tests.fakes import engines
from tests.fakes import recipe_set as small
from tests.golden.regenerate import recipe_set

RECIPES = recipe_set().recipes
POOL = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 4\n"


def with_prefill(lines: str, base: str = small.BASE) -> dict[str, str]:
    return small.texts(base=base, recipe=small.RECIPE.replace(POOL, f"{POOL}  {lines}\n", 1))


def read(texts: dict[str, str]) -> Recipe:
    return load.read(texts).recipes[small.ID]


def found(texts: dict[str, str]) -> list[tuple[int, str, str]]:
    problems = load.examine(texts)[1]
    return [(one.line, one.what, one.hint) for one in problems if one.path == small.PATH]


@pytest.mark.parametrize(
    ("own", "caching"),
    [
        ("flags: {enable-prefix-caching: true}", True),
        ("flags: {no-enable-prefix-caching: false}", True),
        ("flags: {enable-prefix-caching: false}", False),
        ("flags: {enable-prefix-caching: null}", None),
        ("flags: {no-enable-prefix-caching: null}", None),
        ("flags: {max-num-seqs: 8}", False),
    ],
)
def test_an_option_replaces_its_inherited_negation(own: str, caching: object) -> None:
    pool = read(with_prefill(own)).prefill
    assert setting(pool, "enable-prefix-caching") is caching
    assert sum(positive(name) == "enable-prefix-caching" for name in pool.flags) == (caching is not None)


def test_an_option_of_one_role_replaces_the_negation_that_both_roles_get_in_the_same_file() -> None:
    text = small.RECIPE.replace(POOL, f"{POOL}  flags: {{numa-bind: true}}\n", 1)
    recipe = read(small.texts(recipe=f"{text}both: {{flags: {{no-numa-bind: true}}}}\n"))
    assert [setting(recipe.pools[role], "numa-bind") for role in ROLES] == [True, False]
    assert "no-numa-bind" not in recipe.prefill.flags


def test_both_forms_at_once_are_an_error_at_the_negation() -> None:
    ((line, what, hint),) = [
        one
        for one in found(with_prefill("flags:\n    numa-bind: true\n    no-numa-bind: true"))
        if "both" in one[1]
    ]
    assert (line, hint) == (10, "keep one of the two")
    assert what == "prefill sets both `no-numa-bind` and `numa-bind`, which are one option"


@pytest.mark.parametrize(
    ("lines", "what", "hint"),
    [
        ("flags: {data-parallel-rank: 3}", "flag `data-parallel-rank` is set by the launcher", "remove the flag"),
        ("flags: {device-ids: '0,1'}", "flag `device-ids` is set by the launcher", "remove the flag"),
        ("flags: {no-enable-expert-parallel: true}", "is set by the launcher, from prefill.ep", "remove the flag"),
        ("flags: {dump-config-to: f.json}", "is set by the launcher, from the log folder", "remove the flag"),
        ("env: {CUDA_VISIBLE_DEVICES: '0'}", "variable `CUDA_VISIBLE_DEVICES` is set by the launcher", "remove it"),
        ("env: {ETCD_ENDPOINTS: 'http://a:1'}", "is set by the launcher, from the cluster document", "remove it"),
        ("flags: {no-max-num-seqs: 3}", "is a negation, which takes no value", "write `no-max-num-seqs: true`"),
        ("flags: {hf-overrides: '{\"a\": 1'}", "the value of `hf-overrides` is not valid JSON", "a YAML mapping"),
        ("flags: {attention-config.backend: X}", "a key of a nested configuration", "`attention-config: {backend: …}`"),
        ("flags: {Max_Num_Seqs: 3}", "is not in kebab case", "write `max-num-seqs`"),
        ("env: {1A: '0'}", "is not a valid name of an environment variable", "start with no digit"),
    ],
)  # fmt: skip
def test_a_wrong_spelling_is_an_error_at_its_line(lines: str, what: str, hint: str) -> None:
    matching = [one for one in found(with_prefill(lines)) if what in one[1]]
    assert [(line, hint in advice) for line, _, advice in matching] == [(8, True)]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.id)
def test_everything_that_the_launcher_adds_to_an_engine_is_owned_by_it(recipe: Recipe) -> None:
    placed = layout.place(recipe, 4)
    for vllm in (None, engines.choice(engines.vllm(device_ids=EngineOption()))):
        commands = dynamo.commands(
            recipe, served_name="m", model_path="/m", addresses=Addresses(placed), vllm=vllm
        )
        for one in commands:
            if one.role in ROLES:
                pool = recipe.pools[one.role]
                options = {word.removeprefix("--") for word in one.argv if word.startswith("--")}
                assert options - pool.flags.keys() <= launcher_owned.OPTIONS.keys()
                assert one.env.keys() - pool.env.keys() <= launcher_owned.VARIABLES.keys()


def test_a_negation_names_no_other_option() -> None:
    assert not [name for name in launcher_owned.OPTIONS if opposite(name) in launcher_owned.OPTIONS]


@pytest.mark.parametrize(
    ("flags", "argv"),
    [
        ({"enforce-eager": True, "numa-bind": False, "seed": None}, ["--enforce-eager"]),
        ({"no-enable-prefix-caching": True}, ["--no-enable-prefix-caching"]),
        ({"b": 0.9, "a": 16, "c": "fp8"}, ["--a", "16", "--b", "0.9", "--c", "fp8"]),
        ({"config": {"mode": 0, "graph": "full"}}, ["--config", '{"graph":"full","mode":0}']),
        ({"config": '{"mode": 0}'}, ["--config", '{"mode":0}']),
        ({"middleware": ["one", {"k": True}]}, ["--middleware", "one", "--middleware", '{"k":true}']),
        ({"middleware": []}, []),
        ({"no-numa-bind": False}, ["--numa-bind"]),
    ],
)
def test_flags_are_rendered_without_a_catalogue(flags: dict[str, JsonValue], argv: list[str]) -> None:
    assert render_flags(flags, None) == argv


@pytest.mark.parametrize(
    ("flags", "argv"),
    [
        ({"enable-prefix-caching": False}, ["--no-enable-prefix-caching"]),  # its default is unknown
        ({"async-scheduling": False}, ["--no-async-scheduling"]),  # on by default
        ({"numa-bind": False}, []),  # off by default
        ({"no-numa-bind": True}, ["--no-numa-bind"]),  # as the author wrote it
        ({"headless": False}, []),  # it has no such form
        ({"no-async-scheduling": False}, ["--async-scheduling"]),
        ({"cudagraph-capture-sizes": [1, 2, 4]}, ["--cudagraph-capture-sizes", "1", "2", "4"]),
        ({"hf-overrides": [1, 2]}, ["--hf-overrides", "[1,2]"]),
        ({"not-in-the-catalogue": False}, []),
    ],
)
def test_the_engine_version_decides_the_form(flags: dict[str, JsonValue], argv: list[str]) -> None:
    assert render_flags(flags, engines.vllm()) == argv


@pytest.mark.parametrize("has_option", [True, False])
def test_gpus_are_an_option_where_the_version_has_it_and_a_variable_elsewhere(*, has_option: bool) -> None:
    recipe = next(iter(RECIPES.values()))
    engine = engines.vllm(device_ids=EngineOption()) if has_option else engines.vllm()
    commands = dynamo.commands(
        recipe,
        served_name="m",
        model_path="/m",
        addresses=Addresses(layout.place(recipe, 4)),
        vllm=engines.choice(engine),
    )
    workers = [one for one in commands if one.role in ROLES]
    assert {"--device-ids" in one.argv for one in workers} == {has_option}
    assert {"CUDA_VISIBLE_DEVICES" in one.env for one in workers} == {not has_option}
