"""Flags and variables are held to the stated engine version; generated command lines are too."""

from __future__ import annotations

import pytest

from pipeline import load
from pipeline.deployment.command_line import WrongArgument, worker_arguments, wrong_arguments
from pipeline.errors import Problem
from pipeline.flow.recipes import commands_of
from pipeline.schema.engine import EngineOption, EngineSetting, nearest_engine
from pipeline.schema.recipe import ROLES, Recipe
from tests.fakes import engines
from tests.fakes import recipe_set as small
from tests.golden.regenerate import recipe_set

REAL = recipe_set()
BACKENDS = ("auto", "deep_gemm", "triton", "None")
OLD = engines.vllm(
    "0.20.0",
    moe_backend=EngineOption(type="str", choices=BACKENDS),
    attention_config=EngineOption(type="json", config="AttentionConfig"),
    sizes=EngineOption(type="int", nargs=2),
    seed=EngineOption(type="int"),
    swap_space=EngineOption(type="float", deprecated=True),
    quantization=EngineOption(type="str", aliases=("q",)),
    block_size=EngineOption(type="int"),
    max_num_batched_tokens=EngineOption(type="size"),
    gpu_memory_utilization=EngineOption(type="float"),
).model_copy(
    update={
        "configs": {"AttentionConfig": {"backend": EngineSetting(), "inner": EngineSetting(type="json", config="Inner"),
                                        "mode": EngineSetting(choices=("fast", "exact"))},
                    "Inner": {"depth": EngineSetting()}},
        "variables": ("VLLM_LOGGING_LEVEL",),
    }
)  # fmt: skip
NEW = engines.vllm("0.25.1", device_ids=EngineOption(), linear_backend=EngineOption()).model_copy(
    update={"configs": {"AttentionConfig": {"use_fp4_indexer_cache": EngineSetting()}}}
)
POOL = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 4\n"


def problems(lines: str, base: str = small.BASE) -> list[Problem]:
    recipe = small.RECIPE.replace(POOL, f"{POOL}  {lines}\n", 1)
    found = load.examine(small.texts(OLD, NEW, base=base, recipe=recipe))[1]
    return [one for one in found if one.path == small.PATH]


@pytest.mark.parametrize(
    ("flags", "what", "hint"),
    [
        ("max-num-seq: 4", "vLLM 0.20.0 has no option `max-num-seq`", "did you mean `max-num-seqs`?"),
        ("linear-backend: x", "vLLM 0.20.0 has no option `linear-backend`", "it exists in vLLM 0.25.1"),
        ("zzz-qqq: 4", "vLLM 0.20.0 has no option `zzz-qqq`", "no catalogued version of vLLM has it"),
        ("no-seed: true", "`seed` has no negative form", "remove it, or set `seed`"),
        ("q: fp8", "`q` is an alias of `quantization`", "write `quantization`"),
        ("seed: many", "`seed` must be an integer", "given: many"),
        ("seed: true", "`seed` must be an integer", "given: True"),
        ("seed: [1, 2]", "`seed` takes one value", "given: [1, 2]"),
        ("sizes: [1, 2, 3]", "`sizes` takes 2 values, 3 are given", "given: [1, 2, 3]"),
        ("headless-x: 1", "has no option `headless-x`", "did you mean `headless`?"),
        ("numa-bind: 3", "`numa-bind` takes no value", "given: 3"),
        ("attention-config: fast", "`attention-config` must be a mapping", "given: fast"),
        ("moe-backend: deep_gem", "`moe-backend` deep_gem is not a choice of vLLM 0.20.0", "did you mean `deep_gemm`?"),
        ("attention-config: {backnd: X}", "`attention-config` of vLLM 0.20.0 has no key `backnd`", "`backend`?"),
        ("attention-config: {use_fp4_indexer_cache: true}", "has no key `use_fp4_indexer_cache`", "vLLM 0.25.1 has it"),
        ("attention-config: {inner: {dept: 1}}", "`attention-config.inner` of vLLM 0.20.0 has no key", "`depth`?"),
        ("attention-config: {mode: fst}", "`attention-config.mode` is not one of its choices", "`fast`?"),
        ("attention-config: '{\"backnd\": 1}'", "has no key `backnd`", "did you mean `backend`?"),
    ],
)  # fmt: skip
def test_what_the_version_would_refuse_is_an_error_at_its_line(flags: str, what: str, hint: str) -> None:
    (problem,) = [one for one in problems(f"flags: {{{flags}}}") if one.severity == "error"]
    assert (problem.line, what in problem.what, hint in problem.hint) == (8, True, True), str(problem)


@pytest.mark.parametrize(
    "flags",
    ["moe-backend: deep-gemm", "moe-backend: None", "seed: '7'", "cudagraph-capture-sizes: [1, 2]", "numa-bind: true",
     "sizes: [1, 2]", "attention-config: {backend: X, inner: {depth: 2}}", "seed: null"],
)  # fmt: skip
def test_what_the_version_takes_is_no_problem(flags: str) -> None:
    assert problems(f"flags: {{{flags}}}") == []


