"""LLM documents from config.json: parameters and bytes against published figures, and configurations that are wrong."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline import cli, load
from pipeline.deployment import hbm as memory
from pipeline.errors import ArtifactError
from pipeline.flow.context import texts
from pipeline.llms import checkpoint
from pipeline.llms.parameters import active, parameters
from pipeline.schema.recipe import Pool, Recipe

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "tests/fixtures/configs"
SOURCE = "config.json in model_configs of aiconfigurator-core 0.12.0"
MOONVIT = f"{SOURCE}; vision tower MoonViT of 400 M parameters in BF16, with its projector"
R1, KIMI, QWEN = "deepseek-ai--DeepSeek-R1", "moonshotai--Kimi-K2.5", "Qwen--Qwen3-32B"
# Shipped document: its configurations, and the arguments of `llm add`.
SHIPPED = {
    "deepseek-r1": ([R1], "deepseek-ai/DeepSeek-R1", SOURCE, None),
    "kimi-k2": (["moonshotai--Kimi-K2-Instruct"], "moonshotai/Kimi-K2-Instruct", SOURCE, None),
    "kimi-k2.5": ([KIMI, "nvidia--Kimi-K2.5-NVFP4"], "moonshotai/Kimi-K2.5", MOONVIT, 0.9),
    "qwen3-32b": ([QWEN, "Qwen--Qwen3-32B-FP8"], "Qwen/Qwen3-32B", SOURCE, None),
    "gpt-oss-120b": (["openai--gpt-oss-120b"], "openai/gpt-oss-120b", SOURCE, None),
}
# Published sizes of checkpoints in bytes, by document and precision; where they are from.
CHECKPOINTS = [
    # safetensors files on the hub. The layer for multi-token prediction has its own copy of embedding and head.
    ("deepseek-r1", "fp8", 688_586_727_753),
    ("kimi-k2", "fp8", 1.03e12),  # "1.03 TB" of FP8 files
    ("kimi-k2.5", "int4", 595e9),  # "595 GB" of INT4 files
    ("qwen3-32b", "bf16", 65_524_246_528),  # total_size of model.safetensors.index.json
    ("gpt-oss-120b", "mxfp4", 60.8 * 2**30),  # model card: 60.8 GiB
    ("deepseek-v4-pro", "fp4", 806 * 2**30),  # "806 GB" of the launcher of its recipes, which are GiB
]
# Parameters as the model cards or the safetensors headers state them.
PARAMETERS = [
    ("mistralai--Mixtral-8x7B-v0.1", 46_702_792_704, 12.9e9),
    ("meta-llama--Meta-Llama-3.1-70B", 70_553_706_496, None),
    ("Qwen--Qwen3-235B-A22B", 235e9, 22e9),
    (QWEN, 32_762_123_264, None),
    ("openai--gpt-oss-20b", 20.91e9, 3.61e9),
    ("openai--gpt-oss-120b", 116.83e9, 5.13e9),
    ("moonshotai--Kimi-K2-Instruct", 1.026e12, 32e9),
    (R1, 671e9, 37e9),
]


def config(name: str) -> dict:
    return json.loads((CONFIGS / f"{name}.json").read_text())


def read(changed: dict):
    found = checkpoint(changed, where="config.json")
    return found.arch, found.form


@pytest.fixture(scope="module")
def recipe_set():
    return load.read(texts(ROOT / "recipes"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_document_is_what_llm_add_writes(name, tmp_path):
    configs, served, source, vision_gb = SHIPPED[name]
    (tmp_path / "skus.yaml").write_text("{}\n")
    argv = ["llm", "add", *(str(CONFIGS / f"{one}.json") for one in configs), "--id", name]
    argv += ["--served-name", served, "--source", source, "--recipes", str(tmp_path)]
    argv += ["--vision-gb", str(vision_gb)] if vision_gb else []
    assert cli.run(argv, {}) == 0
    written = (tmp_path / "models" / f"{name}.yaml").read_text()
    assert written == (ROOT / "recipes/models" / f"{name}.yaml").read_text()


@pytest.mark.parametrize(("name", "precision", "published"), CHECKPOINTS)
def test_the_weights_are_within_two_percent_of_the_checkpoint(recipe_set, name, precision, published):
    llm = recipe_set.catalogue.llms[name]
    weights = llm.precisions[precision]
    found = sum(value for field, value in weights if field.endswith("_gb"))
    if llm.mtp is not None:
        layer = llm.mtp.precisions[precision]
        found += sum(value for field, value in layer if field.endswith("_gb"))
    if name == "deepseek-r1":
        found += weights.embeddings_gb
    assert found * 1e9 == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(("name", "total", "in_use"), PARAMETERS)
def test_the_parameters_are_those_of_the_model_card(name, total, in_use):
    arch, _ = read(config(name))
    assert parameters(arch).total == pytest.approx(total, rel=0.001)
    if in_use is not None:
        assert active(arch) == pytest.approx(in_use, rel=0.025)


def pool(**shape) -> Pool:
    return Pool(**{"workers": 1, "tp": 1, "pp": 1, "dp": 1, "ep": 1, "flags": {}, **shape})


def hbm_of(recipe_set, model, precision, **changed):
    """The decode worker of a deployment of this LLM on GB200."""
    base: Recipe = next(one for one in recipe_set.recipes.values() if one.purpose == "benchmark")
    flags = {"max-num-seqs": 64, "max-num-batched-tokens": 512, "gpu-memory-utilization": 0.9}
    one = pool(**{"flags": {**flags, **changed.pop("flags", {})}, **changed})
    recipe = base.model_copy(
        update={"model": model, "precision": precision, "decode": one, "prefill": one, "conc": (64,)}
    )
    catalogue = recipe_set.catalogue
    return memory.estimate(recipe, catalogue.skus["gb200-nvl72"], catalogue.llms[model])[1]


def test_kv_heads_are_divided_over_tp_and_copied_beyond_their_number(recipe_set):
    per_token = {
        tp: hbm_of(recipe_set, "qwen3-32b", "bf16", tp=tp).kv_bytes_per_token for tp in (1, 4, 8, 16)
    }
    assert per_token == {1: 262144, 4: 65536, 8: 32768, 16: 32768}


def test_latent_kv_is_the_same_on_every_gpu_and_half_in_fp8(recipe_set):
    wide = hbm_of(recipe_set, "deepseek-r1", "fp8", tp=8)
    fp8 = hbm_of(recipe_set, "deepseek-r1", "fp8", tp=8, flags={"kv-cache-dtype": "fp8"})
    assert (wide.kv_bytes_per_token, fp8.kv_bytes_per_token) == (61 * 576 * 2, 61 * 576)


def test_a_dense_llm_is_divided_over_tp_alone(recipe_set):
    one, replicas, four = (
        hbm_of(recipe_set, "qwen3-32b", "bf16", **shape) for shape in ({}, {"dp": 4}, {"tp": 4})
    )
    assert one.weights_gb == pytest.approx(65.5, abs=0.1)
    assert replicas.weights_gb == one.weights_gb
    assert four.weights_gb == pytest.approx(65.5 / 4, rel=0.01)


def test_layers_with_a_sliding_window_hold_their_window_or_without_the_manager_every_token(recipe_set):
    hybrid = hbm_of(recipe_set, "gpt-oss-120b", "mxfp4")
    plain = hbm_of(recipe_set, "gpt-oss-120b", "mxfp4", flags={"disable-hybrid-kv-cache-manager": True})
    assert (hybrid.kv_bytes_per_token, hybrid.kv_bytes_per_sequence) == (36864, 128 * 36864)
    assert (plain.kv_bytes_per_token, plain.kv_bytes_per_sequence) == (2 * 36864, 0)


def test_a_quantised_group_is_what_the_configuration_does_not_leave_out():
    for name, precision, bits in (
        (KIMI, "int4", {"routed": 4.5}),
        ("nvidia--Kimi-K2.5-NVFP4", "nvfp4", dict.fromkeys(("routed", "shared", "dense"), 4.5)),
        ("openai--gpt-oss-120b", "mxfp4", {"routed": 4.25}),
    ):
        _, form = read(config(name))
        assert (form.precision, dict(form.bits)) == (precision, bits)


WRONG = [
    ({"model_type": "phi4"}, "model_type 'phi4' is not known"),
    ({"model_type": ["qwen3"]}, "is not known"),
    ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
    ({"hidden_size": "5120"}, "hidden_size is '5120', not a size"),
    ({"hidden_size": 10**400}, "not a size"),
    ({"hidden_size": True}, "not a size"),
    ({"num_attention_heads": 0}, "num_attention_heads is 0"),
    ({"quantization_config": [1]}, "quantization_config is not an object"),
    ({"quantization_config": {"quant_method": "awq"}}, "quant_method 'awq' is not known"),
    ({"quantization_config": {"quant_method": "fp8"}}, "fp8 without weight_block_size"),
    (
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 128]}},
        "fp8 without weight_block_size",
    ),
    ({"quantization_config": {"quant_method": "modelopt"}}, "has not exactly one group"),
    (
        {
            "quantization_config": {
                "quant_method": "modelopt",
                "config_groups": {"a": {"weights": {"num_bits": 8}}},
            }
        },
        "weights of 8 bits",
    ),
    ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [[1], 128]}}, "fp8 without"),
    (
        {
            "quantization_config": {
                "quant_method": "modelopt",
                "config_groups": {"a": {"weights": {"type": "int", "num_bits": 4, "group_size": 10**400}}},
            }
        },
        "weights of 4 bits",
    ),
    ({"layer_types": ["sliding_attention"] * 64, "sliding_window": 128}, "no layer of layer_types"),
    ({"head_dim": 0}, "head_dim is 0"),
    (
        {
            "quantization_config": {
                "quant_method": "modelopt",
                "config_groups": {"a": {"weights": {"type": [1]}}},
            }
        },
        "are not known",
    ),
    ({"model_type": "qwen3_moe", "num_experts": 8, "decoder_sparse_step": 0}, "decoder_sparse_step is 0"),
]


@pytest.mark.parametrize(("changed", "what"), WRONG, ids=range(len(WRONG)))
def test_a_configuration_that_is_wrong_or_not_known_is_named(changed, what):
    fields = {**config(QWEN), **changed}
    with pytest.raises(ArtifactError, match=r"config\.json") as caught:
        read({name: value for name, value in fields.items() if value is not None})
    assert what in str(caught.value)


def test_an_odd_list_of_dense_layers_names_no_layer():
    odd = {**config("Qwen--Qwen3-235B-A22B"), "mlp_only_layers": [[1], None, "a"]}
    assert read(odd) == read(config("Qwen--Qwen3-235B-A22B"))


def run_add(tmp_path, *argv: str) -> int:
    (tmp_path / "skus.yaml").write_text("{}\n")
    return cli.run(["llm", "add", *argv, "--id", "x", "--served-name", "a/b", "--recipes", str(tmp_path)], {})


def test_a_vision_tower_is_asked_for_by_name(tmp_path, capsys):
    assert run_add(tmp_path, str(CONFIGS / f"{KIMI}.json")) == ArtifactError.exit_code
    assert "--vision-gb" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_configurations_of_two_llms_or_of_one_precision_are_refused(tmp_path, capsys):
    qwen, oss = (str(CONFIGS / f"{name}.json") for name in (QWEN, "openai--gpt-oss-120b"))
    assert run_add(tmp_path, qwen, oss) == ArtifactError.exit_code
    assert "another LLM" in capsys.readouterr().err
    assert run_add(tmp_path, qwen, qwen) == ArtifactError.exit_code
    assert "a second configuration in bf16" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_document_that_is_there_stays(tmp_path, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/x.yaml").write_text("title: mine\n")
    assert run_add(tmp_path, str(CONFIGS / f"{QWEN}.json")) != 0
    assert "this LLM has a document" in capsys.readouterr().err
    assert (tmp_path / "models/x.yaml").read_text() == "title: mine\n"


def test_the_page_on_adding_an_llm_works_as_it_is_written(tmp_path, monkeypatch, capsys):
    """Its commands and its recipe, in a copy of the recipes; without timing, virtual time is refused by name."""
    page = (ROOT / "docs/adding-an-llm.md").read_text()
    blocks = re.findall(r"```(yaml)?\n(.*?)```", page, re.DOTALL)
    commands = [line for kind, text in blocks if not kind for line in text.splitlines()]
    path = re.search(r"Write `(recipes/\S+\.yaml)`", page)
    assert path is not None
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copy(CONFIGS / f"{QWEN}.json", tmp_path / "config.json")
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / path[1]
    recipe.parent.mkdir(parents=True)
    recipe.write_text(next(text for kind, text in blocks if kind))
    for command in (line for line in commands if " calibrate " not in line):
        assert cli.run(shlex.split(command)[3:], {}) == 0, command
    assert "--tensor-parallel-size 4" in capsys.readouterr().out
    assert cli.run(["plan", "--cluster", "laptop", "--select", "qwen3-32b-base*", "--out", "p.json"], {}) != 0
    assert "no timing for qwen3-32b-base in bf16" in capsys.readouterr().err
