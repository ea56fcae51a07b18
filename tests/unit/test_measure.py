"""Lengths as the published client draws them, statistics as it takes them, and what a simulated worker is told."""

import gzip
import json
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import load
from pipeline import plan as planning
from pipeline.deployment import simulated
from pipeline.errors import MeasureError
from pipeline.flow.context import texts
from pipeline.flow.recipe_jobs import jobs_of
from pipeline.measure import lengths, replay
from pipeline.measure.statistics import summarise
from pipeline.schema.timing import DecodeTiming, PrefillTiming, SkuTiming

BOOK = load.read(texts(Path(__file__).parents[2] / "recipes"))
TIMING = SkuTiming(
    sku="gb300-nvl72",
    overhead_s=15.0,
    prefill=(PrefillTiming(kind="DEP4", tok_s_gpu=14250.0), PrefillTiming(kind="TEP4", tok_s_gpu=14250.0)),
    decode=(
        DecodeTiming(kind="DEP8", step_ms=38.0, us_per_kv_ktoken=12.3, slope_of="DEP8"),
        DecodeTiming(kind="TP4", step_ms=13.0, us_per_kv_ktoken=59.0, slope_of="TP4"),
    ),
)


def setup(shape: str, staging: Path = Path()) -> replay.ReplaySettings:
    recipe = BOOK.recipes[f"deepseek-v4-pro-fp4.gb300-nvl72.8k1k.{shape}"]
    (job,) = (job for job in jobs_of(BOOK, BOOK.catalogue.clusters["laptop"], ()) if job.id == recipe.id)
    return replay.ReplaySettings(
        job, BOOK.catalogue.skus[recipe.sku], TIMING, requests_per_conc=10, seed=0, staging=staging
    )


def test_lengths_are_uniform_between_four_fifths_and_the_whole():
    recipe = setup("6p1d-dep4-dep8").job.recipe
    inputs, outputs = lengths.draw(recipe.workload, recipe.client, requests=40_960, seed=0)
    assert (inputs.min(), inputs.max()) == (6553, 8192)
    assert (outputs.min(), outputs.max()) == (819, 1024)
    assert inputs.mean() == pytest.approx(0.9 * 8192, rel=0.002)
    assert inputs[:3].tolist() == [7237, 7112, 7769]


def test_another_seed_draws_other_lengths():
    recipe = setup("6p1d-dep4-dep8").job.recipe
    first, again, other = (
        lengths.draw(recipe.workload, recipe.client, requests=50, seed=seed)[0].tolist() for seed in (3, 3, 4)
    )
    assert first == again != other


def test_a_trace_shares_no_prefix():
    lines = [json.loads(line) for line in lengths.trace(np.array([1000, 500]), np.array([10, 20]), block=512)]
    assert [line["hash_ids"] for line in lines] == [[0, 1], [2]]
    assert [(line["input_length"], line["output_length"], line["timestamp"]) for line in lines] == [
        (1000, 10, 0),
        (500, 20, 0),
    ]


def test_statistics_withhold_p99_below_662_requests():
    assert summarise([3.0, 1.0, 2.0]).model_dump() == {
        "n": 3,
        "mean": 2.0,
        "p50": 2.0,
        "p90": pytest.approx(2.8),
        "p99": None,
    }
    assert summarise(range(661)).p99 is None
    assert summarise(range(662)).p99 == pytest.approx(0.99 * 661)
    assert summarise([]).mean is None


def test_a_worker_is_told_what_the_recipe_says(tmp_path):
    told = replay.worker("decode", setup("6p1d-dep4-dep8", tmp_path), 512)
    assert (told["max_num_seqs"], told["max_num_batched_tokens"], told["block_size"]) == (512, 8192, 256)
    assert told["num_gpu_blocks"] == 80030
    assert told["enable_prefix_caching"] is False
    prefill = replay.worker("prefill", setup("6p1d-dep4-dep8", tmp_path), 1)
    assert (prefill["max_num_batched_tokens"], prefill["num_gpu_blocks"]) == (16384, 15174)


def test_a_kv_cache_of_unknown_size_is_refused_with_what_is_unknown(tmp_path):
    settings = setup("6p1d-dep4-dep8", tmp_path)
    unknown = {"kv_bytes_per_token": None, "kv_bytes_per_sequence": None, "unknown": ("kv-cache-dtype",)}
    hbm = tuple(one.model_copy(update=unknown) for one in settings.job.hbm)
    with pytest.raises(MeasureError, match="size of decode is unknown: kv-cache-dtype") as caught:
        simulated.arguments(settings.job.model_copy(update={"hbm": hbm}), "decode", settings.sku, sequences=1)
    assert "python -m pipeline fit deepseek-v4-pro-fp4" in caught.value.hint


