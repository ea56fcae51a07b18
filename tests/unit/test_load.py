"""Wrong YAML is reported at its line, every problem at once; valid YAML resolves as written."""

import pytest

from pipeline import load
from pipeline.errors import Problem, RecipeError
from tests.fakes import recipe_set as small

LOCAL = (
    "{launcher: local, isolation: none, time_scale: 1.0, ready_s: 1, time_s: 1, stop_s: 1,"
    " first_port: 18000, last_port: 18999, processes_per_core: 1}"
)


def errors(texts: dict[str, str]) -> list[Problem]:
    return [problem for problem in load.examine(texts)[1] if problem.severity == "error"]


def only(texts: dict[str, str]) -> Problem:
    found = errors(texts)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def recipe(old: str, new: str) -> dict[str, str]:
    assert old in small.RECIPE
    return small.texts(recipe=small.RECIPE.replace(old, new, 1))


def test_the_small_recipe_set_is_valid():
    recipe_set, problems = load.examine(small.texts())
    assert problems == []
    assert list(recipe_set.recipes) == [small.ID]
    assert recipe_set.recipes[small.ID].gpus_counted == 12
    assert recipe_set.recipes[small.ID].shape == "1P1D DEP4/DEP8"


def test_a_duplicate_key_is_refused_at_that_line():
    problem = only(recipe("conc: [4, 8]\n", "conc: [4, 8]\nconc: [4]\n"))
    assert (problem.path, problem.line, problem.col) == (small.PATH, 3, 1)
    assert "duplicate key `conc`" in problem.what
    assert "line 2" in problem.hint


def test_an_unknown_key_gets_the_nearest_name():
    problem = only(recipe("conc: [4, 8]", "conc: [4, 8]\nworkloads: {isl: 1}"))
    assert (problem.line, problem.what, problem.hint) == (
        3,
        "unknown key `workloads`",
        "did you mean `workload`?",
    )


def test_an_unknown_key_inside_a_pool_gets_the_nearest_name_of_a_pool():
    problem = only(recipe("  workers: 1\n", "  workers: 1\n  flag: {}\n"))
    assert (problem.line, problem.what, problem.hint) == (
        5,
        "unknown key `prefill.flag`",
        "did you mean `flags`?",
    )


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("no", "as a boolean"),
        ("True", "as a boolean"),
        ("010", "leading zero"),
        ("1e3", "as a number, others as a string"),
        ("8:00:00", "base 60"),
        ("~", "null"),
        ("0x1F", "decimal"),
        ("1_000", "decimal"),
        (".5", "plain decimal"),
        ("", "null"),
    ],
)
def test_a_scalar_that_yaml_readers_disagree_on_is_refused(written, word):
    found = errors(recipe("conc: [4, 8]", f"conc: [4, 8]\nnotes: {written}"))
    assert (found[0].line, found[0].path) == (3, small.PATH)
    assert word in found[0].what


def test_quoted_words_are_strings():
    recipe_set = load.read(recipe("conc: [4, 8]", 'conc: [4, 8]\nnotes: "no"'))
    assert recipe_set.recipes[small.ID].notes == "no"


def test_an_environment_value_that_is_a_number_must_be_quoted():
    problem = only(recipe("  workers: 1\n", "  workers: 1\n  env: {NCCL_CUMEM_ENABLE: 1}\n"))
    assert problem.line == 5
    assert problem.hint == 'quote it: "1"'


def test_unreadable_yaml_says_where():
    problem = errors(recipe("conc: [4, 8]", "conc: [4, 8"))[0]
    assert problem.path == small.PATH
    assert problem.what.startswith("the file is not valid YAML")


def test_an_alias_without_an_anchor_is_a_text_to_quote():
    problem = errors(recipe("workers: 1", "workers: *one"))[0]
    assert problem.what == "the file is not valid YAML: found undefined alias"
    assert problem.hint.startswith("quote a text")


def test_a_cluster_that_is_no_mapping_lacks_no_fields_besides():
    problem = only(small.texts(cluster="- a\n"))
    assert (problem.path, problem.what) == (
        "clusters/here.yaml",
        "the file must be a mapping at its top level",
    )


def test_bytes_that_are_not_utf8_say_so():
    found = errors({**small.texts(), small.PATH: b"title: \xff\n"})  # type: ignore[dict-item]
    assert found[0].what == "the file is not UTF-8: byte 7"


