"""What `fit` judges: the demand of a recipe, not its limits. And what it says that it cannot know."""

import json

import pytest

from pipeline import load
from pipeline.deployment import hbm as memory
from pipeline.deployment.cuda_graphs import capture_sizes, graphs_gb
from pipeline.render import fit_text
from pipeline.schema.catalogue import KvCache
from pipeline.schema.hbm import RecipeFit
from pipeline.schema.recipe import Pool
from tests.fakes import upstream_shapes as upstream
from tests.unit.test_hbm import GB300_4P, RECIPES, texts

GB200, GB300 = "gb200-nvl72", "gb300-nvl72"
BENCHMARKS = 11


@pytest.fixture(scope="module")
def recipe_set():
    return load.read(texts(RECIPES))


class Case:
    """A recipe of the repository with other flags, shapes, concurrency, SKU or LLM."""

    def __init__(self, recipe_set, name=GB300_4P):
        self.recipe = recipe_set.recipes[name]
        self.catalogue = recipe_set.catalogue
        self.llm = self.catalogue.llms[self.recipe.model]
        self.sku = self.catalogue.skus[self.recipe.sku]

    def flags(self, role, **changed):
        pool = self.recipe.pools[role]
        named = {name.replace("_", "-"): value for name, value in changed.items()}
        flags = {**pool.flags, **named}
        return self.shape(role, flags={name: value for name, value in flags.items() if value is not None})

    def shape(self, role, **changed):
        pool = self.recipe.pools[role].model_copy(update=changed)
        self.recipe = self.recipe.model_copy(update={role: pool})
        return self

    def on(self, sku):
        self.sku = self.catalogue.skus[sku]
        return self

    def conc(self, *conc):
        self.recipe = self.recipe.model_copy(update={"conc": conc})
        return self

    def kv(self, **changed):
        kv = KvCache.model_validate({**self.llm.kv.model_dump(), **changed})
        self.llm = self.llm.model_copy(update={"kv": kv})
        return self

    def facts(self, **changed):
        self.llm = self.llm.model_copy(update=changed)
        return self

    def roles(self):
        return {one.role: one for one in memory.estimate(self.recipe, self.sku, self.llm) or ()}

    def __getitem__(self, role):
        return self.roles()[role]

    def fit(self):
        roles = memory.role_fits(self.recipe, self.sku, self.llm)
        return RecipeFit(recipe=self.recipe.id, sku=self.sku.id, roles=roles)

    def table(self):
        return fit_text([self.fit()], as_json=False)


# What others ran, and what died.


@pytest.mark.parametrize("name", upstream.RAN)
def test_a_recipe_that_ran_upstream_is_not_refused(recipe_set, name):
    ran = upstream.RAN[name]
    case = Case(recipe_set).on(ran.sku)
    case.recipe = ran.recipe(case.recipe)
    verdicts = {role: one.verdict for role, one in case.roles().items()}
    allowed = {"fits", "tight"} if ran.workload.isl == 8192 else {"fits", "tight", "queues"}
    assert set(verdicts.values()) <= allowed, verdicts


def test_three_of_them_were_refused_by_the_rule_that_max_num_seqs_full_sequences_must_fit(recipe_set):
    refused = set()
    for name, ran in upstream.RAN.items():
        case = Case(recipe_set).on(ran.sku)
        case.recipe = ran.recipe(case.recipe)
        if any(one.sequences * one.sequence_gb > one.kv_budget_gb for one in case.roles().values()):
            refused.add(name)
    assert refused == {"gb200-agentic-mtp-variants", "gb300-agentic-1p6d", "gb300-agentic-4p1d"}


def test_the_attempt_that_died_while_loading_weights_does_not_fit(recipe_set):
    died = upstream.DIED["gb200-tep4"]
    case = Case(recipe_set).on(died.sku)
    case.recipe = died.recipe(case.recipe)
    assert {role: one.verdict for role, one in case.roles().items()} == {
        "prefill": "does not fit",
        "decode": "fits",
    }
    assert case["prefill"].weights_gb > case["prefill"].capacity_gb


