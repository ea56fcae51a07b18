"""The analysis puts the verdict first and never mixes what may not be mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse import analyse
from pipeline.errors import ArtifactError
from pipeline.render.evidence import coverage, runs
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.findings import PointName, ReadRatio
from pipeline.schema.history import HistoryRow
from pipeline.schema.reasons import CoverageProblem
from pipeline.schema.timing import PointError
from tests.fakes.rows import GB200, GB300, definition, hbm, recipe, report_data, row, sku, timing

FAST = recipe("6p1d-dep4-dep8")
WIDE = recipe("7p2d-dep4-dep16", conc=(3072,))
OLD = recipe("3p1d-dep8-dep8", sku=GB200)


def night(run: str, **changed: tuple[float, float]) -> tuple[HistoryRow, ...]:
    figures = {"fast": (11_000.0, 13.0), "wide": (6_800.0, 26.0), "old": (8_900.0, 15.0), **changed}
    rows = (
        row(FAST, 4096, figures["fast"], run=run, ttft_s=27.0),
        row(WIDE, 3072, figures["wide"], run=run, ttft_s=29.0),
    )
    return (*rows, row(OLD, 4096, figures["old"], run=run, ttft_s=64.0))


def test_a_run_without_a_change_counts_what_ran_and_what_it_was_compared_with() -> None:
    report = analyse(report_data(*night("101"), previous=night("100")))
    arrived, compared = report.run.completeness, report.run.compared
    assert (arrived.complete, arrived.deployments, arrived.points, arrived.planned_points) == (3, 3, 3, 3)
    assert (compared.points, compared.same, compared.runs, compared.example) == (3, 3, ("100",), None)
    assert (report.verdict, report.run.moved, report.runs) == ("same", None, ("101",))


def test_a_regression_is_named_first_with_its_cause() -> None:
    planted = recipe("6p1d-dep4-dep8", decode_flags={"max-num-seqs": 256})
    now = (row(planted, 4096, (8_822.0, 17.0), run="101"), *night("101", old=(8_000.0, 15.0))[1:])
    report = analyse(report_data(*now, previous=night("100")))
    moved = report.run.moved
    assert moved is not None
    assert (moved.sku, moved.conc, moved.tok_s_gpu_change) == (GB300, 4096, pytest.approx(-0.198))
    assert [diff.field for diff in moved.differs] == ["decode.flags.max-num-seqs"]
    assert (report.verdict, report.run.others_moved) == ("worse", 1)


def test_an_improvement_is_better_though_no_setting_differs() -> None:
    report = analyse(report_data(*night("101", wide=(7_480.0, 26.0)), previous=night("100")))
    moved = report.run.moved
    assert moved is not None
    assert (moved.conc, moved.tok_s_gpu_change, moved.differs) == (3072, pytest.approx(0.1), ())
    assert (report.verdict, report.run.others_moved) == ("better", 0)


def test_the_first_night_has_nothing_to_compare_with() -> None:
    report = analyse(report_data(*night("101")))
    assert (report.run.completeness.complete, report.run.compared.points) == (3, 0)
    assert (report.verdict, report.changes) == ("unknown", ())


def test_a_failure_is_never_a_pass() -> None:
    failed = (row(FAST, 4096, failure="worker died", run="101"), *night("101")[1:])
    report = analyse(report_data(*failed, previous=night("100")))
    assert report.verdict == "unknown"
    arrived, compared = report.run.completeness, report.run.compared
    assert [(gap.state, gap.count, gap.recipe) for gap in arrived.gaps] == [("failed", 1, FAST.id)]
    assert (arrived.complete, arrived.points, compared.same, compared.unknown) == (2, 2, 2, 1)
    assert [(found.state, found.problems) for found in report.coverage if found.recipe == FAST.id] == [
        ("failed", (CoverageProblem(conc=4096, kind="failed", error="worker died"),))
    ]
    assert "c4096 failed: worker died" in {cells[-1] for cells in coverage(report).rows}
    assert (report.caveats.incomplete, report.caveats.deployments) == (1, 3)


def test_a_gap_without_a_past_is_unknown_though_all_else_is_the_same() -> None:
    more = recipe("6p1d-dep4-dep8", conc=(512, 4096))
    now = (row(more, 4096, (11_000.0, 13.0), run="101"), *night("101")[1:])
    report = analyse(report_data(*now, previous=night("100")))
    assert {change.verdict for change in report.changes} == {"same"}
    assert report.verdict == "unknown"


def test_one_point_that_cannot_be_compared_is_unknown_though_everything_ran() -> None:
    then = (row(FAST, 4096, failure="worker died", run="100"), *night("100")[1:])
    report = analyse(report_data(*night("101"), previous=then))
    assert {found.state for found in report.coverage} == {"ran"}
    assert report.verdict == "unknown"


def test_a_deployment_that_never_arrived_is_missing() -> None:
    report = analyse(
        report_data(*night("101")[1:], planned=(FAST.id, WIDE.id, OLD.id), planned_skus={FAST.id: GB300})
    )
    arrived = report.run.completeness
    assert (arrived.complete, arrived.points, arrived.planned_points, arrived.is_lower_bound) == (
        2,
        2,
        2,
        True,
    )
    assert [gap.state for gap in arrived.gaps] == ["missing"]
    assert next((found.sku, found.state, found.planned_points) for found in report.coverage) == (
        GB300,
        "missing",
        None,
    )


def test_a_missing_recipe_whose_sku_nothing_states_is_unknown() -> None:
    report = analyse(report_data(*night("101")[1:], planned=(FAST.id, WIDE.id, OLD.id)))
    assert next((found.sku, found.state) for found in report.coverage) == ("unknown", "missing")


def test_half_a_deployment_has_not_run() -> None:
    two = recipe("6p1d-dep4-dep8", conc=(512, 4096))
    report = analyse(report_data(row(two, 4096, (1.0, 1.0))))
    (found,) = report.coverage
    assert (found.state, found.points, found.planned_points, found.problems) == (
        "missing",
        1,
        2,
        (CoverageProblem(conc=512, kind="missing"),),
    )


def test_what_ran_without_being_planned_is_said_and_not_counted() -> None:
    report = analyse(report_data(*night("101"), planned=(WIDE.id, OLD.id)))
    assert [found.state for found in report.coverage] == ["ran", "ran", "not in plan"]
    assert (report.run.completeness.deployments, report.run.completeness.points) == (2, 2)


def test_a_measured_night_ends_in_no_verdict() -> None:
    then, now = (
        row(FAST, 4096, (y, 13.0), run=run, origin="measured")
        for run, y in (("100", 11_000.0), ("101", 5_000.0))
    )
    report = analyse(report_data(now, previous=(then,)))
    compared = report.run.compared
    assert (compared.same, compared.unknown, compared.example) == (0, 1, report.changes[0])
    assert (report.verdict, report.origin, report.caveats.simulated) == ("unknown", "measured", None)


def test_two_origins_never_share_a_frontier() -> None:
    measured = row(
        WIDE, 3072, (9_000.0, 30.0), origin="measured", measure="aiperf"
    )  # would dominate the simulated one
    report = analyse(report_data(*night("101"), measured))
    assert [(curve.sku, curve.origin, len(curve.knots)) for curve in report.curves] == [
        (GB200, "simulated", 1),
        (GB300, "simulated", 2),
        (GB300, "measured", 1),
    ]
    assert [kind.origin for kind in report.caveats.kinds] == ["simulated", "measured"]


def test_reduced_runs_share_nothing_with_full_ones_and_carry_a_banner() -> None:
    reduced = row(WIDE, 3072, (9_000.0, 30.0), requests_per_conc=2)
    report = analyse(report_data(*night("101"), reduced))
    assert [len(curve.knots) for curve in report.curves] == [1, 2, 1]
    assert report.curves[-1].kind == CurveKind(
        origin="simulated", measure="replay", requests_per_conc=2, reduced_from=10
    )
    assert [(kind.requests_per_conc, kind.reduced_from) for kind in report.caveats.reduced] == [(2, 10)]


def test_a_refused_point_is_shown_and_never_a_knot() -> None:
    refused = row(FAST, 4096, (99_999.0, 99.0), reasons=("too few requests",))
    report = analyse(report_data(refused, row(WIDE, 3072, (6_800.0, 26.0))))
    (curve,) = report.curves
    assert [(point.status, point.is_knot) for point in curve.points] == [("ok", True), ("invalid", False)]


def test_equal_interactivity_reads_every_metric_on_the_knots_of_throughput() -> None:
    data = report_data(
        *night("101"), definition=definition(interactivity=(15.0, 19.5, 30.0), directional_gap=12.9)
    )
    at_15, between, outside = analyse(data).iso
    assert at_15.throughput_ratio == pytest.approx((11_000 - 4_200 * 2 / 13) / 8_900)
    assert between.cells[1].total_tok_s_gpu == pytest.approx(8_900)
    assert between.cells[1].ttft_p50_ms == pytest.approx(28_000)
    assert between.cells[1].usd_per_mtok == pytest.approx(2.652e6 / 3600 / 8_900)
    assert between.cells[1].directional
    assert (between.cells[0].total_tok_s_gpu, between.throughput_ratio, between.cost_ratio) == (
        None,
        None,
        None,
    )
    assert [cell.total_tok_s_gpu for cell in outside.cells] == [None, None]


def test_the_tables_read_the_kind_with_the_most_points() -> None:
    lone = row(WIDE, 3072, (9_000.0, 26.0), origin="measured", measure="aiperf")
    report = analyse(report_data(*night("101"), lone, definition=definition(interactivity=(26.0,))))
    assert report.iso[0].cells[1].total_tok_s_gpu == pytest.approx(6_800)


def test_a_gap_that_the_definition_allows_is_no_direction() -> None:
    data = report_data(*night("101"), definition=definition(interactivity=(19.5,), directional_gap=13.1))
    assert not analyse(data).iso[0].cells[1].directional


def test_findings_tell_the_largest_ratio_and_the_wait() -> None:
    data = report_data(*night("101"), definition=definition(interactivity=(15.0, 19.5)))
    report = analyse(data)
    largest, waits = report.largest_ratio, report.long_waits
    assert largest is not None
    throughput = ReadRatio(at=15.0, ratio=report.iso[0].throughput_ratio or 0.0, directional=True)
    assert (largest.throughput, largest.ends) == (throughput, (throughput, throughput))
    assert (largest.cost_ratio, largest.range_end) == (report.iso[0].cost_ratio, None)
    assert waits is not None
    assert (waits.count, waits.points, waits.longest_ms) == (3, 3, 64_000.0)
    assert waits.longest == PointName(sku=GB200, shape="3P1D DEP8/DEP8", conc=4096)


def test_the_calibration_carries_how_well_the_simulation_was_fitted() -> None:
    errors = [
        PointError(
            recipe=FAST.id,
            sku=GB300,
            conc=c,
            total_tok_s_gpu=100.0,
            tpot_ms=10.0,
            fitted_total_tok_s_gpu=100.0 + e,
            fitted_tpot_ms=10.0,
        )
        for c, e in ((1, 2.0), (2, -8.0))
    ]
    found = analyse(report_data(*night("101"), timing=timing(*errors))).calibration
    assert found is not None
    assert (found.points, found.points_origin, found.count) == ("gb300-vs-gb200.csv", "published", 2)
    assert (found.median_error, found.largest_error) == (pytest.approx(0.01), pytest.approx(0.08))


def test_prices_are_those_of_the_tier_and_none_where_there_is_none() -> None:
    report = analyse(report_data(*night("101"), skus={GB200: sku(GB200, None), GB300: sku()}))
    assert report.prices == {GB200: None, GB300: sku().prices[0]}
    assert report.iso[0].cells[0].usd_per_mtok is None


def test_hbm_and_provenance_come_once_a_deployment() -> None:
    two = recipe("6p1d-dep4-dep8", conc=(512, 4096))
    report = analyse(
        report_data(*(row(two, conc, (1.0, float(conc)), hbm=(hbm("prefill"), hbm())) for conc in two.conc))
    )
    assert [found.hbm.role for found in report.hbm] == ["prefill", "decode"]
    (run,) = report.provenance
    assert [file.path for file in run.raw] == ["raw/conc-512.jsonl.gz", "raw/conc-4096.jsonl.gz"]
    assert (run.seconds, run.versions, run.git_dirty) == (55.0, {"ai-dynamo": "1.4.2"}, False)
    (cells,) = runs(report).rows
    assert cells[-3:] == ("ai-dynamo 1.4.2", "55", r"x86\_64, 2 CPUs, Linux 6.1, Python 3.12.3")


def test_a_definition_of_unknown_skus_is_refused() -> None:
    with pytest.raises(ArtifactError, match="gb200-nvl72"):
        analyse(report_data(*night("101"), skus={GB300: sku()}))


@given(st.permutations(night("101")), st.permutations(night("100")))
def test_the_order_of_the_rows_does_not_matter(now: list[HistoryRow], then: list[HistoryRow]) -> None:
    planned = (FAST.id, WIDE.id, OLD.id)
    ordered = analyse(report_data(*night("101"), previous=night("100"), planned=planned))
    assert analyse(report_data(*now, previous=tuple(then), planned=planned)) == ordered