def test_aliases_tags_and_merge_keys_are_refused():
    found = errors(recipe("conc: [4, 8]", "conc: &c [4, 8]\nwas: *c\nnotes: !!int x\n<<: {}"))
    whats = " / ".join(problem.what for problem in found)
    assert "aliases are not supported" in whats
    assert "tags are not supported" in whats
    assert "merge keys are not supported" in whats


def test_all_problems_of_all_files_come_at_once():
    texts = recipe("conc: [4, 8]", "conc: []\ntitel: x")
    texts["skus.yaml"] += "  colour: red\n"
    assert {(problem.path, problem.line) for problem in errors(texts)} >= {
        (small.PATH, 2),
        (small.PATH, 3),
        ("skus.yaml", 19),
    }


def test_a_wrong_field_hides_no_wrong_arithmetic():
    text = small.RECIPE.replace("conc: [4, 8]", "conc: [four]\ntitel: x\nsku: tiny-3x4")
    text = text.replace("  workers: 1\n", "  workers: 1\n  gpus: 28\n", 1)
    whats = [problem.what for problem in errors(small.texts(recipe=text))]
    assert any("conc.0" in what for what in whats)
    assert any("unknown key `titel`" in what for what in whats)
    assert any("unknown SKU `tiny-3x4`" in what for what in whats)
    assert any("states 28 GPUs" in what for what in whats)


@pytest.mark.parametrize(
    ("conc", "what", "hint"),
    [
        ("[4, four]", "`conc.1` must be an integer", 'given: "four"'),
        ("[four]", "`conc.0` must be an integer", 'given: "four"'),
        ("[]", "`conc` must be a list of at least 1 value", "given: []"),
        ("4", "`conc` must be a list", "given: 4"),
        ("[4, 8]\nworkload: 3", "`workload` must be a mapping", "given: 3"),
        ("[4, 8]\nworkload: {isl: 8192.5}", "`workload.isl` must be an integer", "given: 8192.5"),
        (
            '[4, 8]\nclient: {ignore_eos: "true"}',
            "`client.ignore_eos` must be true or false",
            'given: "true"',
        ),
    ],
)
def test_a_value_of_another_type_is_reported_once_in_the_terms_of_yaml(conc, what, hint):
    problem = only(recipe("[4, 8]", conc))
    assert (problem.what, problem.hint) == (what, hint)


def test_read_raises_with_every_problem():
    with pytest.raises(RecipeError) as caught:
        load.read(recipe("conc: [4, 8]", "conc: []\ntitel: x"))
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == 3


def test_twenty_eight_gpus_cannot_be_workers_of_eight():
    wide = "  gpus: 28\n  workers: 1\n  tp: 8\n  crosses_trays: true\n  pp: 1\n  dp: 1\n  ep: 1\n"
    problem = only(recipe("  workers: 1\n  tp: 1\n  pp: 1\n  dp: 8\n  ep: 8\n", wide))
    assert "states 28 GPUs, but workers 1 x tp 8" in problem.what
    assert problem.hint == "28 GPUs would be 3.5 workers; correct gpus or the shape"


def test_stated_gpus_must_equal_the_shape():
    problem = only(recipe("  workers: 1\n", "  gpus: 8\n  workers: 1\n"))
    assert problem.line == 4
    assert problem.hint == "set workers: 2 or gpus: 4"


def test_tensor_parallelism_over_trays_must_be_meant():
    wide = "  workers: 1\n  tp: 8\n  pp: 1\n  dp: 1\n  ep: 1\n"
    narrow = "  workers: 1\n  tp: 1\n  pp: 1\n  dp: 8\n  ep: 8\n"
    assert "but a tray of tiny-2x4 has 4" in only(recipe(narrow, wide)).what
    assert errors(recipe(narrow, wide + "  crosses_trays: true\n")) == []


@pytest.mark.parametrize(
    ("ep", "word"),
    [(3, "does not divide"), (2, "distributes experts over all")],
)
def test_expert_parallelism_follows_the_ranks(ep, word):
    problem = only(recipe("  ep: 4", f"  ep: {ep}"))
    assert word in problem.what
    assert problem.line == 8


