"""What a page says of live runs with simulated engines, and what the run itself ends with when points are refused."""

from __future__ import annotations

import pytest

from pipeline.analyse import analyse
from pipeline.measure.outcome import untrusted
from pipeline.render import held as held_table
from pipeline.render.charts import pareto
from pipeline.render.evidence import bill, runs
from pipeline.render.pages import render
from pipeline.render.theme import LIGHT
from pipeline.render.words.kinds import kind_text
from pipeline.render.words.reasons import reason_text
from pipeline.render.words.sources import banners
from pipeline.schema.result import Measurement
from tests.fakes.rows import point, recipe, report_data, row

SMOKE = recipe("1p1d-dep4-dep8", conc=(1, 4))
LIVE = {
    "measure": "aiperf",
    "stages_s": {
        "start": 1.0,
        "ready": 9.0,
        "warm-up": 10.0,
        "measure": 60.0,
        "client": 18.0,
        "teardown": 2.0,
    },
}


def live(run: str, scale: float, tok_s_gpu: float = 100.0):
    return row(SMOKE, 4, (tok_s_gpu, 30.0), run=run, time_scale=scale, **LIVE)


def test_a_live_page_does_not_claim_virtual_time_and_says_how_slow_its_engines_are():
    report = analyse(report_data(live("101", 2.0)))
    assert next(banners(report)).startswith("simulated: Dynamo live over HTTP with simulated engines, timing")
    assert (
        kind_text(report.curves[0].kind) == "simulated (aiperf, 10 × conc requests, engines slowed 2 times)"
    )
    assert "GPU-hours of simulated engines, on no GPU: all GPUs held" in bill(report)
    assert "GPU-hours of virtual time" in bill(analyse(report_data(row(SMOKE, 4, (100.0, 30.0)))))


@pytest.mark.parametrize(("highest", "end"), [(11_097.0, 13_000), (726.0, 900), (33.0, 50)])
def test_the_axis_of_throughput_fits_what_is_drawn(highest, end):
    spec = pareto(analyse(report_data(live("101", 2.0, highest))), LIGHT)
    assert {
        layer["encoding"]["y"]["scale"]["domain"][1]
        for layer in spec["layer"]
        if "scale" in layer["encoding"].get("y", {})
    } == {end}


def test_a_live_page_says_what_share_of_the_time_was_measurement():
    (line,) = runs(analyse(report_data(live("101", 2.0)))).rows
    assert "100, 60.0 % measurement" in line
    (replayed,) = runs(analyse(report_data(row(SMOKE, 4, (100.0, 30.0))))).rows
    assert "55" in replayed


def test_a_wait_in_the_queue_holds_no_gpu_and_what_was_held_is_shared_out_by_stage():
    waited = {**LIVE, "stages_s": {**LIVE["stages_s"], "queue": 900.0}}
    report = analyse(report_data(row(SMOKE, 4, (100.0, 30.0), time_scale=2.0, **waited)))
    (line,) = runs(report).rows
    assert "100, 60.0 % measurement" in line
    (held,) = report.held
    assert (held.queue_s, held.held_gpu_s) == (900.0, 100.0 * held.gpus_held)
    assert held.measured_share == pytest.approx(0.6 * held.gpus_counted / held.gpus_held)
    assert held.gpus_counted < held.gpus_held
    (shown,) = held_table.table(report).rows
    assert shown[5:] == ("1.0 %", "9.0 %", "10.0 %", "60.0 %", "18.0 %", "2.0 %", "0.0 %", shown[-1])
    page = render(report)["README.md"].decode()
    assert "## Held GPU time" in page
    assert (
        "## Held GPU time"
        not in render(analyse(report_data(row(SMOKE, 4, (100.0, 30.0)))))["README.md"].decode()
    )


def test_engines_of_another_speed_are_another_family_and_no_verdict():
    report = analyse(report_data(live("101", 20.0), previous=(live("100", 2.0),)))
    (change,) = report.changes
    assert (change.verdict, reason_text(change.reason)) == (
        "unknown",
        "not comparable: provenance.time_scale 2.0 → 20.0",
    )
    both = analyse(report_data(live("101", 20.0), live("102", 2.0)))
    assert [len(curve.points) for curve in both.curves] == [1, 1]


def measured(*reasons: tuple[str, ...]) -> Measurement:
    points = tuple(
        point(SMOKE, conc, 100.0, 30.0, reasons=why) for conc, why in zip(SMOKE.conc, reasons, strict=False)
    )
    return Measurement(points=points, versions={}, stages_s={})


class NoJob:
    id, recipe = SMOKE.id, SMOKE


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (measured((), ("drift: x",)), "1 of 2 points invalid: c4 drift: x"),
        (measured(("a: x", "b: y")), "1 of 2 points invalid: c1 a: x; c1 b: y; c4 was not measured"),
    ],
)
def test_a_run_with_a_refused_point_says_which_and_why(found, said):
    error = untrusted(found, NoJob())
    assert (error.what, error.exit_code) == (said, 6)


def test_a_run_in_order_has_nothing_to_refuse():
    assert untrusted(measured((), ()), NoJob()) is None
