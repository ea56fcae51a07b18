"""Each rule of validate fires on the case that it was made for, and on nothing that is known to have run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline import load
from pipeline.cli import run
from pipeline.errors import Problem
from pipeline.flow.context import texts
from pipeline.load.nodes import compose
from pipeline.load.rules import RULES, page, rule_problems
from pipeline.schema.recipe import Recipe
from tests.fakes import engines, foreign_recipes
from tests.fakes import recipe_set as small

ROOT = Path(__file__).parents[2]
MTP = "speculative-config: {method: mtp, num_speculative_tokens: 3}"
NIXL = "{kv_connector: NixlConnector, kv_role: kv_both}"
STORE = "{kv_connector: MooncakeStoreConnector, kv_role: kv_both}"
MULTI = (
    "kv_connector: MultiConnector, kv_role: kv_both,"
    f" kv_connector_extra_config: {{connectors: [{NIXL}, {STORE}]}}"
)
WITHOUT_ROLE = '{"kv_connector": "MultiConnector", "kv_connector_extra_config": {"connectors": []}}'
NO_HANDSHAKE = "kv_connector_extra_config: {enforce_handshake_compat: false}"
TEP4 = "  workers: 1\n  tp: 4\n  pp: 1\n  dp: 1\n  ep: 4\n"
TEP3 = TEP4.replace("4", "3")


def flags(role: str, text: str) -> str:
    """The small recipe with flags added to a role."""
    return small.RECIPE.replace(f"{role}:\n", f"{role}:\n  flags: {{{text}}}\n")


def both(prefill: str, decode: str, of: str = "flags") -> str:
    """The small recipe with flags (or variables) added to both roles."""
    text = small.RECIPE.replace("prefill:\n", f"prefill:\n  {of}: {{{prefill}}}\n")
    return text.replace("decode:\n", f"decode:\n  {of}: {{{decode}}}\n")


def at(conc: int, text: str) -> str:
    """A recipe at one concurrency."""
    return text.replace("[4, 8]", f"[{conc}]")


def env(text: str, role: str = "decode") -> str:
    return small.RECIPE.replace(f"{role}:\n", f"{role}:\n  env: {{{text}}}\n")


def edited(old: str, new: str) -> str:
    assert old in small.RECIPE
    return small.RECIPE.replace(old, new)


PREFILL = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 4\n  ep: 4\n"
DECODE = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 8\n  ep: 8\n"
# rule, the recipe in which it is broken, and the line that it is reported at (None: in another file)
PLANTED: list[tuple[str, str, int | None]] = [
    ("budget-below-seqs", flags("decode", "max-num-batched-tokens: 32"), 10),
    ("budget-below-seqs", flags("prefill", "max-num-seqs: 20000"), None),
    ("budget-below-length", flags("prefill", "no-enable-chunked-prefill: true, max-model-len: 20000"), None),
    ("budget-below-length", flags("decode", "enable-chunked-prefill: false, max-model-len: 9216"), None),
    ("length-below-workload", flags("prefill", "max-model-len: 9000"), 4),
    ("decode-seats", edited("[4, 8]", "[4, 513]"), None),
    ("step-budget", at(512, flags("decode", f"{MTP}, max-num-batched-tokens: 64")), 10),
    ("graph-capture", at(512, flags("decode", "max-cudagraph-capture-size: 32")), 10),
    ("graph-capture", at(512, flags("decode", "cudagraph-capture-sizes: [8, 16]")), 10),
    ("graph-capture", at(512, flags("decode", f"{MTP}, max-cudagraph-capture-size: 64")), 10),
    (
        "graph-capture",
        at(512, flags("decode", "compilation-config: '{\"cudagraph_capture_sizes\": [1, 2]}'")),
        10,
    ),
    ("graphs-unused", flags("decode", "enforce-eager: true, max-cudagraph-capture-size: 64"), 10),
    (
        "graphs-unused",
        flags("prefill", "enforce-eager: true, compilation-config: {cudagraph_mode: FULL_DECODE_ONLY}"),
        4,
    ),
    (
        "graph-sizes-disagree",
        flags("decode", "max-cudagraph-capture-size: 64, cudagraph-capture-sizes: [1, 128, 1024]"),
        10,
    ),
    ("ep-width", edited("ep: 4", "ep: 3"), 8),
    ("ep-width", edited("ep: 8", "ep: 2"), 14),
    ("heads-over-tp", edited(DECODE, TEP3), 11),
    (
        "experts-need-even-ranks",
        edited(PREFILL, "  flags: {enable-eplb: true}\n  workers: 1\n  tp: 1\n  pp: 1\n  dp: 7\n  ep: 7\n"),
        9,
    ),
    (
        "experts-need-even-ranks",
        edited(
            PREFILL,
            "  flags: {enable-eplb: true, eplb-config: {num_redundant_experts: 2}}\n" + PREFILL,
        ),
        9,
    ),
    ("experts-uneven", edited(PREFILL, "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 7\n  ep: 7\n"), 8),
    ("experts-over-gpus", edited(DECODE, "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 6\n  ep: 1\n"), 13),
    ("quantisation-block", edited(DECODE, "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 8\n  ep: 1\n"), 11),
    ("eplb", edited(DECODE, "  flags: {enable-eplb: true}\n" + DECODE.replace("ep: 8", "ep: 1")), 10),
    ("eplb", flags("prefill", "eplb-config: {num_redundant_experts: 4}"), 4),
    ("numa-nodes", flags("prefill", "numa-bind-nodes: [0, 1]"), 4),
    ("numa-nodes", flags("decode", "numa-bind-cpus: ['0-3'], no-numa-bind: true"), 10),
    ("offload-group", flags("prefill", "offload-group-size: 2, offload-num-in-group: 3"), 4),
    ("offload-group", flags("prefill", "offload-group-size: 0"), 4),
    ("kv-transfer-missing", flags("prefill", "kv-transfer-config: null"), 4),
    ("kv-transfer-missing", flags("decode", "kv-transfer-config: null"), 10),
    ("kv-role", flags("decode", "kv-transfer-config: {kv_role: kv_producer}"), 10),
    ("kv-role", flags("prefill", "kv-transfer-config: {kv_role: kv_consumer}"), 4),
    ("kv-role", flags("prefill", 'kv-transfer-config: \'{"kv_connector": "NixlConnector"}\''), 4),
    ("kv-role", flags("decode", f"kv-transfer-config: '{WITHOUT_ROLE}'"), 10),
    ("kv-connectors", flags("decode", "kv-transfer-config: {kv_connector: MooncakeConnector}"), 10),
    ("kv-handshake", both("kv-cache-dtype: fp8", "kv-cache-dtype: auto"), 11),
    (
        "kv-handshake",
        both("no-disable-hybrid-kv-cache-manager: true", "disable-hybrid-kv-cache-manager: true"),
        11,
    ),
    ("kv-handshake", both("attention-backend: FLASHINFER_MLA", "attention-config: {backend: FLASHMLA}"), 11),
    ("kv-buffer-device", flags("decode", "kv-transfer-config: {kv_buffer_device: cpu}"), 10),
    ("block-ratio", flags("decode", "block-size: 128"), 10),
    ("block-differs", flags("prefill", "block-size: 64"), None),
    ("tp-ratio", edited(DECODE, TEP4).replace(PREFILL, TEP3), 11),
    ("kv-heads-over-tp", edited(DECODE, TEP3), 11),
    ("wider-prefill", edited(PREFILL, TEP4), 5),
    ("length-over-kv", flags("decode", "max-model-len: 40000000"), 10),
    ("speculation-handshake", flags("decode", MTP) + 'versions: {vllm: "0.28.0"}\n', 10),
    ("speculation-differs", flags("decode", MTP), 10),
    ("speculation-differs", flags("prefill", MTP), 4),
    ("different-llm", both("tokenizer-mode: deepseek_v4", "tokenizer-mode: slow"), 11),
    ("ucx-negation", env('UCX_TLS: "cuda_copy,tcp,^tcp"'), 10),
    ("ucx-gpu-memory", env('UCX_TLS: "rc,tcp"'), 10),
    ("ucx-gpu-memory", env('UCX_TLS: "^cuda_copy"', "prefill"), 4),
    ("ucx-network", env('UCX_TLS: "cuda_copy,cuda_ipc,sm"'), 10),
    ("ucx-roles", both('UCX_TLS: "cuda_copy,tcp"', 'UCX_TLS: "cuda_copy,rc_x"', "env"), 11),
    ("ucx-mnnvl", env('UCX_TLS: "cuda_copy,tcp", UCX_CUDA_IPC_ENABLE_MNNVL: "y"'), 10),
    ("ucx-mnnvl", env('UCX_TLS: "^cuda_ipc", UCX_CUDA_IPC_ENABLE_MNNVL: "y"'), 10),
    ("deadline", small.RECIPE.replace("[4, 8]", "[20000]") + "limits: {time_s: 1, ready_s: 1}\n", 15),
    ("ready-before-deadline", small.RECIPE + "limits: {time_s: 600, ready_s: 600}\n", 15),
    ("frontend-files", edited("[4, 8]", "[16384]"), 2),
    ("name-and-shape", edited("decode:\n  workers: 1", "decode:\n  workers: 2"), 1),
    ("name-and-shape", edited(PREFILL, PREFILL.replace("dp: 4\n  ep: 4", "dp: 8\n  ep: 8")), 1),
    (
        "synthetic-acceptance",
        flags("decode", "speculative-config: {method: mtp, rejection_sample_method: synthetic}"),
        10,
    ),
    ("dense-llm", edited(PREFILL, PREFILL.replace("tp: 1", "tp: 4").replace("dp: 4", "dp: 1")), 5),
]
LLM_WITH_BLOCKS = small.LLM.replace(
    "replicated_gb: 3.0}", "replicated_gb: 3.0, routed_block: 128, shared_block: 32}"
).replace("bytes_per_sequence: 23300000.0", "bytes_per_sequence: 23300000.0, heads: 2")
LLM_WITH_BLOCKS += "dense_intermediate: 250\n"


DENSE = """\
experts: 96
experts_per_token: 2
shared_experts: 1
expert_intermediate: 256
"""


def found_in(text: str, llm: str = LLM_WITH_BLOCKS) -> list[Problem]:
    return [one for one in load.examine(small.texts(recipe=text, llm=llm))[1] if one.rule]


@pytest.mark.parametrize(
    ("rule", "text", "line"), PLANTED, ids=[f"{n}-{one[0]}" for n, one in enumerate(PLANTED)]
)
def test_a_rule_fires_on_its_planted_case_at_its_line(rule, text, line):
    found = [one for one in found_in(text) if one.rule == rule]
    assert found, found_in(text)
    stated = next(one for one in RULES if one.id == rule)
    assert {one.severity for one in found} == {stated.severity}
    assert all(one.what and one.hint for one in found)
    if line is None:
        assert {one.path for one in found} == {"_base.yaml"} or found[0].path == small.PATH
    else:
        assert (small.PATH, line) in {(one.path, one.line) for one in found}, found


def test_a_dense_llm_has_no_expert_parallelism_and_an_mlp_that_tp_divides():
    dense = small.LLM.replace(DENSE, "dense_intermediate: 250\n")
    assert dense != small.LLM
    wide = edited(PREFILL, PREFILL.replace("tp: 1", "tp: 4").replace("dp: 4\n  ep: 4", "dp: 1\n  ep: 1"))
    found = {(one.rule, one.severity) for one in found_in(wide, dense)}
    assert ("dense-llm", "error") in found
    told = [one.what for one in found_in(wide, dense) if one.rule == "dense-llm"]
    assert any("has no experts" in what for what in told)
    assert any("does not divide the 250 rows" in what for what in told)


def test_every_rule_has_a_planted_case():
    assert {rule.id for rule in RULES} == {rule for rule, _, _ in PLANTED}


def test_ids_are_unique():
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))


def test_the_recipes_of_the_repository_break_no_rule():
    """All published deployments have run; the smoke recipes run in every change."""
    recipe_set, problems = load.examine(texts(ROOT / "recipes"))
    assert len([one for one in recipe_set.recipes.values() if one.purpose == "benchmark"]) == 11
    assert [str(one) for one in problems if one.rule] == []


def foreign_problems(file: str, catalogue) -> list[Problem]:
    document = foreign_recipes.document(file)
    node, problems = compose(file, json.dumps(document))
    assert node is not None
    assert problems == []
    return list(rule_problems(Recipe.model_validate_json(json.dumps(document)), node, catalogue))


@pytest.fixture(scope="module")
def catalogue():
    return load.read(texts(ROOT / "recipes")).catalogue


def test_recipes_that_ran_elsewhere_break_no_rule(catalogue, capsys):
    listed = foreign_recipes.listed()
    assert all(one["evidence"] and one["source"] for one in listed)
    assert {one["file"] for one in listed} == {
        path.name for path in foreign_recipes.FOLDER.glob("*.yaml") if path.name != "ran.yaml"
    }
    found = [(entry, one) for entry in listed for one in foreign_problems(entry["file"], catalogue)]
    alarms = [one for entry, one in found if one.rule not in entry.get("warned", {})]
    errors = [one for _, one in found if one.severity == "error"]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(RULES)} rules on {len(listed)} recipes that ran elsewhere: {len(alarms)} false alarms,"
            f" {len(errors)} errors, {len(found) - len(alarms)} warnings that are true\n"
        )
    assert [str(one) for one in alarms] == []
    assert errors == []
    stated = {(entry["file"], rule) for entry in listed for rule in entry.get("warned", {})}
    assert stated == {(entry["file"], one.rule) for entry, one in found}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (flags("decode", "max-cudagraph-capture-size: 8"), "at conc 8 one sequence runs on each rank"),
        (both(MTP, f"{MTP}, max-num-batched-tokens: 64"), "the budget holds what runs at once"),
        (
            flags("decode", "speculative-config: {method: ngram, num_speculative_tokens: 3}"),
            "ngram has no KV of its own",
        ),
        (
            both("speculative-config: {method: mtp, num_speculative_tokens: 1}", MTP)
            + 'versions: {vllm: "0.32.0"}\n',
            "the number of drafted tokens is not compared",
        ),
        (flags("decode", "tokenizer-mode: deepseek_v4"), "one role only states it"),
        (flags("decode", "attention-config: {use_fp4_indexer_cache: true}"), "published row 10 differs so"),
        (env('UCX_TLS: "^tcp"'), "an exclusion keeps everything else"),
        (env('UCX_TLS: "^ib,ud:aux"'), "a modifier of a transport"),
        (
            both("kv-transfer-config: {kv_role: kv_producer}", "kv-transfer-config: {kv_role: kv_consumer}"),
            "roles may be exact",
        ),
        (flags("decode", f"kv-transfer-config: {{{MULTI}}}"), "the connector is inside"),
        (
            flags("decode", "enforce-eager: true, compilation-config: {cudagraph_mode: none}"),
            "both say the same",
        ),
        (
            both("dtype: half", f"dtype: bfloat16, kv-transfer-config: {{{NO_HANDSHAKE}}}"),
            "the handshake is switched off",
        ),
        (
            flags("prefill", "kv-transfer-config: null") + 'versions: {dynamo: "0.8.0"}\n',
            "Dynamo had a connector by default",
        ),
        (flags("decode", "numa-bind: true, numa-bind-nodes: [0, 1]"), "numa-bind is on"),
        (both("max-model-len: 16384", "max-model-len: 9280"), "each role holds the workload"),
    ],
)
def test_what_works_is_not_reported(text, why):
    recipe_set, problems = load.examine(small.texts(recipe=text))
    assert [str(one) for one in problems if one.rule] == [], why
    assert small.ID in recipe_set.recipes


def test_data_parallelism_without_expert_parallelism_is_legal():
    """Experts are then one tensor-parallel group over dp x tp."""
    text = edited(DECODE, DECODE.replace("ep: 8", "ep: 1"))
    recipe_set, problems = load.examine(small.texts(recipe=text))
    assert [(one.severity, one.rule) for one in problems] == [("warning", "name-and-shape")]
    assert recipe_set.recipes[small.ID].shape == "1P1D DEP4/DP8"


def test_a_default_of_the_engine_version_counts_where_the_catalogue_has_it():
    option = engines.EngineOption(type="str", has_default=True, default="auto")
    files = small.texts(recipe=flags("prefill", "kv-cache-dtype: fp8"))
    assert [one for one in load.examine(files)[1] if one.rule] == []  # unknown without a catalogue: silent
    files["engines/vllm/0.20.0.json"] = engines.vllm(kv_cache_dtype=option).to_json()
    found = [one for one in load.examine(files)[1] if one.rule]
    assert [one.rule for one in found] == ["kv-handshake"]
    assert found[0].what == "kv-cache-dtype is fp8 in prefill and auto, the default, in decode"


def test_a_length_that_its_author_accepts_is_not_reported_again():
    text = flags("decode", "max-model-len: 40000000")
    assert "length-over-kv" in [one.rule for one in found_in(text)]
    assert "length-over-kv" not in [one.rule for one in found_in(text + "fit: {accept: measured}\n")]


def test_the_json_of_validate_names_the_rule(tmp_path, capsys):
    for path, text in small.texts(recipe=flags("decode", "max-num-batched-tokens: 32")).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert run(["validate", "--json", "--recipes", str(tmp_path)], {}) == 3
    rules = {one["rule"] for one in json.loads(capsys.readouterr().out)}
    assert "budget-below-seqs" in rules


READ = [
    "max-num-seqs",
    "max-num-batched-tokens",
    "max-model-len",
    "block-size",
    "gpu-memory-utilization",
    "enable-chunked-prefill",
    "max-cudagraph-capture-size",
    "cudagraph-capture-sizes",
    "compilation-config",
    "enforce-eager",
    "speculative-config",
    "kv-transfer-config",
    "attention-config",
    "attention-backend",
    "kv-cache-dtype",
    "dtype",
    "eplb-config",
    "enable-eplb",
    "moe-backend",
    "numa-bind",
    "numa-bind-nodes",
    "offload-group-size",
    "offload-num-in-group",
    "tokenizer-mode",
    "optimization-level",
]
JUNK: list[Any] = [
    *(None, True, False, 0, -1, 7, 1.5, "x", "", "[", "{}", [], [1, "a", None], {}),
    {"kv_connector": [1]},
    {"kv_connector": "NixlConnector", "kv_connector_extra_config": 3},
    {
        "kv_connector": "MultiConnector",
        "kv_connector_extra_config": {"connectors": [1, {"kv_connector": None}, {}]},
    },
    {"method": [1], "num_speculative_tokens": "3"},
    {"method": "mtp", "num_speculative_tokens": -3},
    {"cudagraph_mode": [1], "cudagraph_capture_sizes": "x", "max_cudagraph_capture_size": True},
    {"num_redundant_experts": "x", "backend": {}},
]


@pytest.mark.parametrize("seed", range(150))
def test_no_value_of_another_type_ends_validate(seed):
    random = Random(seed)  # noqa: S311  # the same cases each time
    text = small.RECIPE
    for role in ("prefill", "decode"):
        chosen = {name: random.choice(JUNK) for name in random.sample(READ, random.randint(1, 6))}
        tls = random.choice(["", ",", "^", "^,^", "a,^b", "all", "cuda,ib", "^all", "rc:aux,cuda_copy"])
        added = f"  flags: {json.dumps(chosen)}\n  env: {json.dumps({'UCX_TLS': tls})}\n"
        text = text.replace(f"{role}:\n", f"{role}:\n{added}")
    text = text.replace("tp: 1", f"tp: {random.choice([1, 2, 3, 8])}", 1)
    problems = load.examine(small.texts(recipe=text))[1]
    assert all(one.what for one in problems)


def test_rules_about_an_llm_are_silent_without_its_facts():
    text = edited(DECODE, DECODE.replace("ep: 8", "ep: 1"))
    assert [
        one for one in load.examine(small.texts(recipe=text))[1] if one.rule == "quantisation-block"
    ] == []


def test_wrong_limits_do_not_make_other_findings():
    found = load.examine(small.texts(recipe=small.RECIPE + "limits: {time_s: soon, ready_s: 600}\n"))[1]
    assert [one.rule for one in found if one.rule] == []
    assert any("limits.time_s" in one.what for one in found)


def test_a_problem_names_its_rule():
    problem = next(one for one in found_in(flags("decode", "max-num-batched-tokens: 32")))
    assert str(problem).endswith("lower max-num-seqs [budget-below-seqs]")


def test_the_page_describes_every_rule_once():
    text = page()
    for rule in RULES:
        assert text.count(f"### {rule.id}\n") == 1
        assert all(one in text for one in (rule.what, rule.why, rule.source))


def test_the_verb_prints_writes_and_checks_the_page(tmp_path, capsys):
    assert run(["rules"], {}) == 0
    assert capsys.readouterr().out == page()
    file = tmp_path / "rules.md"
    assert run(["rules", "--check", str(file)], {}) == 3
    assert run(["rules", "--write", str(file)], {}) == 0
    assert run(["rules", "--check", str(file)], {}) == 0
    file.write_text("old")
    assert run(["rules", "--check", str(file)], {}) == 3
    assert str(file) in capsys.readouterr().err