def test_experts_must_divide_for_a_backend_that_needs_it():
    llm = small.LLM.replace("experts: 96", "experts: 90")
    text = small.RECIPE + "both: {flags: {moe-backend: deep_gemm_mega_moe}}\n"
    assert {
        "prefill ep 4 does not divide the 90 experts of small, which moe-backend deep_gemm_mega_moe needs",
        "decode ep 8 does not divide the 90 experts of small, which moe-backend deep_gemm_mega_moe needs",
    } == {problem.what for problem in errors(small.texts(llm=llm, recipe=text))}


def test_more_than_the_rack_is_refused():
    problem = only(recipe("decode:\n  workers: 1", "decode:\n  workers: 2"))
    assert "need 6 trays, but a rack of tiny-2x4 has 4" in problem.what


def test_requests_of_no_token_are_refused_where_their_length_is_set():
    problem = only(recipe("conc: [4, 8]", "conc: [4, 8]\nclient: {shortest: 0.0005}"))
    assert problem.what == "osl 1024 x client.shortest 0.0005 is less than 1 token"
    assert problem.path.endswith("_base.yaml")


def test_streams_that_end_by_themselves_are_refused():
    problem = only(recipe("conc: [4, 8]", "conc: [4, 8]\nclient: {ignore_eos: false}"))
    assert (problem.path, problem.line) == (small.PATH, 3)
    assert "looks the same as one that was cut off" in problem.what


@pytest.mark.parametrize(
    ("conc", "word"),
    [("[8, 4]", "not in rising order"), ("[4, 4]", "lists a concurrency twice"), ("[]", "at least 1")],
)
def test_concurrencies_rise(conc, word):
    assert word in only(recipe("[4, 8]", conc)).what


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (
            {"cluster": small.CLUSTER.replace("[tiny-2x4]", "[tiny-2x4, tiny-2x4]")},
            "'tiny-2x4' is listed twice",
        ),
        (
            {"cluster": small.CLUSTER.replace("[ubuntu-latest]", "[self-hosted, self-hosted]")},
            "'self-hosted' is listed twice",
        ),
        ({"skus": small.SKUS.replace("[Tiny Rack, tiny]", "[tiny, tiny]")}, "'tiny' is listed twice"),
        ({"recipe": small.RECIPE + "was: [a.b, a.b]\n"}, "'a.b' is listed twice"),
    ],
)
def test_a_repeated_entry_of_a_list_is_refused(files, what):
    found = load.examine(small.texts(**files))[1]
    assert any(one.severity == "error" and what in one.what and one.line > 1 for one in found), found


def test_a_hint_without_a_known_name_says_that_there_is_none():
    found = load.examine(small.texts(skus="{}\n"))[1]
    assert {one.hint for one in found if "unknown SKU" in one.what} == {"known: none"}


def test_an_image_that_is_a_tag_is_a_warning_only():
    recipe_set, problems = load.examine(
        small.texts(base=small.BASE.replace("vllm/vllm-openai@sha256:0123", "vllm/vllm-openai:v0.20.0"))
    )
    assert [problem.severity for problem in problems] == ["warning"]
    assert small.ID in recipe_set.recipes


def test_a_flag_that_the_shape_gives_is_refused():
    problem = only(recipe("  workers: 1\n", "  flags: {tensor-parallel-size: 4}\n  workers: 1\n"))
    assert problem.what == "flag `tensor-parallel-size` is set by the launcher, from prefill.tp"


def test_a_flag_left_to_vllms_default_is_not_guessed():
    problem = only(recipe("  workers: 1\n", "  flags: {max-num-batched-tokens: null}\n  workers: 1\n"))
    assert problem.hint == "set it in prefill.flags, or declare vLLM's default under simulate.prefill"
    declared = recipe("  workers: 1\n", "  flags: {max-num-batched-tokens: null}\n  workers: 1\n")
    declared[small.PATH] += "simulate: {prefill: {max-num-batched-tokens: 8192}}\n"
    assert errors(declared) == []