def test_a_deprecated_option_and_an_unknown_variable_are_warnings() -> None:
    found = problems("flags: {swap-space: 4.0}\n  env: {VLLM_LOGING_LEVEL: 'x', NCCL_ANY: 'x'}")
    assert [(one.severity, one.line) for one in found] == [("warning", 8), ("warning", 9)]
    assert "calls `swap-space` deprecated" in found[0].what
    assert found[1].hint == "did you mean `VLLM_LOGGING_LEVEL`?"


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("0.24.0", "the engine catalogue has no vLLM 0.24.0: options are checked against 0.20.0"),
        ("0.24.1.dev3", "vLLM 0.24.1.dev3 is a development version: options are checked against 0.20.0"),
        ("main", "vLLM main has no release number, so its options are not checked"),
    ],
)
def test_a_version_that_the_catalogue_lacks_is_a_warning_and_what_follows_from_it_too(
    version: str, what: str
) -> None:
    base = small.BASE.replace('vllm: "0.20.0"', f'vllm: "{version}"')
    recipe = small.RECIPE.replace(POOL, f"{POOL}  flags: {{zzz-qqq: 4}}\n", 1)
    found = load.examine(small.texts(OLD, NEW, base=base, recipe=recipe))[1]
    assert what in [one.what for one in found if one.path == "_base.yaml"]
    assert {one.severity for one in found} == {"warning"}
    assert any("zzz-qqq" in one.what for one in found) == (version != "main")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not JSON"),
        ("[]", "schema version expected"),
        (OLD.to_json().replace('"options"', '"option"'), "not a Engine"),
        (OLD.to_json().replace('"version": "0.20.0"', '"version": "0.21.0"'), "describes vllm 0.21.0"),
    ],
)
def test_a_torn_or_foreign_catalogue_file_is_an_error_at_that_file(text: str, what: str) -> None:
    texts = {**small.texts(), "engines/vllm/0.20.0.json": text}
    (problem,) = [one for one in load.examine(texts)[1] if one.path.startswith("engines/")]
    assert (problem.path, problem.severity, what in problem.what) == (
        "engines/vllm/0.20.0.json",
        "error",
        True,
    )


@pytest.mark.parametrize(
    ("version", "nearest", "exact"),
    [("0.20.0", "0.20.0", True), ("v0.20.0", "0.20.0", True), ("0.19.0", "0.20.0", False), ("0.24.9", "0.20.0", False),
     ("0.25.1.post1", "0.25.1", False), ("1.0", "0.25.1", False)],
)  # fmt: skip
def test_the_nearest_version_is_the_newest_that_is_not_newer(
    version: str, nearest: str, *, exact: bool
) -> None:
    found = nearest_engine({"vllm/0.20.0": OLD, "vllm/0.25.1": NEW}, "vllm", version)
    assert found is not None
    assert (found.engine.version, found.exact) == (nearest, exact)


@pytest.mark.parametrize("recipe", REAL.recipes.values(), ids=lambda recipe: recipe.id)
def test_every_generated_command_line_is_one_that_its_engine_versions_take(recipe: Recipe) -> None:
    vllm, dynamo = (REAL.catalogue.engine(name, recipe) for name in ("vllm", "dynamo"))
    assert vllm is not None
    assert dynamo is not None
    assert vllm.exact
    for one in commands_of(REAL, recipe):
        if one.role in ROLES:
            assert worker_arguments(one.argv, dynamo.engine, vllm.engine) == (), one.name
        elif one.role == "frontend":
            assert wrong_arguments(one.argv, dynamo.engine.frontend) == (), one.name


def test_an_option_of_a_later_version_and_a_wrong_number_of_values_are_found() -> None:
    argv = [
        "python3",
        "-m",
        "dynamo.vllm",
        "--model",
        "/m",
        "--device-ids",
        "0,1",
        "--seed",
        "--sizes",
        "1",
        "2",
        "3",
    ]
    more = ["--no-numa-bind", "--no-headless", "--max-num-seqs=4"]
    assert worker_arguments([*argv, *more], None, OLD) == (
        WrongArgument("unknown-option", "model"),
        WrongArgument("unknown-option", "device-ids"),
        WrongArgument("missing-value", "seed"),
        WrongArgument("stray-value", "3"),
        WrongArgument("unknown-option", "no-headless"),
    )


def test_the_catalogue_says_what_is_known_of_its_versions() -> None:
    known = REAL.catalogue.engines
    assert set(known) == {
        *(f"vllm/{one}" for one in ("0.20.0", "0.25.1", "0.28.0", "0.32.0")),
        *(f"dynamo/{one}" for one in ("1.2.1", "1.4.2", "1.6.1")),
    }
    has_device_ids = [one.version for one in known.values() if "device-ids" in one.options]
    assert has_device_ids == ["0.25.1", "0.28.0", "0.32.0"]
    fp4 = [
        one.version
        for one in known.values()
        if "use_fp4_indexer_cache" in one.configs.get("AttentionConfig", {})
    ]
    assert fp4 == ["0.20.0", "0.25.1", "0.28.0"]
    assert all("disaggregation-mode" in one.options for one in known.values() if one.engine == "dynamo")
    gone = [
        one.version
        for one in known.values()
        if one.engine == "dynamo" and "is-prefill-worker" not in one.options
    ]
    assert gone == ["1.4.2", "1.6.1"]
    assert known["vllm/0.20.0"].option("no-enable-prefix-caching")
    assert known["vllm/0.20.0"].options["kv-cache-dtype"].choices is not None
    assert known["vllm/0.20.0"].options["tensor-parallel-size"].aliases == ("tp",)