@pytest.mark.parametrize("seqs", [1, 512, 8192])
@pytest.mark.parametrize("shape", [{"tp": 1, "dp": 4, "ep": 4}, {"tp": 4, "dp": 1, "ep": 1}])
@pytest.mark.parametrize("role", ["prefill", "decode"])
def test_a_replica_of_four_gpus_never_fits_a_gb200(recipe_set, role, shape, seqs):
    case = Case(recipe_set).on(GB200).shape(role, **shape).flags(role, max_num_seqs=seqs)
    assert case.flags(role, gpu_memory_utilization=0.95)[role].verdict == "does not fit"


@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize("seqs", [512, 1024, 8192])
def test_no_limit_makes_a_published_deployment_unfit(recipe_set, role, seqs):
    names = [name for name, one in recipe_set.recipes.items() if one.purpose == "benchmark"]
    assert len(names) == BENCHMARKS
    verdicts = {name: Case(recipe_set, name).flags(role, max_num_seqs=seqs)[role].verdict for name in names}
    assert set(verdicts.values()) <= {"fits", "tight"}, verdicts


# Demand.


def test_the_concurrency_of_a_rank_decides_below_max_num_seqs(recipe_set):
    decode = Case(recipe_set).flags("decode", max_num_seqs=4096).conc(1, 16)["decode"]
    assert (decode.sequences, decode.conc_per_rank, decode.running) == (4096, 2, 2)
    assert decode.kv_gb == pytest.approx(2 * decode.sequence_gb)