@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize(
    "name", ["max-num-seqs", "max-num-batched-tokens", "gpu-memory-utilization", "block-size"]
)
def test_an_option_that_a_simulator_needs_is_stated_or_reported(role, name):
    text = small.RECIPE.replace(f"{role}:\n", f"{role}:\n  flags: {{{name}: null}}\n")
    problem = only(small.texts(recipe=text))
    assert problem.what == f"{role} does not state {name}, which the HBM estimate or a simulator needs"
    assert ("simulate" in problem.hint) == (name in ("max-num-seqs", "max-num-batched-tokens"))


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        ("max-num-seqs: 0", "max-num-seqs must be a positive integer"),
        ("max-num-seqs: true", "max-num-seqs must be a positive integer"),
        ("block-size: 1.5", "block-size must be a positive integer"),
        ("gpu-memory-utilization: '0.9'", "gpu-memory-utilization must be a positive number"),
        ("gpu-memory-utilization: 1.2", "gpu-memory-utilization 1.2 is above 1"),
    ],
)
def test_a_flag_with_an_impossible_number_is_reported_at_its_place(flags, what):
    problem = only(recipe("  workers: 1\n", f"  flags: {{{flags}}}\n  workers: 1\n"))
    assert (problem.path, problem.line, problem.what) == (small.PATH, 4, what)


def test_a_model_length_below_the_workload_is_refused():
    assert (
        "shorter than isl + osl = 9216"
        in only(recipe("  workers: 1\n", "  flags: {max-model-len: 9000}\n  workers: 1\n")).what
    )


def test_an_unknown_sku_gets_the_nearest():
    found = errors(small.texts(base=small.BASE.replace("sku: tiny-2x4", "sku: tiny-2x5")))
    assert ("unknown SKU `tiny-2x5`", "did you mean `tiny-2x4`?") in [
        (problem.what, problem.hint) for problem in found
    ]
    assert found[0].path == "_base.yaml"


def test_a_recipe_in_the_wrong_folder_gets_the_right_one():
    texts = small.texts()
    texts["small-fp4/tiny-2x4/1k1k/x.yaml"] = texts.pop(small.PATH)
    assert f"belongs in {small.FOLDER}/" in only(texts).what


def test_two_files_of_one_deployment_are_refused():
    texts = small.texts()
    texts[f"{small.FOLDER}/twin.yaml"] = texts[small.PATH].replace("[4, 8]", "[16]")
    assert only(texts).what == f"this is the same deployment as {small.ID}"


def test_bases_merge_deeply_lists_replace_and_null_deletes():
    texts = recipe("conc: [4, 8]", "conc: [4]\nwas: [old.one]\nextends: [_more]")
    texts[f"{small.FOLDER}/_more.yaml"] = (
        "conc: [1, 2]\ndecode: {flags: {max-num-seqs: 32, enforce-eager: true, no-enable-prefix-caching: null}}\n"
    )
    texts[f"{small.FOLDER}/_base.yaml"] = "decode: {flags: {async-scheduling: true, block-size: 512}}\n"
    recipe_set = load.read(texts)
    flags = recipe_set.recipes[small.ID].decode.flags
    assert recipe_set.recipes[small.ID].conc == (4,)
    assert flags["max-num-seqs"] == 32
    assert flags["async-scheduling"] is True
    assert "no-enable-prefix-caching" not in flags
    assert flags["block-size"] == 512
    assert flags["max-num-batched-tokens"] == 512


def test_what_both_roles_share_yields_to_what_a_role_says_and_null_still_deletes():
    texts = small.texts()
    shared = "both: {env: {A: x}, flags: {enforce-eager: true, max-num-seqs: 8}}"
    own = "decode: {env: {A: z}, flags: {no-enable-prefix-caching: null}}"
    texts[f"{small.FOLDER}/_base.yaml"] = f"{shared}\n{own}\n"
    recipe = load.read(texts).recipes[small.ID]
    assert (recipe.prefill.env, recipe.decode.env) == ({"A": "x"}, {"A": "z"})
    assert recipe.prefill.flags["enforce-eager"] is True
    assert recipe.decode.flags["max-num-seqs"] == 8
    assert "no-enable-prefix-caching" in recipe.prefill.flags
    assert "no-enable-prefix-caching" not in recipe.decode.flags


def test_an_unknown_partial_and_a_circular_one_are_reported():
    assert only(recipe("conc: [4, 8]", "conc: [4, 8]\nextends: [_mor]")).what == "unknown partial `_mor`"
    texts = recipe("conc: [4, 8]", "conc: [4, 8]\nextends: [_a]")
    texts |= {f"{small.FOLDER}/_a.yaml": "extends: [_b]\n", f"{small.FOLDER}/_b.yaml": "extends: [_a]\n"}
    assert only(texts).what == "circular `extends`: `_a` extends itself through this file"


