"""A simulated point outside of the range of its fit is extrapolated: shown, marked, and trusted by nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import analyse, calibrate, load, render, store
from pipeline.analyse.curves import Frontier
from pipeline.analyse.drift import drift
from pipeline.deployment.timing_range import covered, extrapolations, union
from pipeline.deployment.timings import sku_timing
from pipeline.errors import RecipeError
from pipeline.flow.calibration_replays import draw_lengths
from pipeline.flow.context import texts
from pipeline.flow.published import points_of
from pipeline.measure.observation import Observation
from pipeline.measure.points import point
from pipeline.measure.requests import Request
from pipeline.schema.timing import DecodeTiming, Extrapolation, PrefillTiming, Range, SkuTiming, Timing
from tests.fakes import recipe_set as small
from tests.fakes import results, rows
from tests.fakes.rows import GB300

BOOK = load.read(texts(Path(__file__).parents[2] / "recipes"))
RECIPE = load.read(small.texts()).recipes[small.ID]
PREFILL = {"input tokens": Range(low=6553.6, high=8192.0), "prompts per pass": Range(low=2.0, high=4.5)}
DECODE = {"context tokens": Range(low=6553.6, high=9216.0), "sequences per rank": Range(low=0.4, high=60.0)}


def timing(prefill=PREFILL, decode=DECODE) -> SkuTiming:
    return SkuTiming(
        sku="tiny-2x4",
        overhead_s=1.0,
        prefill=(PrefillTiming(kind="DEP4", tok_s_gpu=10000.0, fitted=prefill),),
        decode=(
            DecodeTiming(kind="DEP8", step_ms=20.0, us_per_kv_ktoken=4.0, slope_of="DEP8", fitted=decode),
        ),
    )


def changed(flags: dict[str, int] | None = None, **workload: int):
    pool = RECIPE.prefill.model_copy(update={"flags": {**RECIPE.prefill.flags, **(flags or {})}})
    lengths = RECIPE.workload.model_copy(update=workload)
    return RECIPE.model_copy(update={"prefill": pool, "workload": lengths})


def test_what_was_fitted_is_inside():
    assert extrapolations(RECIPE, timing(), 5.0) == ()


@pytest.mark.parametrize(
    ("recipe", "sequences", "axes"),
    [
        (
            changed(isl=1024),
            None,
            {"input tokens": 0.125, "prompts per pass": 16 / 4.5, "context tokens": 0.125},
        ),
        (changed(osl=2048), None, {"context tokens": 10240 / 9216}),
        (changed({"max-num-batched-tokens": 65536}), None, {"prompts per pass": 65536 / 7372.8 / 4.5}),
        (changed({"max-num-seqs": 1}), None, {"prompts per pass": 0.5}),
        (RECIPE, 120.0, {"sequences per rank": 2.0}),
        (RECIPE, 0.1, {"sequences per rank": 0.25}),
        (RECIPE, 62.0, {}),  # within the margin
    ],
)
def test_each_quantity_outside_of_its_range_is_named_with_its_factor(recipe, sequences, axes):
    found = extrapolations(recipe, timing(), sequences)
    assert {one.axis: one.factor for one in found} == pytest.approx(axes)


def test_a_document_without_ranges_says_nothing_of_them():
    assert extrapolations(changed(isl=1024), timing({}, {}), 500.0) == ()


def test_the_range_of_a_worker_kind_holds_all_of_its_points():
    lower, upper = covered(RECIPE, "decode", 3.0), covered(changed(osl=2048), "decode", 50.0)
    assert union([lower, upper]) == {
        "context tokens": Range(low=6553.6, high=10240.0),
        "sequences per rank": Range(low=3.0, high=50.0),
    }


def loop(requests_per_conc: int = 10) -> Observation:
    """A closed loop of 8 requests of 10 s, of which 2 s are prefill."""
    count = 8 * requests_per_conc
    requests = tuple(
        Request(10.0 * (n // 8), 10.0 * (n // 8) + 10.0, ttft_ms=2000.0, asked=1024, output=1024, input=8192)
        for n in range(count)
    )
    return Observation(8, count, requests, cut_streams=0, migrations=0, clock_step_s=0.0)


def measured(known: SkuTiming | None, recipe=RECIPE, requests_per_conc: int = 10):
    sku = load.read(small.texts()).catalogue.skus["tiny-2x4"]
    return point(recipe, sku, loop(requests_per_conc), duration_s=100.0, timing=known)


def test_a_point_counts_the_sequences_that_its_decode_ranks_run():
    found = measured(timing())
    assert found.decode_sequences == pytest.approx(0.8 * 8 / 8, rel=0.03)
    assert (found.status, found.extrapolated) == ("ok", ())


def test_a_point_outside_of_the_range_is_extrapolated():
    found = measured(timing(), changed(isl=1024))
    assert found.status == "extrapolated"
    assert {one.axis for one in found.extrapolated} == {"input tokens", "prompts per pass", "context tokens"}


def test_what_is_measured_on_hardware_is_never_extrapolated():
    assert measured(None, changed(isl=1024)).status == "ok"


def test_a_point_whose_range_is_not_known_says_so():
    assert any(
        "does not state what it was fitted to" in text for text in measured(timing({}, {})).not_evaluated
    )
    short = measured(timing(), requests_per_conc=1)
    assert any("sequences per rank are unknown" in text for text in short.not_evaluated)


BEYOND = (Extrapolation(role="prefill", axis="input tokens", value=819.0, fitted=PREFILL["input tokens"]),)


def beyond(of, conc: int, figures: tuple[float, float], **more):
    made = rows.row(of, conc, figures, **more)
    outside = made.point.model_copy(update={"status": "extrapolated", "extrapolated": BEYOND})
    return made.model_copy(update={"point": outside})


def report_of(*current, previous=()):
    return analyse.analyse(rows.report_data(*current, previous=tuple(previous)))


def test_an_extrapolated_point_is_on_no_frontier_and_in_no_headline():
    one, two = rows.recipe("6p1d-dep4-dep8"), rows.recipe("1p6d-dep4-tp4", conc=(192,))
    found = report_of(rows.row(one, 4096, (9000.0, 15.0)), beyond(two, 192, (99000.0, 40.0), ttft_s=500.0))
    (curve,) = found.curves
    assert [point.conc for point in Frontier.of(curve).points] == [4096]
    assert found.long_waits is None
    assert (found.caveats.extrapolated.count, found.caveats.extrapolated.points) == (1, 2)
    assert found.caveats.extrapolated.axes == ("input tokens",)
    assert all(row.state == "ran" for row in found.coverage)


def test_an_extrapolated_point_has_no_verdict_and_says_why():
    one = rows.recipe("6p1d-dep4-dep8")
    for now, before, side in (
        (beyond(one, 4096, (9000.0, 15.0)), rows.row(one, 4096, (8000.0, 15.0), run="100"), "now"),
        (rows.row(one, 4096, (9000.0, 15.0)), beyond(one, 4096, (8000.0, 15.0), run="100"), "before"),
    ):
        (change,) = report_of(now, previous=[before]).changes
        assert (change.verdict, change.reason.kind, change.reason.side) == ("unknown", "extrapolated", side)
        assert change.reason.extrapolated == BEYOND
        assert change.tok_s_gpu_change is change.interactivity_change is change.ttft_p50_change is None


def test_pages_mark_an_extrapolated_point_in_text_and_chart():
    one = rows.recipe("6p1d-dep4-dep8")
    files = render.render(report_of(beyond(one, 4096, (9000.0, 15.0))))
    page = files["README.md"].decode()
    assert "extrapolated: prefill input tokens 819 (fitted 6,554 to 8,192: factor 0.12)" in page
    assert "1 of 1 points are outside of the range that the timing was fitted to (input tokens)" in page
    assert b"c4096 (extrapolated)" in files["pareto.svg"]
    assert b"c4096 (extrapolated)" in files["ttft.svg"]


def test_an_extrapolated_point_is_stored_and_never_hides_one_of_an_earlier_attempt(tmp_path):
    first = results.result_folder(run="101")
    again = results.result_folder(run="101", attempt=2)
    outside = [
        one.model_copy(update={"status": "extrapolated", "extrapolated": BEYOND, "reasons": ()})
        for one in again.points
    ]
    store.ingest(str(tmp_path), [first, again.model_copy(update={"points": tuple(outside)})])
    shown = store.query(str(tmp_path), "SELECT conc, attempt, status FROM points ORDER BY conc, attempt")
    assert {"extrapolated"} == {row["status"] for row in shown if row["attempt"] == 2}
    kept = {row.conc: (row.run[1], row.point.status) for row in store.rows(str(tmp_path))}
    assert kept == {one.conc: (1, "ok") for one in first.points}


def test_an_earlier_run_with_nothing_but_extrapolated_points_is_the_previous_run(tmp_path):
    """A report then says why the two are not compared, and not that there is no earlier run."""
    first, second = (
        results.result_folder(run=run, started_at=f"2026-06-{run}T02:00:00+00:00") for run in ("01", "02")
    )
    outside = [
        one.model_copy(update={"status": "extrapolated", "extrapolated": BEYOND, "reasons": ()})
        for one in first.points
    ]
    store.ingest(str(tmp_path), [first.model_copy(update={"points": tuple(outside)}), second])
    _, previous = store.latest(str(tmp_path), {first.record.job.recipe.id: ()})
    assert {row.run[0] for row in previous} == {"01"}


def test_drift_also_covers_extrapolated_points():
    one = rows.recipe("6p1d-dep4-dep8")
    kept, new = (rows.report_data(beyond(one, 4096, (speed, 15.0))) for speed in (9000.0, 9900.0))
    assert [moved.figure for moved in drift(kept, new, tolerance=0.005)] == ["total_tok_s_gpu"]


def test_the_smoke_recipes_are_extrapolated_from_the_timing_of_long_prompts():
    smoke = next(one for name, one in BOOK.recipes.items() if one.purpose == "smoke" and one.sku == GB300)
    cluster = BOOK.catalogue.clusters["local-live"]
    root = Path(__file__).parents[2] / "recipes"
    documents = [Timing.from_json((root / name).read_bytes(), where=name) for name in cluster.timings]
    found = {one.axis: one.factor for one in extrapolations(smoke, sku_timing(documents, smoke))}
    assert found["input tokens"] == pytest.approx(0.125)
    assert found["context tokens"] == pytest.approx(0.125)


GIVEN = "deepseek-v4-pro,fp4,GB200 NVL72,8192,1024,256,3148.0,41.23,1,1,8,8,1,1,8,8"


def paired(text: str, recipes=None):
    points = points_of(f"{','.join(calibrate.points.COLUMNS)}\n{text}\n", where="points.csv")
    known = (recipes or BOOK.recipes).values()
    return calibrate.match(points, known, BOOK.catalogue, draw_lengths, where="points.csv")


def test_a_given_point_is_paired_with_the_recipe_of_its_llm_precision_workload_and_shape():
    (row,) = paired(GIVEN)
    assert row.recipe.id == "deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-dep8"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("deepseek-v4-pro,fp4", "deepseek-r1,fp4"),
        (",fp4,", ",fp8,"),
        (",8192,1024,", ",1024,1024,"),
        (",8192,1024,", ",8192,128,"),
        (",256,", ",257,"),
    ],
)
def test_a_given_point_of_anything_else_has_no_recipe(was, now):
    with pytest.raises(RecipeError) as caught:
        paired(GIVEN.replace(was, now, 1))
    (problem,) = caught.value.problems
    assert (problem.line, problem.what.startswith("no recipe deploys")) == (2, True)


def test_two_recipes_of_one_point_are_named():
    recipe = BOOK.recipes["deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-dep8"]
    twin = recipe.model_copy(update={"id": f"{recipe.id}-twin"})
    with pytest.raises(RecipeError) as caught:
        paired(GIVEN, {recipe.id: recipe, twin.id: twin})
    (problem,) = caught.value.problems
    assert problem.what.startswith("several recipes deploy")
    assert twin.id in problem.hint


def test_points_of_two_llms_are_not_fitted_together():
    with pytest.raises(RecipeError) as caught:
        paired(f"{GIVEN}\n{GIVEN.replace('deepseek-v4-pro', 'deepseek-r1')}")
    assert any(
        "deepseek-r1 in fp4 beside deepseek-v4-pro in fp4" in one.what for one in caught.value.problems
    )