def test_prefill_holds_prompts_only(recipe_set):
    roles = Case(recipe_set).roles()
    assert (roles["prefill"].tokens, roles["decode"].tokens) == (8192, 9216)
    assert roles["prefill"].running == min(16, -(-4096 // 16))


def test_more_sequences_than_fit_queue_and_the_table_says_how_many_and_what_would_change_it(recipe_set):
    case = Case(recipe_set).on(GB200)
    case.flags("prefill", gpu_memory_utilization=0.95).shape("prefill", dp=8, ep=8)
    decode = case["decode"]
    assert (decode.verdict, decode.fits, decode.max_sequences, decode.running) == ("queues", True, 478, 512)
    text = case.table()
    assert "\nqueues: 478 of 512 run at once  " in text
    assert (
        "all would run at once: DEP12; or a concurrency of at most 3824, evenly spread over 8 ranks" in text
    )


def test_a_limit_above_what_fits_is_a_note_and_the_verdict_stays(recipe_set):
    case = Case(recipe_set).conc(64).flags("decode", max_num_seqs=4096)
    assert case["decode"].verdict == "fits"
    text = case.table()
    assert text.startswith("verdict  recipe")
    assert "max-num-seqs 4096 is a limit above the 1685 sequences of 9216 tokens that fit: vLLM lets" in text


@pytest.mark.parametrize(("length", "verdict"), [(3_900_000, "fits"), (4_000_000, "does not fit")])
def test_one_sequence_of_max_model_len_must_fit(recipe_set, length, verdict):
    case = Case(recipe_set).flags("prefill", max_model_len=length, max_num_seqs=1)
    prefill = case["prefill"]
    assert prefill.fits == (verdict == "fits")
    assert prefill.max_sequences > 300  # of the workload
    if not prefill.fits:
        text = case.table()
        assert f"one sequence of max-model-len {length} takes 22.1 GB" in text
        assert "would fit: DEP8; or max-model-len of at most 3948128; or" in text
        assert "gpu-memory-utilization of at least 0.91" in text


def test_without_the_option_the_llm_states_max_model_len_and_without_both_it_is_unknown(recipe_set):
    case = Case(recipe_set).flags("prefill", max_model_len=None)
    assert (case["prefill"].max_model_len, case["prefill"].unknown) == (1048576, ())
    assert case["prefill"].longest_gb == pytest.approx(5.80, abs=0.01)
    found = case.facts(max_model_len=None)["prefill"]
    assert (found.max_model_len, found.unknown, found.verdict) == (None, ("max-model-len",), "unknown")


def test_a_margin_below_five_percent_is_tight_and_the_table_names_what_decides(recipe_set):
    case = Case(recipe_set, "deepseek-v4-pro-fp4.gb200-nvl72.8k1k.3p1d-dep8-dep8")
    assert (case["decode"].verdict, round(case["decode"].headroom_gb, 1)) == ("tight", 2.2)
    assert "`Available KV cache memory` in the log of a run decides" in case.table()


def test_kv_blocks_of_a_limit_above_what_fits_are_those_of_the_sequences_that_fit(recipe_set):
    name = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.1p6d-dep4-tp4"
    fitting = Case(recipe_set, name)["decode"].max_sequences
    most = Case(recipe_set, name).flags("decode", max_num_seqs=fitting)["decode"].kv_blocks(256)
    assert Case(recipe_set, name).flags("decode", max_num_seqs=100_000)["decode"].kv_blocks(256) == most
    assert most * 256 >= fitting * 9216 * 0.99


def test_the_json_has_the_verdict_what_runs_at_once_and_null_for_what_is_unknown(recipe_set):
    case = Case(recipe_set).on(GB200).flags("decode", kv_cache_dtype="auto")
    rows = {row["role"]: row for row in json.loads(fit_text([case.fit()], as_json=True))}
    assert (rows["prefill"]["verdict"], rows["prefill"]["better"]) == ("does not fit", "DEP8")
    assert (rows["decode"]["verdict"], rows["decode"]["unknown"]) == ("unknown", ["kv-cache-dtype"])
    assert (rows["decode"]["running"], rows["decode"]["headroom_gb"]) == (512, None)


# The layer for multi-token prediction.


@pytest.mark.parametrize("method", ["mtp", "deepseek_mtp"])
@pytest.mark.parametrize("as_text", [False, True])
def test_the_mtp_layer_is_counted_where_speculative_config_loads_it(recipe_set, method, as_text):
    config = {"method": method, "num_speculative_tokens": 2}
    text = f'{{"method": "{method}", "num_speculative_tokens": 2}}'
    plain, drafting = Case(recipe_set), Case(recipe_set)
    drafting.flags("decode", speculative_config=text if as_text else config)
    added = drafting["decode"].weights_gb - plain["decode"].weights_gb
    assert added == pytest.approx(13.476298752 / 8 + 0.351272960 + 0.12845056)
    assert drafting["decode"].kv_bytes_per_sequence - plain["decode"].kv_bytes_per_sequence == 128 * 584
    assert drafting["prefill"] == plain["prefill"]
    assert drafting["decode"].unknown == ()


def test_the_mtp_layer_is_sharded_like_the_others_and_whole_on_its_stage(recipe_set):
    mtp = {"speculative-config": {"method": "mtp", "num_speculative_tokens": 1}}
    flags = {**recipe_set.recipes[GB300_4P].decode.flags, **mtp}
    wide = Case(recipe_set).shape("decode", flags=flags, tp=8, dp=1, ep=1)["decode"]
    staged = Case(recipe_set).shape("decode", flags=flags, tp=4, pp=2, dp=1, ep=1)["decode"]
    assert wide.mtp_gb == pytest.approx(13.476298752 / 8 + 0.35127296 / 8 + 0.12845056)
    assert staged.mtp_gb == pytest.approx(13.476298752 / 4 + 0.35127296 / 4 + 0.12845056)


@pytest.mark.parametrize(
    ("config", "unknown"),
    [
        ({"method": "ngram", "num_speculative_tokens": 4}, ()),
        ({"method": "suffix"}, ()),
        ({"method": "eagle3", "model": "x/y"}, ("draft-model",)),
        ({"method": "dspark"}, ("draft-model",)),
        ({"model": "x/y"}, ("draft-model",)),
    ],
)
def test_weights_of_another_draft_model_are_unknown(recipe_set, config, unknown):
    found = Case(recipe_set).flags("decode", speculative_config=config)["decode"]
    assert (found.unknown, found.mtp_gb) == (unknown, 0.0)
    assert found.verdict == ("unknown" if unknown else "fits")


def test_an_mtp_layer_that_no_document_states_is_unknown(recipe_set):
    case = Case(recipe_set).flags("decode", speculative_config={"method": "mtp"}).facts(mtp=None)
    assert (case["decode"].unknown, case["decode"].verdict) == (("mtp",), "unknown")
    assert "would decide it: add mtp to the LLM document" in case.table()


# KV cache.


@pytest.mark.parametrize("dtype", ["fp8", "fp8_e4m3", "fp8_ds_mla"])
def test_names_of_the_dtype_that_the_llm_states_are_equal(recipe_set, dtype):
    found = Case(recipe_set).flags("decode", kv_cache_dtype=dtype)["decode"]
    assert (found.kv_bytes_per_token, found.unknown) == (5511.4375, ())


@pytest.mark.parametrize("dtype", [None, "auto", "bfloat16", "nvfp4"])
def test_another_dtype_of_a_layout_of_its_own_is_unknown_with_reason(recipe_set, dtype):
    case = Case(recipe_set).flags("decode", kv_cache_dtype=dtype)
    found = case["decode"]
    assert (found.kv_bytes_per_token, found.unknown, found.verdict) == (None, ("kv-cache-dtype",), "unknown")
    assert (found.headroom_gb, found.max_sequences, found.kv_blocks(256)) == (None, None, 0)
    text = case.table()
    assert "unknown: the LLM document does not say how large the KV cache is in this kv-cache-dtype" in text
    assert "would decide it: set a dtype that it states" in text


def test_weights_that_do_not_fit_are_not_unknown(recipe_set):
    case = Case(recipe_set).on(GB200).flags("prefill", kv_cache_dtype="auto")
    assert (case["prefill"].verdict, case["decode"].verdict) == ("does not fit", "queues")


@pytest.mark.parametrize(
    ("dtype", "auto", "factor"),
    [("fp8", None, 1), ("bfloat16", None, 2), ("float16", None, 2), ("auto", "bf16", 2), (None, "fp8", 1)],
)
def test_plain_keys_and_values_scale_with_the_width_of_the_dtype(recipe_set, dtype, auto, factor):
    case = Case(recipe_set).kv(is_plain=True, auto=auto).flags("decode", kv_cache_dtype=dtype)
    assert case["decode"].kv_bytes_per_token == factor * 5511.4375
    assert case["decode"].kv_bytes_per_sequence == factor * 23270400


@pytest.mark.parametrize(("tp", "share"), [(1, 1), (2, 1 / 2), (8, 1 / 8), (16, 1 / 8)])
def test_kv_heads_are_divided_over_tp_and_replicated_beyond_their_number(recipe_set, tp, share):
    shape = {"tp": tp, "dp": 1, "ep": 1}
    grouped = Case(recipe_set).kv(heads=8, bytes_per_token={"no-indexer": 1000.0}).shape("decode", **shape)
    assert grouped["decode"].kv_bytes_per_token == pytest.approx(1000 * share)
    assert Case(recipe_set).shape("decode", **shape)["decode"].kv_bytes_per_token == 5511.4375


@pytest.mark.parametrize(
    ("flags", "unknown"),
    [
        ({"kv_cache_memory_bytes": 1 << 34}, "kv-pool"),
        ({"num_gpu_blocks_override": 100}, "kv-pool"),
        ({"decode_context_parallel_size": 2}, "context-parallel"),
    ],
)
def test_options_that_set_the_kv_cache_in_another_way_are_unknown(recipe_set, flags, unknown):
    found = Case(recipe_set).flags("decode", **flags)["decode"]
    assert (found.unknown, found.verdict) == ((unknown,), "unknown")


# CUDA graphs, weights elsewhere, experts.


def pool(flags, **env):
    return Pool(workers=1, tp=1, pp=1, dp=1, ep=1, flags=flags, env=env)


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ({"enforce-eager": True}, 0),
        ({"compilation-config": {"cudagraph_mode": "NONE"}}, 0),
        ({"compilation-config": '{"cudagraph_mode": "none"}'}, 0),
        ({"no-enforce-eager": True, "max-cudagraph-capture-size": 512}, 51),
        ({"max-cudagraph-capture-size": 256}, 35),
        ({"compilation-config": {"max_cudagraph_capture_size": 8}}, 4),
        ({"compilation-config": {"cudagraph_capture_sizes": [1, 2, 4, 9000]}}, 3),
        ({"cudagraph-capture-sizes": [1, 8]}, 2),
        ({"compilation-config": {"cudagraph_mode": None}}, 51),
        ({}, 51),
    ],
)
def test_graphs_are_counted_by_the_sizes_that_vllm_captures(flags, sizes):
    of = {"sequences": 512, "batched_tokens": 8192}
    assert len(capture_sizes(pool(flags), **of)) == sizes
    assert graphs_gb(pool(flags), **of) == pytest.approx(0.5 + 0.045 * sizes if sizes else 0)


