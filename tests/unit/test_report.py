"""The analysis puts the verdict first and never mixes what may not be mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse import analyse
from pipeline.errors import ArtifactError
from pipeline.render.text import say
from pipeline.schema.history import HistoryRow
from pipeline.schema.report import Report
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


def headline(report: Report) -> str:
    return say(report.headline)


def test_a_quiet_night_says_what_ran_and_against_what() -> None:
    report = analyse(report_data(*night("101"), previous=night("100")))
    assert (
        headline(report)
        == "3/3 deployments · 3/3 points · no change beyond ±1 % against run 100 (3 points compared)"
    )
    assert report.verdict == "same"


def test_a_regression_is_named_first_with_its_cause() -> None:
    planted = recipe("6p1d-dep4-dep8", decode_flags={"max-num-seqs": 256})
    now = (row(planted, 4096, (8_822.0, 17.0), run="101"), *night("101", old=(8_000.0, 15.0))[1:])
    report = analyse(report_data(*now, previous=night("100")))
    assert (
        headline(report)
        == "gb300-nvl72 6P1D DEP4/DEP8 c4096 slower by 19.8 %: decode.flags.max-num-seqs 512 → 256 · 1 more slower"
    )
    assert report.verdict == "worse"


def test_an_improvement_is_better_and_says_when_nothing_asked_for_differs() -> None:
    report = analyse(report_data(*night("101", wide=(7_480.0, 26.0)), previous=night("100")))
    assert (
        headline(report)
        == "gb300-nvl72 7P2D DEP4/DEP16 c3072 faster by 10.0 %: nothing that was asked for differs"
    )
    assert report.verdict == "better"


def test_the_first_night_has_nothing_to_compare_with() -> None:
    report = analyse(report_data(*night("101")))
    assert headline(report) == "3/3 deployments · 3/3 points · no earlier run to compare with"
    assert (report.verdict, report.changes) == ("unknown", ())


def test_a_failure_is_never_a_pass() -> None:
    failed = (row(FAST, 4096, failure="worker died", run="101"), *night("101")[1:])
    report = analyse(report_data(*failed, previous=night("100")))
    assert report.verdict == "unknown"
    ran, compared = (
        "2/3 deployments · 2/3 points · 1 failed (6p1d-dep4-dep8)",
        "2 points compared, 1 not comparable",
    )
    assert headline(report) == f"{ran} · no change beyond ±1 % against run 100 ({compared})"
    assert [(found.state, found.reason) for found in report.coverage if found.recipe == FAST.id] == [
        ("failed", "c4096 failed: worker died")
    ]
    assert any("incomplete" in say(banner) for banner in report.banners)


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
    report = analyse(report_data(*night("101")[1:], planned=(FAST.id, WIDE.id, OLD.id)))
    assert (
        headline(report)
        == "2/3 deployments · 2/≥ 2 points · 1 missing (6p1d-dep4-dep8) · no earlier run to compare with"
    )
    assert next((found.sku, found.state, found.planned_points) for found in report.coverage) == (
        GB300,
        "missing",
        None,
    )


def test_half_a_deployment_has_not_run() -> None:
    two = recipe("6p1d-dep4-dep8", conc=(512, 4096))
    report = analyse(report_data(row(two, 4096, (1.0, 1.0))))
    (found,) = report.coverage
    assert (found.state, found.points, found.planned_points, found.reason) == (
        "missing",
        1,
        2,
        "c512 missing: no result arrived",
    )


def test_what_ran_without_being_planned_is_said_and_not_counted() -> None:
    report = analyse(report_data(*night("101"), planned=(WIDE.id, OLD.id)))
    assert [found.state for found in report.coverage] == ["ran", "ran", "not in plan"]
    assert headline(report).startswith("2/2 deployments · 2/2 points")


def test_a_measured_night_ends_in_no_verdict() -> None:
    then, now = (
        row(FAST, 4096, (y, 13.0), run=run, origin="measured")
        for run, y in (("100", 11_000.0), ("101", 5_000.0))
    )
    report = analyse(report_data(now, previous=(then,)))
    assert (
        headline(report)
        == "1/1 deployments · 1/1 points · no verdict: one night each; noise not known yet (1 points)"
    )
    assert (report.verdict, report.origin) == ("unknown", "measured")


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
    assert "never mixed" in say(report.banners[-1])


def test_reduced_runs_share_nothing_with_full_ones_and_carry_a_banner() -> None:
    reduced = row(WIDE, 3072, (9_000.0, 30.0), requests_per_conc=2)
    report = analyse(report_data(*night("101"), reduced))
    assert [len(curve.knots) for curve in report.curves] == [1, 2, 1]
    assert report.curves[-1].kind == "simulated (replay, 2 × conc requests, reduced from 10)"
    assert any(
        say(banner).startswith("reduced request count: simulated (replay, 2 × conc")
        for banner in report.banners
    )


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
    ratio, wait = (say(finding) for finding in analyse(data).findings)
    assert ratio == (
        "GB300 NVL72 over GB200 NVL72: ≈ 1.16× the tok/s/GPU and ≈ 0.97× the tokens per dollar at 15 tok/s/user, "
        "the largest on this grid (15 to 15, simulated, directional)."
    )
    assert wait == (
        "Interactivity does not show the wait for the first token: TTFT p50 is above 10 s at 3 of 3 points, "
        "up to 64.0 s (GB200 NVL72 3P1D DEP8/DEP8 c4096)."
    )


def test_the_banner_says_how_well_the_simulation_was_fitted() -> None:
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
    report = analyse(report_data(*night("101"), timing=timing(*errors)))
    assert say(report.banners[0]) == (
        "simulated: Dynamo's scheduler in virtual time, timing fitted to gb300-vs-gb200.csv (published) on 2026-11-20, "
        "median error 1.0 %, largest 8.0 % (tok/s/GPU and TPOT of 2 points)"
    )


def test_prices_carry_tier_date_source_and_doubt() -> None:
    report = analyse(report_data(*night("101"), skus={GB200: sku(GB200, None), GB300: sku()}))
    assert report.prices == {
        GB200: "no hyperscaler price known",
        GB300: "2.652 USD per GPU-hour, hyperscaler tier, as of 2026-05-22, a price list; provisional: a placeholder",
    }
    assert report.iso[0].cells[0].usd_per_mtok is None


def test_hbm_and_provenance_come_once_a_deployment() -> None:
    two = recipe("6p1d-dep4-dep8", conc=(512, 4096))
    report = analyse(
        report_data(*(row(two, conc, (1.0, float(conc)), hbm=(hbm("prefill"), hbm())) for conc in two.conc))
    )
    assert [found.hbm.role for found in report.hbm] == ["prefill", "decode"]
    (run,) = report.provenance
    assert run.raw == ("raw/conc-512.jsonl.gz 0123456789ab", "raw/conc-4096.jsonl.gz 0123456789ab")
    assert (run.host, run.seconds, run.versions) == (
        "x86_64, 2 CPUs, Linux 6.1, Python 3.12.3",
        55.0,
        "ai-dynamo 1.4.2",
    )


def test_a_definition_of_unknown_skus_is_refused() -> None:
    with pytest.raises(ArtifactError, match="gb200-nvl72"):
        analyse(report_data(*night("101"), skus={GB300: sku()}))


@given(st.permutations(night("101")), st.permutations(night("100")))
def test_the_order_of_the_rows_does_not_matter(now: list[HistoryRow], then: list[HistoryRow]) -> None:
    planned = (FAST.id, WIDE.id, OLD.id)
    ordered = analyse(report_data(*night("101"), previous=night("100"), planned=planned))
    assert analyse(report_data(*now, previous=tuple(then), planned=planned)) == ordered
