"""What a report says of its racks beyond their curves, held against figures worked out by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.analyse import analyse, newest
from pipeline.analyse.confounders import confounders
from pipeline.analyse.curves import UNREACHABLE
from pipeline.analyse.paper import exchange, radar
from pipeline.analyse.shapes import shape_rows
from pipeline.render import render
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Report, ReportData, SkuComparison
from pipeline.schema.sku_comparison import (
    Confounder,
    ExchangeAssumptions,
    FitAssumptions,
    SkuComparisonDefinition,
)
from tests.fakes.rows import GB200, GB300, definition, pool, recipe, report_data, row, sku

KEPT = Path(__file__).parents[2] / "reports" / "gb300-vs-gb200" / "data.json"


@pytest.fixture(scope="module")
def kept() -> Report:
    return analyse(ReportData.from_json(KEPT.read_bytes(), where=str(KEPT)))


@pytest.fixture(scope="module")
def found(kept: Report) -> SkuComparison:
    assert kept.comparison is not None
    return kept.comparison


def assumed(**changed: Any) -> SkuComparisonDefinition:
    fields: dict[str, Any] = {
        "fit": FitAssumptions(
            shapes=("DEP4", "DEP8"), utilisation=0.9, prefill_tokens=16384, decode_tokens=512
        ),
        "exchange": ExchangeAssumptions(
            ep=(8,), tokens_per_rank=256, dispatch_bytes=1.0, combine_bytes=2.0, scaleout_gb_s=50.0
        ),
        "level_within": 0.05,
        "ttft_limit_s": 10.0,
        "price_span": 0.2,
    }
    return SkuComparisonDefinition(**{**fields, **changed})


def compared(*rows: HistoryRow, **changed: Any) -> SkuComparison:
    asked = definition(comparison=assumed(), **changed)
    comparison = analyse(report_data(*rows, definition=asked)).comparison
    assert comparison is not None
    return comparison


def night(**of_fast: Any) -> tuple[HistoryRow, ...]:
    fast, wide = recipe("6p1d-dep4-dep8"), recipe("7p2d-dep4-dep16", conc=(3072,))
    old, few = recipe("3p1d-dep8-dep8", sku=GB200), recipe("1p4d-dep8-tp8", sku=GB200, conc=(256,))
    gb300 = (
        row(fast, 4096, (11_000.0, 13.0), ttft_s=27.0, **of_fast),
        row(wide, 3072, (6_800.0, 26.0), ttft_s=9.0),
    )
    return (*gb300, row(old, 4096, (8_900.0, 15.0), ttft_s=64.0), row(few, 256, (1_600.0, 32.0), ttft_s=1.0))


def test_room_for_kv_is_what_the_memory_model_says(found: SkuComparison) -> None:
    rooms = {
        r.shape.code: [(round(cell.decode_room_gb, 1), cell.decode_sequences, cell.fits) for cell in r.cells]
        for r in found.shapes
    }
    assert list(rooms) == ["TP4", "TEP4", "DEP4", "TP8", "DEP8", "DEP12", "DEP16"]
    assert rooms == {
        "TP4": [(-43.6, 0, False), (45.8, 618, True)],
        "TEP4": [(-43.6, 0, False), (45.8, 618, True)],
        "DEP4": [(-62.6, 0, False), (26.8, 361, True)],
        "TP8": [(62.3, 841, True), (151.7, 2048, True)],
        "DEP8": [(40.1, 541, True), (129.5, 1748, True)],
        "DEP12": [(74.3, 1002, True), (163.7, 2210, True)],
        "DEP16": [(91.3, 1233, True), (180.7, 2440, True)],
    }


def test_the_smallest_replica_is_named_with_what_keeps_smaller_ones_out(found: SkuComparison) -> None:
    gb200, gb300 = found.shape_findings
    assert (gb200.sku, gb200.gpus, [shape.code for shape in gb200.smallest]) == (GB200, 8, ["TP8", "DEP8"])
    assert [shape.code for shape in gb200.not_fitting] == ["TP4", "TEP4", "DEP4"]
    assert gb200.weights_share == pytest.approx(1.084, abs=1e-3)
    assert (gb300.sku, gb300.gpus, gb300.not_fitting, gb300.weights_share) == (GB300, 4, (), None)


def test_shapes_are_sorted_by_width_whatever_the_order_of_the_fits(kept: Report) -> None:
    fits = ReportData.from_json(KEPT.read_bytes(), where="kept").fits
    codes = [row.shape.code for row in shape_rows(fits[::-1], [GB200, GB300])]
    assert codes == ["TP4", "TEP4", "DEP4", "TP8", "DEP8", "DEP12", "DEP16"]


def test_experts_and_their_exchange(found: SkuComparison) -> None:
    assert [(one.ep, one.experts_per_gpu) for one in found.exchange] == [(4, 96), (8, 48), (16, 24)]
    at_8 = found.exchange[1]
    assert at_8.mb_per_token == pytest.approx(61 * 6 * 7168 * 3 * 7 / 8 / 1e6)
    assert at_8.scaleup_ms == pytest.approx((1.95887, 1.95887), rel=1e-5)
    assert at_8.scaleout_ms / at_8.scaleup_ms[0] == pytest.approx(18)


def test_ceilings_divide_each_resource_by_the_price(found: SkuComparison) -> None:
    assert [(one.bound, one.tokens_per_dollar_ratio) for one in found.ceilings] == [
        ("compute", pytest.approx(1.25)),
        ("bandwidth", pytest.approx(1 / 1.2)),
        ("capacity", pytest.approx(1.25)),
        ("exchange", pytest.approx(1 / 1.2)),
    ]
    finding = found.ceiling_finding
    assert finding is not None
    assert (finding.ceiling, finding.read.at) == (pytest.approx(1.25), 27.0)
    assert finding.above == pytest.approx(finding.read.ratio / 1.25)


def test_the_radar_is_normalised_to_every_known_sku_and_names_ties(found: SkuComparison) -> None:
    by_spec = {axis.spec: axis for axis in found.radar}
    assert len(by_spec) == 8
    assert by_spec["hbm"].shares == (pytest.approx(2 / 3), 1.0)
    assert by_spec["hbm"].best == ("GB300 NVL72", "MI355X")
    assert max(share for axis in found.radar for share in axis.shares if share is not None) <= 1.0


def test_a_specification_that_a_sku_does_not_state_is_no_share() -> None:
    axes = radar([sku(GB200), sku(GB300).model_copy(update={"fp4_tflops": 15_000.0})], [])
    assert next(axis.shares for axis in axes if axis.spec == "fp4") == (None, 1.0)


def of(name: str, flags: dict[str, Any], env: dict[str, str], *, on: str = GB300) -> HistoryRow:
    pools = {role: pool("DEP8", 1, **flags).model_copy(update={"env": env}) for role in ("prefill", "decode")}
    made: Recipe = recipe(name, sku=on, **pools)
    return row(made, 4096, (1.0, 1.0))


def in_use(found: Confounder) -> list[list[tuple[str | None, int]]]:
    """Return every value with the number of recipes that have it, one list per SKU."""
    return [[(one.value, one.recipes) for one in values] for values in found.values]


def test_what_differs_beside_the_shape_is_said_once_with_who_has_it() -> None:
    rows = (
        of("1p1d-dep8-dep8", {"max-num-seqs": 16}, {"UCX_TLS": "tcp"}, on=GB200),
        of("1p1d-dep4-dep8", {"max-num-seqs": 16}, {}),
        of("2p1d-dep4-dep8", {"max-num-seqs": 256}, {}),
    )
    budget, variable = confounders(rows, (GB200, GB300))
    assert (budget.kind, budget.where, budget.field) == ("budget", "both", "max-num-seqs")
    assert in_use(budget) == [[("16", 1)], [("16", 1), ("256", 1)]]
    assert (variable.kind, in_use(variable)) == ("environment", [[("tcp", 1)], [(None, 2)]])


def test_equal_settings_are_no_confounder() -> None:
    same = {"max-num-seqs": 16, "attention-config": {"use_fp4_indexer_cache": True}}
    assert (
        confounders(
            (of("1p1d-dep8-dep8", same, {}, on=GB200), of("4p1d-dep4-dep8", same, {})), (GB200, GB300)
        )
        == ()
    )


def test_values_in_other_proportions_are_a_confounder() -> None:
    old = [of(f"{n}p1d-dep8-dep8", {"moe-backend": "a" if n < 3 else "b"}, {}, on=GB200) for n in (1, 2, 3)]
    new = [of(f"{n}p1d-dep4-dep8", {"moe-backend": "a" if n < 2 else "b"}, {}) for n in (1, 2, 3)]
    (one,) = confounders((*old, *new), (GB200, GB300))
    assert in_use(one) == [[("a", 2), ("b", 1)], [("b", 2), ("a", 1)]]


def test_the_confounders_of_the_study_are_found_in_its_recipes(found: SkuComparison) -> None:
    by_field = {(one.where, one.field): in_use(one) for one in found.confounders}
    assert by_field["prefill", "max-num-batched-tokens"] == [[("32768", 5)], [("16384", 6)]]
    assert by_field["prefill", "gpu-memory-utilization"] == [[("0.95", 3), ("0.8", 2)], [("0.9", 6)]]
    assert by_field["both", "UCX_TLS"] == [[("cuda_copy,cuda_ipc,tcp", 5)], [(None, 6)]]


def test_at_the_break_even_premium_both_cost_the_same() -> None:
    (one,) = compared(*night(), interactivity=(20.0,)).what_if
    assert one.as_given is not None
    assert one.break_even is not None
    assert one.as_given * (2.652 / 2.21) / one.break_even == pytest.approx(1)
    assert (one.dearer, one.cheaper) == (pytest.approx(one.as_given / 1.2), pytest.approx(one.as_given / 0.8))


def test_held_gpus_are_paid_on_both_sides() -> None:
    (at_26,) = compared(*night(), interactivity=(26.0,)).what_if
    assert at_26.as_given is not None
    assert at_26.held is not None
    assert at_26.held != pytest.approx(at_26.as_given)


def test_a_promise_of_a_first_token_is_kept_by_points_and_never_read_between_them() -> None:
    rows = {
        one.interactivity: one.cells for one in compared(*night(), interactivity=(10.0, 26.0, 27.0, 33.0)).slo
    }
    assert [cell.shape for cell in rows[10.0]] == ["1P4D DEP8/TP8 c256", "7P2D DEP4/DEP16 c3072"]
    assert rows[26.0][1].total_tok_s_gpu == pytest.approx(6_800.0)
    assert rows[27.0][1] == UNREACHABLE
    assert rows[33.0] == (UNREACHABLE, UNREACHABLE)


def test_without_a_promise_of_comparison_there_is_no_section() -> None:
    report = analyse(report_data(*night()))
    assert (report.comparison, report.studies) == (None, ())


def test_the_kept_answer_names_no_winner_where_both_curves_are_far_from_a_knot(kept: Report) -> None:
    assert kept.answer is not None
    assert [(one.winner, one.low, one.high) for one in kept.answer.ranges] == [
        ("last", 22, 32),
        ("level", 16, 20),
        ("direction_only", 36, 50),
    ]


def test_the_kept_answer_within_the_limit_carries_the_ranges_without_a_point(found: SkuComparison) -> None:
    assert found.slo_answer is not None
    assert [(one.sku, one.low, one.high) for one in found.slo_answer.uncovered] == [
        (GB200, pytest.approx(33.68, abs=0.005), pytest.approx(73.29, abs=0.005)),
        (GB300, None, pytest.approx(36.72, abs=0.005)),
        (GB300, pytest.approx(36.72, abs=0.005), pytest.approx(73.36, abs=0.005)),
    ]
    assert [(one.sku, one.within, one.points) for one in found.slo_points] == [(GB200, 4, 8), (GB300, 2, 6)]


def test_the_largest_ratio_has_a_peak_between_grid_points_apart_from_the_end_of_the_range(
    kept: Report,
) -> None:
    found = kept.largest_ratio
    assert found is not None
    places = [found.throughput, *found.ends, found.local_peak, found.range_end]
    assert [(round(one.at, 2), round(one.ratio, 2), one.directional) for one in places if one] == [
        (27, 3.05, True),
        (16, 1.18, False),
        (50, 1.12, True),
        (26.62, 3.06, True),
        (73.29, 4.08, True),
    ]


def test_a_study_that_favours_the_other_sku_is_a_disagreement(kept: Report) -> None:
    finding = kept.studies[0].finding
    assert finding is not None
    assert [round(one.ratio, 2) for one in (finding.theirs, finding.ours)] == [2.81, 3.05]
    (one,) = finding.disagreements
    assert (one.at, round(one.theirs.ratio, 2), round(one.ours.ratio, 2)) == (50, 1.17, 0.93)


def test_an_exchange_is_held_against_the_tokens_of_the_step_that_ran(found: SkuComparison) -> None:
    assert [(one.ep, one.step_tokens) for one in found.exchange] == [(4, None), (8, 32), (16, 96)]
    finding = found.exchange_finding
    assert finding is not None
    assert (finding.collectives, finding.ep, finding.tokens_per_rank) == (122, 16, 96)
    assert finding.scaleup_ms == pytest.approx(96 / 256 * found.exchange[2].scaleup_ms[0])


def test_a_step_never_holds_more_tokens_than_are_assumed() -> None:
    pool_, on = pool("DEP8", 1), compared(*night(), interactivity=(20.0,))
    assert on.exchange == ()  # no LLM, no experts
    llm = next(iter(ReportData.from_json(KEPT.read_bytes(), where="kept").llms.values()))
    report = analyse(report_data(*night()))
    (one,) = exchange([sku(GB300)], llm, assumed().exchange, [(report.curves[0].points[0], pool_)])
    assert (report.curves[0].points[0].conc, one.step_tokens) == (4096, 256)


def test_experts_beyond_a_domain_have_no_time_inside_it() -> None:
    llm = next(iter(ReportData.from_json(KEPT.read_bytes(), where="kept").llms.values()))
    (one,) = exchange(
        [sku(GB200), sku(GB300).model_copy(update={"domain_gpus": 4})], llm, assumed().exchange, []
    )
    assert (one.scaleup_ms[0] is None, one.scaleup_ms[1], one.step_ms) == (False, None, None)


def with_sku(new: str, *, at: int) -> Report:
    """The kept report with another SKU whose usable memory nobody recorded."""
    data = ReportData.from_json(KEPT.read_bytes(), where="kept")
    skus = list(data.definition.skus[:at])
    more = sku(new).model_copy(update={"domain_gpus": 8})
    asked = data.definition.model_copy(update={"skus": (*skus, new)})
    fits = tuple(fit for fit in data.fits if fit.sku in skus)
    rows = tuple(one for one in data.rows if one.record.job.recipe.sku in skus)
    changed = {"definition": asked, "skus": {**data.skus, new: more}, "fits": fits, "rows": rows}
    return analyse(data.model_copy(update=changed))


@pytest.mark.parametrize("at", [1, 2])
def test_a_sku_without_usable_memory_is_said_to_have_none_and_the_page_stands(at: int) -> None:
    page = render(with_sku("b200-sxm", at=at))["README.md"].decode()
    assert "Memory of B200-SXM NVL72: usable size not recorded." in page
    assert "_wider than the domain_" in page
    for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in table.splitlines()}
        assert len(widths) == 1, table
        assert widths.pop() <= 8, table


def test_what_is_read_between_far_knots_is_marked_wherever_it_stands(kept: Report) -> None:
    page = render(kept)["README.md"].decode()
    assert "| 50 | ≈ 831 | ≈ **929** | ≈ 1.12× | ≈ **0.739** | ≈ 0.793 | ≈ 0.93× |" in page
    assert "| 50 | ≈ 1.4 | 1P4D DEP8/TP8 c256 | ≈ **0.9** | 1P6D DEP4/TP4 c192 |" in page
    assert "| 50 | ≈ 0.93× | ≈ 0.78× | ≈ 1.16× | ≈ 0.91× | ≈ +12 % |" in page
    assert "| 50 | ≈ 664 | ≈ 831 | ≈ 933 | ≈ 929 | ≈ 1.41× | ≈ 1.12× |" in page
    assert "measured 2026-05-22" not in page


def test_a_study_stands_beside_our_points_of_the_same_recipe_and_concurrency(kept: Report) -> None:
    (section,) = kept.studies
    assert len(section.points) == 14
    ours = {
        (point.recipe, point.conc): point.total_tok_s_gpu
        for point in kept.curves[0].points + kept.curves[1].points
    }
    for theirs, stated in zip(section.points, section.study.rows, strict=True):
        assert stated.recipe is not None
        assert theirs.ours_tok_s_gpu == ours[stated.recipe, stated.conc]


def test_published_points_never_enter_the_tables_that_are_read(kept: Report) -> None:
    origins = [curve.origin for curve in kept.curves]
    assert origins == ["simulated", "simulated", "published", "published"]
    only_ours = analyse(
        ReportData.from_json(KEPT.read_bytes(), where="kept").model_copy(update={"studies": ()})
    )
    assert (kept.iso, kept.verdict, kept.run, kept.answer) == (
        only_ours.iso,
        only_ours.verdict,
        only_ours.run,
        only_ours.answer,
    )


def test_a_reduced_request_count_stands_beside_no_published_figure() -> None:
    data = ReportData.from_json(KEPT.read_bytes(), where="kept")
    rows = []
    for one in data.rows:
        provenance = one.record.provenance.model_copy(update={"requests_per_conc": 1})
        rows.append(
            one.model_copy(update={"record": one.record.model_copy(update={"provenance": provenance})})
        )
    report = analyse(data.model_copy(update={"rows": tuple(rows)}))
    (section,) = report.studies
    assert {curve.origin for curve in report.curves} == {"simulated"}
    assert (section.beside, {point.ours_tok_s_gpu for point in section.points}) == ((), {None})
    assert section.finding is None


def test_the_printed_table_is_read_again_the_way_the_study_did(kept: Report) -> None:
    (section,) = kept.studies
    at_27 = next(
        again for printed, again in zip(section.printed, section.again, strict=True) if printed.label == "27"
    )
    assert at_27.interactivity == 27.25
    assert at_27.throughput_ratio == pytest.approx(2.8235, abs=1e-4)
    assert section.again[-1].cells[0].usd_per_mtok == pytest.approx(
        4.7811, abs=1e-4
    )  # cost splined apart: 0.95 by its own throughput


def test_the_study_is_checked_in_the_report(kept: Report) -> None:
    (section,) = kept.studies
    counts = section.counts
    assert (counts.wrong_figures, counts.wrong_claims, counts.right_claims) == (16, 18, 8)
    assert (counts.edges, counts.notes) == (1, 12)


def test_a_night_of_refused_points_hides_no_good_one_of_the_same_recipe() -> None:
    shape, torn = recipe(), ("drift: slower",)
    good = row(shape, 4, (100.0, 50.0), run="1")
    refused = row(shape, 4, (200.0, 50.0), run="2", reasons=torn)
    assert newest([good, refused]) == (good,)
    assert newest([row(shape, 4, (90.0, 50.0), run="0", reasons=torn), refused]) == (refused,)
    assert newest([good, row(shape, 4, run="3", failure="node died")]) == (good,)