@pytest.mark.parametrize(
    ("sequences", "drafted", "largest"), [(4, 0, 8), (4, 3, 32), (1000, 0, 512), (1000, 3, 512)]
)
def test_without_the_option_vllm_captures_twice_the_tokens_of_a_step(sequences, drafted, largest):
    config = {"method": "mtp", "num_speculative_tokens": drafted} if drafted else None
    assert (
        capture_sizes(pool({"speculative-config": config}), sequences=sequences, batched_tokens=8192)[-1]
        == largest
    )


def test_the_allowance_covers_what_runs_of_deepseek_models_logged():
    of = {"sequences": 512, "batched_tokens": 8192}
    for sizes, logged_gib in ((51, 2.51), (51, 1.99), (4, 0.50)):
        flags = {"cudagraph-capture-sizes": list(range(1, sizes + 1))}
        assert logged_gib * 2**30 / 1e9 <= graphs_gb(pool(flags), **of) <= logged_gib * 2**30 / 1e9 + 0.7


def test_graphs_that_vllm_is_set_not_to_count_are_outside_of_the_budget():
    of = {"sequences": 512, "batched_tokens": 8192}
    assert graphs_gb(pool({}, VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS="0"), **of) == 0


def test_experts_without_expert_parallelism_are_one_tensor_parallel_group_over_dp(recipe_set):
    with_ep = Case(recipe_set)["decode"]
    without = Case(recipe_set).shape("decode", ep=1)["decode"]
    assert without.routed_gb == with_ep.routed_gb == pytest.approx(822.054223872 / 8)
    assert without.weights_gb == with_ep.weights_gb