def test_the_origin_of_each_value_is_known():
    recipe_set = load.read(small.texts())
    origins = {path: str(mark) for path, _, mark in recipe_set.origins(small.ID)}
    assert origins["title"] == f"{small.PATH}:1"
    assert origins["decode.flags.max-num-seqs"] == "_base.yaml:23"


def test_a_cluster_without_what_its_measure_needs_is_refused():
    assert (
        only(small.texts(cluster=small.CLUSTER.replace("timing: timing/small.json\n", ""))).what
        == "measure replay needs `timing`"
    )


def test_a_cluster_without_what_its_launcher_needs_is_refused():
    live = small.CLUSTER.replace("site: {launcher: none}\nmeasure: replay", f"site: {LOCAL}\nmeasure: aiperf")
    assert only(small.texts(cluster=live)).what == "launcher local needs `engine_override`"


def test_a_measure_without_a_launcher_is_refused_at_the_site():
    problem = only(small.texts(cluster=small.CLUSTER.replace("measure: replay", "measure: aiperf")))
    assert (problem.what, problem.line) == ("measure aiperf needs `launcher`", 3)


@pytest.mark.parametrize(
    ("site", "what", "hint"),
    [
        ("{launcher: slrum}", "`site`: input tag 'slrum' found using 'launcher'", "slrum"),
        ("{}", "`site`: unable to extract tag using discriminator 'launcher'", "given"),
        ("{launcher: slurm, segment: true}", "missing `site.partition`", "set it here"),
        (
            "{launcher: slurm, partition: p, segmemt: true, segment: true}",
            "unknown key `site.segmemt`",
            "`segment`",
        ),
        (
            LOCAL.replace("18000", "80"),
            "`site.first_port`: input should be greater than or equal to 1024",
            "80",
        ),
    ],
)
def test_a_wrong_site_is_answered_with_the_path_that_is_in_the_file(site, what, hint):
    problem = only(small.texts(cluster=small.CLUSTER.replace("{launcher: none}", site)))
    assert problem.what.startswith(what)
    assert hint in problem.hint
    assert (problem.path, problem.line) == ("clusters/here.yaml", 3)


@pytest.mark.parametrize(
    ("former", "hint", "site"),
    [
        ("launcher: null", "write `site: {launcher: none}` in place of `launcher:`", {"launcher": "none"}),
        (
            "launcher: slurm\nslurm: {partition: p, segment: true}",
            "write `site: {launcher: slurm, partition: …, segment: …}` in place of `launcher:` and `slurm:`",
            {"launcher": "slurm", "partition": "p", "segment": True},
        ),
    ],
)
def test_the_former_spelling_of_a_site_is_answered_with_the_current_one_and_still_read(former, hint, site):
    texts = small.texts(cluster=small.CLUSTER.replace("site: {launcher: none}", former))
    problem = only(texts)
    assert problem.what == "the launcher and its parameters are one field, `site`"
    assert (problem.hint, problem.line) == (hint, 3)
    found = load.examine(texts)[0].catalogue.clusters["here"].site.model_dump(mode="json")
    assert site.items() <= found.items()


@pytest.mark.parametrize("flags", ["offload-group-size: 2, offload-num-in-group: 5", "offload-group-size: 0"])
def test_an_offload_that_cannot_be_is_refused(flags):
    assert (
        "cannot be offloaded" in only(recipe("  workers: 1\n", f"  flags: {{{flags}}}\n  workers: 1\n")).what
    )


def test_an_id_in_the_file_is_refused():
    assert (
        only(recipe("conc: [4, 8]", "conc: [4, 8]\nid: foo")).what
        == "`id` must not be set here: it follows from the path of the file or the key above"
    )


def test_the_digest_ignores_prose_and_knows_flags():
    plain = load.read(small.texts()).recipes[small.ID].deployment_digest
    assert load.read(recipe("title: One", "title: Another")).recipes[small.ID].deployment_digest == plain
    assert load.read(recipe("[4, 8]", "[4]")).recipes[small.ID].deployment_digest == plain
    assert (
        load.read(recipe("  workers: 1\n", "  flags: {max-num-seqs: 8}\n  workers: 1\n"))
        .recipes[small.ID]
        .deployment_digest
        != plain
    )