def test_an_accepted_deployment_without_kv_cache_is_refused_in_virtual_time_only(tmp_path):
    settings = setup("6p1d-dep4-dep8", tmp_path)
    hbm = tuple(one.model_copy(update={"routed_gb": 500.0, "accepted": "x"}) for one in settings.job.hbm)
    assert not any(one.stops for one in hbm)
    with pytest.raises(MeasureError, match="decode has KV cache for 0 tokens") as caught:
        simulated.arguments(settings.job.model_copy(update={"hbm": hbm}), "decode", settings.sku, sequences=1)
    assert "names what would fit" in caught.value.hint


def test_the_timing_table_says_the_parameters(tmp_path):
    with np.load(replay.table("decode", setup("6p1d-dep4-dep8").job.recipe, TIMING, tmp_path)) as table:
        assert np.interp(
            1_000_000, table["decode_active_kv_tokens"], table["decode_itl"][:, 0]
        ) == pytest.approx(38.0 + 12.3)
        assert {array.dtype.name for array in table.values()} == {"float64"}
    with np.load(replay.table("prefill", setup("1p17d-tep4-tp4").job.recipe, TIMING, tmp_path)) as table:
        assert np.interp(57_000, table["prefill_isl"], table["prefill_ttft_ms"]) == pytest.approx(1000.0)


def test_a_step_reads_the_kv_of_sequences_that_have_a_place_and_no_more(tmp_path):
    with np.load(replay.table("decode", setup("6p1d-dep4-dep8").job.recipe, TIMING, tmp_path)) as table:
        full = 512 * 0.9 * (8192 + 1024 / 2)
        at = np.interp(
            [full / 2, full, 2 * full], table["decode_active_kv_tokens"], table["decode_itl"][:, 0]
        )
    assert at == pytest.approx([38.0 + 12.3 * full / 2e6, 38.0 + 12.3 * full / 1e6, 38.0 + 12.3 * full / 1e6])


def test_the_step_table_ascends_for_any_length():
    recipe = setup("6p1d-dep4-dep8").job.recipe
    long = recipe.model_copy(update={"workload": recipe.workload.model_copy(update={"isl": 131072})})
    resident = simulated.table("decode", long, TIMING)["decode_active_kv_tokens"]
    assert resident == sorted(set(resident))


def test_a_worker_kind_without_timing_is_refused_by_name(tmp_path):
    with pytest.raises(MeasureError, match="no timing for decode workers DEP16") as caught:
        replay.table("decode", setup("7p2d-dep4-dep16").job.recipe, TIMING, tmp_path)
    assert "DEP8, TP4" in caught.value.hint


def test_prompts_go_one_by_one_unless_the_queue_never_empties():
    assert replay.prompts_at_once(setup("6p1d-dep4-dep8"), 4096) == 8
    assert replay.prompts_at_once(setup("6p1d-dep4-dep8"), 256) == 1
    assert replay.prompts_at_once(setup("1p6d-dep4-tp4"), 192) == 1


def test_equal_runs_keep_equal_bytes(tmp_path):
    lines = [
        b'{"session_id":"request_%d","uuid":"%d","ttft_ms":1.5}' % (n, salt) for n, salt in ((10, 1), (2, 2))
    ]
    for name, order in (
        ("a", lines),
        ("b", [line.replace(b'"uuid":"', b'"uuid":"f') for line in reversed(lines)]),
    ):
        (tmp_path / name).write_bytes(b"\n".join(order) + b"\n")
    kept = [replay.keep(tmp_path / name, tmp_path / f"{name}-raw" / "r.gz")[0].sha256 for name in ("a", "b")]
    assert kept[0] == kept[1]
    assert [
        json.loads(line)["session_id"]
        for line in gzip.decompress((tmp_path / "a-raw/r.gz").read_bytes()).splitlines()
    ] == [
        "request_2",
        "request_10",
    ]


def test_a_native_call_is_run_beside_the_main_thread_and_its_failure_raised():
    assert replay.beside_main_thread(lambda: {"value": time.monotonic()})["value"] > 0
    with pytest.raises(MeasureError, match="replay failed: from inside"):
        replay.beside_main_thread(fail)


def fail():
    raise ValueError("from inside")


def test_identities_hold_what_a_replay_depends_on():
    one = setup("6p1d-dep4-dep8").job
    assert planning.identity(one) != planning.identity(
        one.model_copy(update={"environment": {**one.environment, "timing": "x"}})
    )
