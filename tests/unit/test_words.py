"""The sentences of a report: a few golden texts, and headlines that are never longer than a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse import analyse
from pipeline.render import headline
from pipeline.render.words import answer, highlights, run, sources
from pipeline.render.words.length import LONGEST, cut, extended, fitted
from pipeline.schema.findings import Answer, AnswerRange, UncoveredRange
from pipeline.schema.reasons import ChangeReason, FieldDiff
from pipeline.schema.report import Report, ReportData
from tests.fakes.rows import GB200, GB300, definition, recipe, report_data, row, sku, timing

KEPT = Path(__file__).parents[2] / "reports" / "gb300-vs-gb200" / "data.json"
TITLES = {GB200: "GB200 NVL72", GB300: "GB300 NVL72"}
FAST, OLD = recipe("6p1d-dep4-dep8"), recipe("3p1d-dep8-dep8", sku=GB200)


@pytest.fixture(scope="module")
def kept() -> Report:
    return analyse(ReportData.from_json(KEPT.read_bytes(), where=str(KEPT)))


def won(**changed: Any) -> AnswerRange:
    fields: dict[str, Any] = {
        "winner": "last",
        "low": 22.0,
        "high": 32.0,
        "ratio": 2.5,
        "at": 27.0,
        **changed,
    }
    return AnswerRange(**fields)


def answered(*ranges: AnswerRange, **changed: Any) -> Answer:
    return Answer(skus=(GB200, GB300), ranges=ranges, level_within=0.05, origin="simulated", **changed)


def report(now: float = 11_000.0, before: float | None = 11_000.0, **changed: Any) -> Report:
    """Two recipes, of which one moved from ``before`` to ``now`` tok/s/GPU."""
    rows = (row(FAST, 4096, (now, 13.0), run="101"), row(OLD, 4096, (8_900.0, 15.0), run="101"))
    then = (row(FAST, 4096, (before, 13.0), run="100"),) if before else ()
    return analyse(report_data(*rows, previous=then, **changed))


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (
            [won()],
            "GB300 NVL72 gives up to 2.50 times the tokens per dollar of GB200 NVL72, at 27 tok/s/user",
        ),
        (
            [won(winner="first", directional=True, low=20.0, high=20.0, at=20.0)],
            "GB200 NVL72 gives about 2.50 times the tokens per dollar of GB300 NVL72, at 20 tok/s/user",
        ),
        (
            [AnswerRange(winner="level", low=16.0, high=20.0)],
            "GB200 NVL72 and GB300 NVL72 cost the same per token within 5 %, from 16 to 20 tok/s/user",
        ),
        (
            [AnswerRange(winner="direction_only", low=36.0, high=50.0)],
            "GB200 NVL72 and GB300 NVL72: no winner per dollar, readings are directional only",
        ),
    ],
)
def test_the_headline_of_an_answer(ranges: list[AnswerRange], text: str) -> None:
    assert answer.headline(answered(*ranges), TITLES) == f"{text} (simulated)"


def test_the_ranges_of_an_answer() -> None:
    found = answered(
        won(),
        won(winner="first", low=20.0, high=20.0, ratio=1.25, at=20.0),
        AnswerRange(winner="level", low=16.0, high=18.0),
        AnswerRange(winner="direction_only", low=36.0, high=50.0),
        AnswerRange(winner="only_last", low=60.0, high=60.0),
    )
    assert answer.details(found, TITLES) == (
        "Tokens per dollar at equal interactivity (simulated): GB300 NVL72 leads from 22 to 32 tok/s/user, up to 2.50× at 27; "
        "GB200 NVL72 leads at 20 tok/s/user, 1.25×; the two SKUs are level (within 5 %) from 16 to 18 tok/s/user; "
        "both readings are directional from 36 to 50 tok/s/user, so no winner is named; only GB300 NVL72 has figures at 60 tok/s/user."
    )


def test_the_ranges_of_an_answer_within_a_limit() -> None:
    found = answered(
        won(deployments=("1P6D DEP4/TP4 c192", "1P1D DEP8/TP8 c1")),
        ttft_limit_s=10.0,
        uncovered=(
            UncoveredRange(sku=GB300, low=None, high=36.4),
            UncoveredRange(sku=GB300, low=36.4, high=73.7),
        ),
    )
    assert answer.details(found, TITLES) == (
        "Tokens per dollar with a median TTFT of at most 10 s (simulated): GB300 NVL72 leads from 22 to 32 tok/s/user, "
        "up to 2.50× at 27 (1P6D DEP4/TP4 c192 against 1P1D DEP8/TP8 c1). "
        "No tested deployment of GB300 NVL72 meets the limit below 36.40 or between 36.40 and 73.70 tok/s/user."
    )


def test_the_findings_of_the_kept_report(kept: Report) -> None:
    texts = list(highlights.highlights(kept))
    assert len(texts) == 5
    assert texts[1] == (
        "GB300 NVL72 gives ≈ 3.05× the tok/s/GPU and ≈ 2.54× the tokens per dollar of GB200 NVL72 at 27 tok/s/user, the largest "
        "throughput ratio on the grid (16 to 50 tok/s/user; simulated; directional); it is 1.18× at 16 and ≈ 1.12× at 50. "
        "Between the points of the grid it has a local peak of ≈ 3.06× at 26.62 tok/s/user; "
        "at the end of the common range, 73.29 tok/s/user, it is ≈ 4.08×."
    )
    assert texts[2] == (
        "Interactivity does not include the wait for the first token: the median TTFT is above 10 s at 8 of 14 points, "
        "and 116.2 s at most (GB200 NVL72 2P1D DEP8/DEP8 c4096)."
    )
    assert texts[4] == (
        "Published figures (SemiAnalysis InferenceX, dated 2026-05-22 by the source) give ≈ 2.81× the tok/s/GPU at 27 tok/s/user; "
        "the simulated figures give ≈ 3.05×. At 50 tok/s/user the published tokens per dollar favour GB300 NVL72 (≈ 1.17×), "
        "the simulated ones GB200 NVL72 (≈ 0.93×)."
    )


def test_the_banners_of_the_kept_report(kept: Report) -> None:
    simulated, published, kinds = sources.banners(kept)
    assert simulated == (
        "simulated: Dynamo's scheduler in virtual time, timing fitted to 2026-05-22-gb300-vs-gb200.yaml (published) on 2026-12-01, "
        "median error 1.0 %, largest 5.9 % (tok/s/GPU and TPOT of 14 points)"
    )
    assert published.startswith("published: figures from other sources")
    assert kinds.startswith(
        "different kinds of figures are never mixed: the tables under Curves use simulated (replay, "
    )


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (report(before=None), "🟡 2/2 deployments · 2/2 points · no earlier run to compare with (simulated)"),
        (
            report(),
            "⚪ 2/2 deployments · 2/2 points · no change of 1 % or more against run 100 (1 compared, 1 new) (simulated)",
        ),
        (
            report(8_800.0),
            "🔴 GB300 NVL72 6P1D DEP4/DEP8 c4096 slower by 20.0 %: no setting differs (simulated)",
        ),
    ],
)
def test_the_headline_of_a_run(made: Report, text: str) -> None:
    assert headline(made) == text


def test_a_headline_drops_what_does_not_fit_and_then_ends_in_an_ellipsis() -> None:
    assert fitted(["a long text", "short"], 6) == "short"
    assert fitted(["a long text", "a text"], 4) == "a t…"
    assert extended("slower", [[": max-num-seqs 512 → 256", ": 1 setting differs"], [" · more"]], 26) == (
        "slower: 1 setting differs"
    )
    assert cut("one\nline", 20) == "one line"


NAMES = st.text(min_size=1, max_size=300)
RATIOS = st.floats(1.0, 1e12)
LABELS = st.from_regex(r"[a-z0-9.-]{1,100}", fullmatch=True)


@given(
    title=NAMES,
    ratio=RATIOS,
    at=st.floats(0.001, 1e9),
    winner=st.sampled_from(["first", "last", "level", "direction_only"]),
    directional=st.booleans(),
    names=st.tuples(LABELS, LABELS),
)
def test_no_answer_makes_a_headline_longer_than_a_line(
    *, title: str, ratio: float, at: float, winner: Any, directional: bool, names: tuple[str, str]
) -> None:
    found = AnswerRange(winner=winner, low=at / 2, high=at, ratio=ratio, at=at, directional=directional)
    made = Answer(skus=names, ranges=(found,), level_within=0.05, origin="simulated")
    assert len(answer.headline(made, {names[0]: title, names[1]: title * 2})) <= LONGEST


@given(
    title=NAMES,
    now=st.floats(1.0, 1e9),
    shape=NAMES,
    diffs=st.lists(st.tuples(LABELS, NAMES, NAMES), max_size=4),
    runs=st.lists(LABELS, max_size=3),
    failure=NAMES,
)
def test_no_run_makes_a_headline_longer_than_a_line(
    title: str,
    now: float,
    shape: str,
    diffs: list[tuple[str, str, str]],
    runs: list[str],
    failure: str,
) -> None:
    made = report(now)
    differs = tuple(FieldDiff(field=name, before=before, after=after) for name, before, after in diffs)
    reason = ChangeReason(kind="failed", side="now", error=failure)
    changed = made.run.moved or made.changes[0]
    example = changed.model_copy(update={"reason": reason, "differs": differs, "shape": shape})
    moved = example if made.run.moved else None
    compared = made.run.compared.model_copy(update={"runs": tuple(runs), "example": example})
    finding = made.run.model_copy(update={"moved": moved, "compared": compared, "others_moved": 10**6})
    text = headline(made.model_copy(update={"run": finding, "sku_titles": {GB300: title, GB200: title}}))
    assert len(text) <= LONGEST
    assert "\n" not in text


def test_the_first_line_of_a_page_is_at_most_110_characters(kept: Report) -> None:
    assert LONGEST == 110
    assert kept.answer is not None
    assert answer.headline(kept.answer, kept.sku_titles) == (
        "GB300 NVL72 gives up to about 2.54 times the tokens per dollar of GB200 NVL72, at 27 tok/s/user (simulated)"
    )
    assert len(run.headline(kept)) <= LONGEST


def test_a_price_carries_tier_date_source_and_why_it_is_provisional() -> None:
    made = report(skus={GB200: sku(GB200, None), GB300: sku()})
    assert [sources.price(price, "hyperscaler") for price in made.prices.values()] == [
        "no hyperscaler price known",
        "2.652 USD per GPU-hour, hyperscaler tier, as of 2026-05-22, a price list; provisional: a placeholder",
    ]


def test_a_calibration_without_errors_and_a_simulation_without_calibration_are_marked() -> None:
    with_timing, without = (next(sources.banners(report(timing=one))) for one in (timing(), None))
    assert with_timing.endswith(
        "timing fitted to gb300-vs-gb200.csv (published) on 2026-11-20, errors not recorded"
    )
    assert without == "simulated: Dynamo's scheduler in virtual time, timing parameters not recorded"


def test_the_rule_prints_the_threshold_of_the_definition() -> None:
    assert "A change of 2.5 % or more is better or worse" in run.rule(definition(relevant_change=0.025))