def test_redundant_experts_take_hbm(recipe_set):
    eplb = {"enable_eplb": True, "eplb_config": {"num_redundant_experts": 32}}
    plain = Case(recipe_set)["decode"]
    assert Case(recipe_set).flags("decode", **eplb)["decode"].routed_gb == pytest.approx(
        plain.routed_gb * (384 + 32) / 384
    )
    eplb["enable_eplb"] = False
    assert Case(recipe_set).flags("decode", **eplb)["decode"].routed_gb == plain.routed_gb


def test_cpu_offload_takes_weights_out_of_hbm(recipe_set):
    plain = Case(recipe_set)["prefill"]
    offloaded = Case(recipe_set).flags("prefill", cpu_offload_gb=10)["prefill"]
    assert plain.weights_gb - offloaded.weights_gb == pytest.approx(10 * 2**30 / 1e9)
    assert Case(recipe_set).flags("prefill", cpu_offload_gb=10_000)["prefill"].weights_gb > 0


# The facts of the LLM.


def test_facts_that_only_fit_reads_do_not_move_the_digest_of_an_llm(recipe_set):
    llm = recipe_set.catalogue.llms["deepseek-v4-pro"]
    digest = (
        "6c72c9c8cde4b1f7dd2b9153e494d3f5cea28773c7e599646c69ebfb83276b5b"  # before there were such fields
    )
    assert llm.measured_digest == digest
    assert llm.model_copy(update={"mtp": None, "max_model_len": None}).measured_digest == digest
    other = llm.kv.model_copy(update={"heads": 8})
    assert llm.model_copy(update={"kv": other}).measured_digest != digest
