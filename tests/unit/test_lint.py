"""The linter finds what cannot follow from the figures beside it, and nothing that rounding explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import cli
from pipeline.analyse.lint import lint
from pipeline.analyse.lint.tables import implied_wait_s
from pipeline.flow.published import read_study
from pipeline.render import printed_lint
from pipeline.schema.lint import (
    CostCheck,
    Figure,
    FigureOutcome,
    FindingPlace,
    PeakOutcome,
    PrintedFinding,
    StatisticsNote,
    WaitCheck,
)
from pipeline.schema.published import Study
from tests.fakes.rows import GB200, GB300
from tests.fakes.studies import claim, iso, iso_row, points, row, study
from tests.golden.regenerate import recipe_set

ROOT = Path(__file__).parents[2]
FILE = ROOT / "reports/published/2026-05-22-gb300-vs-gb200.yaml"
STUDY = read_study(FILE, recipe_set().catalogue)


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def found(of: Study, *severities: str) -> list[PrintedFinding]:
    """Return the findings of these severities in words."""
    return [one for one in printed(of) if one.severity in (severities or ("wrong",))]


def printed(of: Study) -> list[PrintedFinding]:
    return list(printed_lint(lint(of)).findings)


def test_a_consistent_study_has_no_findings():
    assert found(study(), "wrong", "edge", "note") == []


def test_the_published_study_has_exactly_these_findings_by_the_rules_of_tables():
    figures = {(one.place, one.printed, one.corrected) for one in found(STUDY) if one.rule != "assertion"}
    assert len(lint(STUDY).table_findings) == len(figures)
    assert figures == {
        ("points, gb200-nvl72 conc 512 8+8 GPUs: $/Mtok", "0.10", "0.12"),
        ("iso, row 20: cost ratio", "1.07", "1.08"),
        ("iso, row 22: gb300-nvl72 $/Mtok", "0.08", "0.09"),
        ("iso, row 22: cost ratio", "1.31", "1.26"),
        ("iso, row 25: gb200-nvl72 $/Mtok", "0.21", "0.22"),
        ("iso, row 27: ratio", "2.83", "2.82"),
        ("iso, row 27: cost ratio", "2.31", "2.35"),
        ("iso, row 28: cost ratio", "2.30", "2.34"),
        ("iso, row 32: gb200-nvl72 $/Mtok", "0.36", "0.37"),
        ("iso, row 32: cost ratio", "1.76", "1.79"),
        ("iso, row 36: gb200-nvl72 $/Mtok", "0.65", "0.45"),
        ("iso, row 36: gb300-nvl72 $/Mtok", "0.35", "0.36"),
        ("iso, row 36: cost ratio", "1.88", "1.23"),
        ("iso, row 50: gb200-nvl72 $/Mtok", "4.78", "0.95"),
        ("iso, row 50: gb300-nvl72 $/Mtok", "1.58", "0.78"),
        ("iso, row 50: cost ratio", "3.03", "1.21"),
    }


def test_claims_of_the_published_study_are_judged_with_evidence():
    claims = {one.place.split(",")[0]: one for one in printed(STUDY) if one.rule == "assertion"}
    assert {name for name, one in claims.items() if one.severity == "holds"} == {
        "C11",
        "C12-gb200",
        "C12-gb300",
        "C16-experts",
        "C16-fabric",
        "C16-ceiling",
        "C16-above",
        "C16-tco",
    }
    assert [name for name, one in claims.items() if one.severity == "edge"] == ["C3"]
    assert {name for name, one in claims.items() if one.severity == "note"} == {"C13", "C24"}
    assert all(one.evidence for one in claims.values())
    assert all(one.corrected for one in claims.values() if one.severity != "holds")
    assert claims["C4-peak"].corrected == "2.82 at 27.32 below 73.14"
    assert claims["C6"].computed.startswith(
        "on the grid 3.0310 at 50; local peak 2.3058 at 27.42; largest 3.4411 at 73.43 (edge)"
    )
    assert claims["C14"].corrected == "1.00 to 1.01"
    assert claims["C10"].computed == "3148 at 24.42"


def test_what_a_reader_should_know_of_the_published_study_is_noted():
    notes = [one for one in found(STUDY, "note") if one.rule != "assertion"]
    assert [one.place for one in notes if one.rule == "dominated row"] == [
        "points, gb200-nvl72 conc 512 8+8 GPUs"
    ]
    assert [one.computed for one in notes if one.rule == "interactivity vs TPOT"] == [
        "-1.70 to +2.11 % off 1000 / TPOT"
    ]
    assert len([one for one in notes if one.rule == "Little's law"]) == 8


def test_waits_that_the_published_rows_imply():
    waits = [implied_wait_s(STUDY, row) for row in STUDY.rows]
    assert waits == pytest.approx(
        [3.6, 4.5, 20.3, 4.2, 6.1, 45.2, 123.6, 57.8, 2.4, 4.4, 26.7, 86.0, 48.1, 24.4], abs=0.06
    )


def test_a_cost_that_its_rate_cannot_give_is_wrong_and_corrected():
    (one,) = found(study(points=points(row(usd_per_mtok=0.75))))
    assert (one.rule, one.printed, one.computed, one.corrected) == ("cost vs rate", "0.75", "0.7367", "0.74")


def test_findings_are_numbers_and_enums():
    (one,) = lint(study(points=points(row(usd_per_mtok=0.75)))).wrong
    assert isinstance(one.check, CostCheck)
    assert (one.check.printed, one.check.computed) == (
        Figure(value=0.75, decimals=2),
        pytest.approx(0.736667),
    )
    assert (one.place.table, one.place.column) == ("points", "usd_per_mtok")
    (one,) = lint(study(points=points(row(conc=1, speed=1000.0, user=20.0)))).wrong
    assert isinstance(one.check, WaitCheck)
    assert one.check.wait_s == pytest.approx(-45.0, abs=0.05)
    (check,) = (one.check for one in lint(STUDY).findings if isinstance(one.check, StatisticsNote))
    assert (check.rows_off, check.rows) == (14, 14)
    assert (check.lowest, check.highest) == (
        pytest.approx(-0.0170, abs=1e-4),
        pytest.approx(0.0211, abs=1e-4),
    )


def test_the_outcome_of_a_claim_is_a_number():
    checks = {one.place.row: one.check for one in lint(STUDY).findings if one.rule == "assertion"}
    peak, ratio = checks["C4-peak"].outcome, checks["C6-identity"].outcome
    assert isinstance(peak, PeakOutcome)
    assert (peak.local.ratio, peak.local.at) == (
        pytest.approx(2.8237, abs=1e-4),
        pytest.approx(27.32, abs=0.01),
    )
    assert peak.is_edge
    assert isinstance(ratio, FigureOutcome)
    assert (ratio.says, ratio.computed) == ("2.31", pytest.approx(2.83 / 1.2))
    assert checks["C19"].outcome is None
    place = next(one.place for one in lint(STUDY).findings if one.place.row == "C19")
    assert place == FindingPlace(table="text", row="C19", where="text on expert parallelism")


def test_a_cost_that_only_the_edge_of_rounding_gives_is_no_error():
    table = points(row(GB200, speed=32.8, usd_per_mtok=18.74))
    assert found(study(points=table)) == []
    (one,) = found(study(points=table), "edge")
    assert (one.printed, one.corrected) == ("18.74", "18.72")


def test_gpus_that_the_shape_does_not_have_are_wrong():
    (one,) = found(study(points=points(row(gpus_prefill=6, conc=60))))
    assert (one.rule, one.printed, one.corrected) == ("GPUs vs shape", "6", "4")


def test_an_interactivity_of_the_same_statistic_must_be_the_reciprocal_of_tpot():
    (one,) = found(study(points=points(row(user=20.0, tpot_p50_ms=48.0))))
    assert (one.rule, one.printed, one.corrected) == ("interactivity vs TPOT", "20.00", "20.83")


def test_an_interactivity_of_another_statistic_is_a_note():
    other = study(
        points=points(row(user=20.0, tpot_p50_ms=48.0)),
        statistics={"interactivity_as_printed": "mean", "tpot_p50_ms": "median"},
    )
    assert found(other) == []
    assert [one.rule for one in found(other, "note")] == ["interactivity vs TPOT"]


def test_requests_that_decode_longer_than_they_stay_are_impossible():
    (one,) = found(study(points=points(row(conc=1, speed=1000.0, user=20.0))))
    assert (one.rule, one.computed) == ("Little's law", "-45.0 s")


def test_a_ratio_that_its_operands_cannot_give_is_wrong():
    (one,) = found(study(iso=iso(iso_row(speeds=(800.0, 1000.0), throughput_ratio=1.26))))
    assert (one.rule, one.printed, one.corrected) == ("ratio vs operands", "1.26", "1.25")


def test_a_ratio_within_the_rounding_of_its_operands_is_right():
    assert found(study(iso=iso(iso_row(speeds=(3.0, 4.0), throughput_ratio=1.29))), "wrong") == []


def test_a_figure_that_may_have_been_zero_is_no_finding():
    table = points(row(speed=0.04, user=20.0, usd_per_mtok=99999.0)).model_copy(
        update={"decimals": {"total_tok_s_gpu": 1, "usd_per_mtok": 2}}
    )
    assert [one.severity for one in lint(study(points=table, lengths=None)).findings] == ["edge"]


def test_columns_that_say_no_decimals_are_exact():
    table = iso(iso_row(speeds=(8.0, 10.0), throughput_ratio=1.2500001)).model_copy(update={"decimals": {}})
    assert [one.rule for one in found(study(iso=table))] == ["ratio vs operands"]


def test_an_unreachable_cell_makes_no_finding():
    row_ = iso_row(speeds=(None, 1000.0), throughput_ratio=None, usd_per_mtok=(None, 0.74))
    assert found(study(iso=iso(row_)), "wrong", "edge") == []


@pytest.mark.parametrize(
    ("says", "severity", "corrected"),
    [
        ({"kind": "arithmetic", "times": ["6182"], "per": ["2189"], "says": "2.83"}, "wrong", "2.82"),
        ({"kind": "arithmetic", "times": ["11055.6"], "per": ["8933.0"], "says": "1.24"}, "holds", ""),
        ({"kind": "arithmetic", "times": ["1.2"], "says": "1.24"}, "edge", "1.20"),
        ({"kind": "whole", "of": 28, "per": 8}, "wrong", "a whole number of workers"),
        ({"kind": "whole", "of": 32, "per": 8}, "holds", ""),
        ({"kind": "peak", "quantity": "total_tok_s_gpu", "says": "2.00", "at": "10"}, "holds", ""),
        (
            {"kind": "peak", "quantity": "total_tok_s_gpu", "says": "2.10", "at": "10"},
            "wrong",
            "2.00 at 10.00",
        ),
        ({"kind": "reading", "sku": GB300, "at": 17.5, "says": "1400"}, "holds", ""),
        ({"kind": "reading", "sku": GB300, "at": 17.5, "says": "1500"}, "wrong", "1400"),
        ({"kind": "reading", "sku": GB300, "at": 30.0, "says": "1000"}, "wrong", "unreachable"),
        ({"kind": "nearest-knot", "sku": GB200, "at": 24.0, "says": "900.0"}, "wrong", "800.0 at 25"),
        (
            {
                "kind": "range",
                "column": "throughput_ratio",
                "low": 5,
                "high": 30,
                "least": "1.25",
                "most": "2.00",
            },
            "holds",
            "",
        ),
        (
            {
                "kind": "range",
                "column": "throughput_ratio",
                "low": 20,
                "high": 30,
                "least": "1.25",
                "most": "2.00",
            },
            "wrong",
            "1.25 to 1.25",
        ),
        ({"kind": "evidence", "verdict": "opinion"}, "note", ""),
    ],
)
def test_each_kind_of_claim_is_checked_against_the_tables(says, severity, corrected):
    table = iso(
        iso_row("10", (900.0, 1800.0), throughput_ratio=2.0),
        iso_row("25", (800.0, 1000.0), throughput_ratio=1.25),
    )
    (one,) = [one for one in printed(study(iso=table, assertions=(claim(says),))) if one.rule == "assertion"]
    assert (one.severity, one.corrected) == (severity, corrected)


@pytest.mark.parametrize(("says", "at", "severity"), [("2.12", "10", "holds"), ("2.00", "10", "wrong")])
def test_a_peak_without_a_table_to_be_the_grid_is_held_against_the_curves_alone(says, at, severity):
    table = points(
        row(GB200, 30, 800.0, 25.0),
        row(GB200, 83, 850.0, 10.0),
        row(GB300, 38, 1000.0, 25.0),
        row(GB300, 165, 1800.0, 10.0),
    )
    peak = claim({"kind": "peak", "quantity": "total_tok_s_gpu", "says": says, "at": at})
    (one,) = [one for one in printed(study(points=table, assertions=(peak,))) if one.rule == "assertion"]
    assert (one.severity, one.computed) == (severity, "largest 2.1176 at 10.00 (edge)")


def test_the_wait_that_a_claim_tells_is_the_one_that_the_rows_imply():
    waits = [implied_wait_s(STUDY, row) for row in STUDY.rows]
    c15 = next(one for one in STUDY.assertions if one.id == "C15")
    assert f"{min(waits):.1f} to {max(waits):.0f} s" in c15.evidence


def test_lint_exits_21_on_findings_and_says_each_with_its_corrected_value(capsys):
    assert cli.run(["lint", str(FILE)], {}) == 21
    out, err = capsys.readouterr()
    assert (
        "- ratio vs operands · iso, row 27: ratio: printed 2.83, computed 2.8241, should be 2.82\n    6182 / 2189\n"
        in out
    )
    assert err.endswith("34 findings in 1 document\n")


POINTS = "sku,conc,prefill_gpus,decode_gpus,total_tok_s_gpu,tpot_ms,interactivity,usd_per_mtok\n"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (POINTS + "GB300 NVL72,48,4,4,1000.0,50.00,20.00,0.74\n", 0, "no findings"),
        (
            POINTS + "GB300 NVL72,48,4,4,1000.0,50.00,20.00,0.70\n",
            21,
            "printed 0.70, computed 0.7367, should be 0.74",
        ),
        (
            "interactivity_label,gb200_tok_s_gpu,gb300_tok_s_gpu,tput_ratio_gb300_over_gb200\n27,2189,6182,2.83\n",
            21,
            "2.82",
        ),
        ("interactivity_label,gb200_tok_s_gpu\n27,unreachable\n", 0, "no findings"),
        (
            "interactivity_label,gb200_total_tok_s_gpu,gb200_total_usd_per_mtok\n50,649,4.78\n",
            21,
            "printed 4.78, computed 0.9459",
        ),
        (
            "interactivity_label,gb200_tok_s_gpu,gb300_tok_s_gpu,gb300_usd_per_mtok\n16,2000,10608,0.07\n",
            0,
            "no findings",
        ),
        ("interactivity_label,gb200_tok_s_gpu,ratio\n27,2189,2.99\n", 0, "column `ratio` not checked"),
        (
            POINTS.strip() + ",cost\nGB300 NVL72,48,4,4,1000.0,50.00,20.00,0.74,9.99\n",
            0,
            "column `cost` not checked",
        ),
    ],
)
def test_lint_reads_point_and_iso_tables_from_csv(tmp_path, capsys, text, code, words):
    (tmp_path / "table.csv").write_text(text)
    assert cli.run(["lint", str(tmp_path / "table.csv")], {}) == code
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sku,conc\ngb200,1\n", "no column `total_tok_s_gpu`"),
        (
            POINTS + "GB300 NVL72,four,4,4,1000.0,50.00,20.00,0.74\n",
            ":2:1: `conc` is 'four' — give an integer",
        ),
        (
            POINTS + "GB300 NVL72,4,4,4,-1,50.00,20.00,0.74\n",
            ":2:1: `total_tok_s_gpu`: input should be greater than 0",
        ),
        (POINTS + "GB300 NVL72,4,4,4,nan,50.00,20.00,0.74\n", ":2:1: `total_tok_s_gpu`"),
        (
            "interactivity_label,a_tok_s_gpu,b_tok_s_gpu,tput_ratio_a_over_b\n27,1,2,2.00\n",
            "expected tput_ratio_b_over_a",
        ),
        ("interactivity_label,speed\n27,1\n", "no column of tok/s/GPU"),
        (POINTS + "GB-200,4,4,4,1,50.00,20.00,0.74\n", ":2:1: unknown SKU `GB-200` — did you mean `gb200`?"),
        (POINTS + "GB-200,four,4,4,1,50.00,20.00,0.74\n", "unknown SKU `GB-200`"),
        ("interactivity_label,gb20_tok_s_gpu\n27,1\n", ":1:1: unknown SKU `gb20` — did you mean `gb200`?"),
        ("interactivity_label,a_tok_s_gpu\nx,1\n", ":2:1: `label`: string should match pattern"),
    ],
)
def test_a_table_that_is_none_is_refused_at_its_line(tmp_path, capsys, text, words):
    (tmp_path / "table.csv").write_text(text)
    assert cli.run(["lint", str(tmp_path / "table.csv")], {}) == 3
    assert words in capsys.readouterr().err


def test_claims_can_be_linted_without_a_study_around_them(tmp_path, capsys):
    says = "{kind: arithmetic, times: ['2.31'], per: ['1.25'], says: '1.85'}"
    text = f"title: a talk\nassertions:\n  - {{id: T1, claim: above the ceiling, where: slide 3, check: {says}, evidence: as said}}\n"
    (tmp_path / "talk.yaml").write_text(text)
    assert cli.run(["lint", str(tmp_path / "talk.yaml")], {}) == 0
    assert "assertion · T1, slide 3: printed 1.85, computed 1.8480" in capsys.readouterr().out
    (tmp_path / "talk.yaml").write_text(text.replace("'1.85'", "'1.95'"))
    assert cli.run(["lint", str(tmp_path / "talk.yaml")], {}) == 21
    (tmp_path / "talk.yaml").write_text(text.replace("slide 3", "slide 3, page: 1"))
    assert cli.run(["lint", str(tmp_path / "talk.yaml")], {}) == 3
