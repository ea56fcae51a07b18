"""What recipes meet in other engine versions: from the real catalogue, and from planted versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline import cli, load
from pipeline.flow.context import texts
from pipeline.load.upgrading import upgraded
from pipeline.schema.engine import Engine, EngineOption, EngineSetting
from pipeline.schema.upgrade import UpgradeFinding
from tests.fakes import engines
from tests.fakes import recipe_set as small
from tests.golden.regenerate import RECIPES, recipe_set

GB300 = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k."
WIDE = f"{GB300}7p2d-dep4-dep16"
FILE = "deepseek-v4-pro-fp4/gb300-nvl72/8k1k/7p2d-dep4-dep16.yaml"
SET = recipe_set()
POOL = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 4\n"


def planted(version: str, configs: dict[str, dict[str, EngineSetting]], **options: EngineOption) -> Engine:
    plain = {
        name: EngineOption(type="unknown")
        for name in ("block-size", "max-num-batched-tokens", "gpu-memory-utilization")
    }
    found = engines.vllm(version, **options)
    return found.model_copy(update={"options": {**plain, **found.options}, "configs": configs})


OLD = planted(
    "0.20.0",
    {
        "Attention": {
            "kept": EngineSetting(),
            "gone": EngineSetting(),
            "mode": EngineSetting(choices=("a", "b")),
        }
    },
    moe_backend=EngineOption(type="str", choices=("triton", "marlin")),
    attention_config=EngineOption(type="json", config="Attention"),
    leaving=EngineOption(type="str"),
    length=EngineOption(type="str"),
    ageing=EngineOption(type="str"),
    unset=EngineOption(type="int", default=1, has_default=True),
    growing=EngineOption(type="str", choices=("a",)),
).model_copy(update={"variables": ("VLLM_KEPT", "VLLM_GONE", "NCCL_GONE")})
BETWEEN = OLD.model_copy(
    update={
        "version": "0.22.0",
        "options": {name: one for name, one in OLD.options.items() if name != "leaving"},
    }
)
NEW = planted(
    "0.25.1",
    {"Attention": {"kept": EngineSetting(), "mode": EngineSetting(choices=("a",))}},
    moe_backend=EngineOption(type="str", choices=("triton",)),
    attention_config=EngineOption(type="json", config="Attention"),
    length=EngineOption(type="int"),
    ageing=EngineOption(type="str", deprecated=True),
    unset=EngineOption(type="int", default=2, has_default=True),
    growing=EngineOption(type="str", choices=("a", "b")),
).model_copy(update={"variables": ("VLLM_KEPT",)})


def findings(lines: str, version: str = "0.25.1") -> dict[tuple[str, str], UpgradeFinding]:
    recipe = small.RECIPE.replace(POOL, f"{POOL}  {lines}\n", 1)
    found, _ = load.examine(small.texts(OLD, BETWEEN, NEW, recipe=recipe))
    made = upgraded(found, found.recipes[small.ID], {"vllm": version})
    return {(one.kind, one.setting): one for one in made.findings}


@pytest.mark.parametrize(
    ("flags", "kind", "setting", "since"),
    [
        ("leaving: x", "option-gone", "leaving", "0.22.0"),
        ("attention-config: {gone: 1}", "key-gone", "attention-config.gone", "0.25.1"),
        ("attention-config: {mode: b}", "choice-gone", "attention-config.mode", None),
        ("moe-backend: marlin", "choice-gone", "moe-backend", None),
        ("length: long", "value-refused", "length", None),
    ],
)
def test_what_the_new_version_refuses_blocks_a_recipe_at_its_line(flags, kind, setting, since) -> None:
    found = findings(f"flags: {{{flags}}}")[kind, setting]
    assert (found.is_blocking, found.roles, found.since) == (True, ("prefill",), since)
    assert found.place.startswith(f"{small.PATH}:8:")


@pytest.mark.parametrize(
    ("lines", "kind", "setting"),
    [
        ("flags: {ageing: x}", "deprecated", "ageing"),
        ("flags: {growing: a}", "choices-added", "growing"),
        ("env: {VLLM_GONE: 'x', VLLM_KEPT: 'x', NCCL_GONE: 'x'}", "variable-gone", "VLLM_GONE"),
        ("flags: {max-num-seqs: 8}", "default-changed", "unset"),
    ],
)
def test_what_only_changes_a_recipe_does_not_block_it(lines, kind, setting) -> None:
    found = findings(lines)
    assert not any(one.is_blocking for one in found.values())
    assert (kind, setting) in found
    assert not {("variable-gone", "NCCL_GONE"), ("variable-gone", "VLLM_KEPT")} & found.keys()


def test_a_default_that_the_recipe_overrides_is_no_finding_of_its_role() -> None:
    assert findings("flags: {unset: 5}")["default-changed", "unset"].roles == ("decode",)


def test_a_version_that_the_catalogue_lacks_is_approximated_and_said() -> None:
    assert findings("flags: {max-num-seqs: 8}", "0.26.0")["version-approximated", "vllm"].after == "0.25.1"


def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    shutil.copytree(RECIPES, folder)
    return folder


def run(folder: Path, *words: str) -> int:
    return cli.run(["upgrade", *words, "--recipes", str(folder)], {})


def test_a_recipe_is_told_what_is_gone_and_its_patch_makes_it_run(tmp_path, capsys) -> None:
    folder = copy(tmp_path)
    assert (
        run(folder, WIDE, "--vllm", "0.32.0", "--dynamo", "1.6.1", "--image", "vllm/vllm-openai:v0.32.0") == 3
    )
    said = capsys.readouterr().out
    assert f"{WIDE}: cannot run as it is (vLLM 0.20.0 → 0.32.0, Dynamo 1.2.0.dev20260426 → 1.6.1)" in said
    assert (
        "attention-config.use_fp4_indexer_cache true is gone since vLLM 0.32.0; write indexer_kv_dtype: mxfp4"
        in said
    )
    assert '+versions: {vllm: "0.32.0", dynamo: "1.6.1"}' in said
    assert "+image: vllm/vllm-openai:v0.32.0" in said
    assert (folder / FILE).read_text() == (RECIPES / FILE).read_text()  # nothing is written unless asked for
    assert run(folder, WIDE, "--vllm", "0.32.0", "--dynamo", "1.6.1", "--write") == 3
    assert run(folder, WIDE, "--vllm", "0.32.0", "--dynamo", "1.6.1") == 0
    found = load.read(texts(folder)).recipes
    assert found[WIDE].versions == {"vllm": "0.32.0", "dynamo": "1.6.1"}
    assert found[WIDE].decode.flags["attention-config"] == {"indexer_kv_dtype": "mxfp4"}
    others = [name for name in found if name != WIDE]
    assert all(found[name] == SET.recipes[name] for name in others)


def test_all_recipes_together_are_edited_where_the_value_stands(tmp_path, capsys) -> None:
    folder = copy(tmp_path)
    assert run(folder, "*", "--vllm", "0.32.0", "--write") == 3
    capsys.readouterr()
    base = (folder / "deepseek-v4-pro-fp4" / "_base.yaml").read_text()
    assert 'versions: {dynamo: "1.2.0.dev20260426", vllm: "0.32.0"}' in base
    assert "# a tag: pin it by digest" in base
    assert {one.versions["vllm"] for one in load.read(texts(folder)).recipes.values()} == {"0.32.0"}
    assert run(folder, "*", "--vllm", "0.32.0") == 0


def test_a_setting_that_other_recipes_share_is_left_to_the_author(tmp_path, capsys) -> None:
    folder = copy(tmp_path)
    shared = folder / "deepseek-v4-pro-fp4" / "gb300-nvl72" / "8k1k" / "_base.yaml"
    shared.write_text(
        shared.read_text() + "decode: {flags: {attention-config: {use_fp4_indexer_cache: true}}}\n"
    )
    assert run(folder, f"{GB300}4p1d-dep4-dep8", "--vllm", "0.32.0", "--json") == 3
    (found,) = json.loads(capsys.readouterr().out)["recipes"]
    assert found["manual"] == ["deepseek-v4-pro-fp4/gb300-nvl72/8k1k/_base.yaml"]


@pytest.mark.parametrize("steps", [("0.25.1", "0.32.0"), ("0.28.0", "0.32.0"), ("0.32.0",)])
def test_every_way_to_the_newest_version_ends_at_the_same_recipes(tmp_path, capsys, steps) -> None:
    folder = copy(tmp_path)
    for version in steps:
        run(folder, "*", "--vllm", version, "--dynamo", "1.6.1", "--write")
    capsys.readouterr()
    assert run(folder, "*", "--vllm", "0.32.0", "--dynamo", "1.6.1") == 0
    flags = load.read(texts(folder)).recipes[WIDE].prefill.flags
    assert flags["attention-config"] == {"indexer_kv_dtype": "mxfp4"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["*"], 2, "nothing to upgrade to"),
        (["*", "--vllm", "main"], 2, "has no release number"),
        (["nope", "--vllm", "0.32.0"], 2, "no recipe 'nope'"),
    ],
)
def test_wrong_arguments_are_said(words, code, said, capsys) -> None:
    assert run(RECIPES, *words) == code
    assert said in capsys.readouterr().err
