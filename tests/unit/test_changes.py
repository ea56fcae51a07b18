"""A change has one of four verdicts, and an unknown one has its reason."""

from __future__ import annotations

import pytest

from pipeline.analyse.changes import compare, verdict
from pipeline.render.words.reasons import reason_text
from pipeline.schema.history import HistoryRow
from pipeline.schema.reasons import ChangeReason, FieldDiff, Side
from pipeline.schema.report import Change
from tests.fakes.rows import PREFIX, client, recipe, row

THEN = row(recipe(), 4096, (10_000.0, 13.0), run="100")


def failed(side: Side, error: str) -> ChangeReason:
    return ChangeReason(kind="failed", side=side, error=error)


def invalid(side: Side, reason: str) -> ChangeReason:
    return ChangeReason(kind="invalid", side=side, reasons=(reason,))


def change(now: HistoryRow, before: HistoryRow = THEN) -> Change:
    (only,) = compare([now], [before], planned=[recipe().id], relevant_change=0.01)
    return only


@pytest.mark.parametrize(
    ("after", "word"), [(9_890.0, "worse"), (9_910.0, "same"), (10_090.0, "same"), (10_110.0, "better")]
)
def test_a_relevant_change_is_better_or_worse(after: float, word: str) -> None:
    found = change(row(recipe(), 4096, (after, 13.0)))
    assert (found.verdict, found.reason, found.before_run) == (word, None, "100")
    assert found.tok_s_gpu_change == pytest.approx(after / 10_000 - 1)


def test_exactly_the_relevant_change_is_relevant() -> None:
    assert (verdict(0.25, 0.25), verdict(-0.25, 0.25), verdict(None, 0.25)) == ("better", "worse", "unknown")


def test_a_planted_flag_is_named_with_its_path_and_nothing_else_is() -> None:
    planted = recipe(decode_flags={"max-num-seqs": 256}, notes="another note", conc=(4096, 8192))
    found = change(row(planted, 4096, (8_000.0, 15.0), git_sha="0" * 40))
    assert found.verdict == "worse"
    assert [(diff.field, diff.before, diff.after) for diff in found.differs] == [
        ("decode.flags.max-num-seqs", "512", "256")
    ]


def test_versions_image_and_environment_are_named_when_they_differ() -> None:
    now = row(
        recipe(image="vllm:v2"),
        4096,
        (9_000.0, 13.0),
        versions={"ai-dynamo": "1.4.3"},
        environment={"timing": "e" * 64},
    )
    said = {diff.field: (diff.before, diff.after) for diff in change(now).differs}
    assert said["image"] == ("vllm/vllm-openai:v0.20.0", "vllm:v2")
    assert said["provenance.versions.ai-dynamo"] == ("1.4.2", "1.4.3")
    assert said["environment.timing"] == ("d" * 12, "e" * 12)
    assert said["environment.sku"] == ("a" * 12, None)


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (
            row(recipe(), 4096, (10_000.0, 13.0), requests_per_conc=2),
            ("client.requests_per_conc", "10", "2"),
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), seed=7),
            ("client.seed_policy", "fixed 0", "chosen"),
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), origin="measured"),
            ("provenance.origin", "simulated", "measured"),
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), measure="aiperf"),
            ("provenance.measure", "replay", "aiperf"),
        ),
        (
            row(recipe(client=client(ignore_eos=False)), 4096, (10_000.0, 13.0)),
            ("client.ignore_eos", "true", "false"),
        ),
    ],
)
def test_two_series_are_not_compared_and_the_reason_is_said(
    now: HistoryRow, difference: tuple[str, str, str]
) -> None:
    found = change(now)
    assert (found.verdict, found.tok_s_gpu_change, found.before_tok_s_gpu) == ("unknown", None, None)
    assert found.reason is not None
    assert found.reason.kind == "fields differ"
    first = found.reason.fields[0]
    assert (first.field, first.before, first.after) == difference


def test_another_seed_is_named() -> None:
    found = change(row(recipe(), 4096, (1.0, 1.0), seed=7))
    assert ("provenance.seed", "0", "7") in [(diff.field, diff.before, diff.after) for diff in found.differs]


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        (row(recipe(), 4096, failure="worker died"), THEN, failed("now", "worker died")),
        (
            row(recipe(), 4096, (9.0, 9.0), reasons=("too few requests",)),
            THEN,
            invalid("now", "too few requests"),
        ),
        (THEN, row(recipe(), 4096, failure="never ready"), failed("before", "never ready")),
        (THEN, row(recipe(), 4096, (9.0, 9.0), reasons=("drift",)), invalid("before", "drift")),
    ],
)
def test_without_a_point_to_trust_there_is_no_verdict(
    now: HistoryRow, before: HistoryRow, reason: ChangeReason
) -> None:
    found = change(now, before)
    assert (found.verdict, found.reason, found.tok_s_gpu_change) == ("unknown", reason, None)


def test_one_measured_run_on_each_side_is_unknown_but_shows_its_figures() -> None:
    measured = {"origin": "measured", "measure": "aiperf"}
    found = change(
        row(recipe(), 4096, (5_000.0, 13.0), **measured), row(recipe(), 4096, (10_000.0, 13.0), **measured)
    )
    assert (found.verdict, found.reason) == ("unknown", ChangeReason(kind="noise unknown"))
    assert found.tok_s_gpu_change == pytest.approx(-0.5)


def test_what_is_gone_is_missing_or_not_planned_any_more() -> None:
    kept, gone = recipe("6p1d-dep4-dep8"), recipe("5p1d-dep4-dep8")
    before = [row(kept, 4096, (1.0, 1.0)), row(gone, 4096, (1.0, 1.0))]
    said = {
        found.recipe: found.reason for found in compare([], before, planned=[kept.id], relevant_change=0.01)
    }
    assert said == {
        kept.id: ChangeReason(kind="missing", side="now"),
        gone.id: ChangeReason(kind="no longer planned"),
    }


def test_a_new_concurrency_has_no_earlier_run() -> None:
    found = {
        one.conc: one
        for one in compare([THEN, row(recipe(), 512, (1.0, 1.0))], [THEN], planned=[], relevant_change=0.01)
    }
    assert found[512].is_new
    assert found[4096].verdict == "same"


def test_a_renamed_recipe_keeps_its_past() -> None:
    renamed = recipe("6p1d-dep4-dep8-long", was=(recipe().id,))
    found = change(row(renamed, 4096, (9_000.0, 13.0)))
    assert (found.recipe, found.verdict) == (f"{PREFIX}.gb300-nvl72.8k1k.6p1d-dep4-dep8-long", "worse")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (None, ""),
        (ChangeReason(kind="no earlier run"), "no earlier run of this point"),
        (ChangeReason(kind="missing", side="now"), "missing now: no result arrived"),
        (failed("before", ""), "failed before: no reason recorded"),
        (invalid("now", "drift: slower"), "invalid now: drift: slower"),
        (
            ChangeReason(
                kind="fields differ",
                fields=(FieldDiff(field="provenance.time_scale", before=None, after="2.0"),),
            ),
            "not comparable: provenance.time_scale not set → 2.0",
        ),
        (ChangeReason(kind="noise unknown"), "one run on each side: the noise is not known yet"),
    ],
)
def test_the_words_of_a_reason(reason: ChangeReason | None, words: str) -> None:
    assert reason_text(reason) == words


def test_without_anything_earlier_nothing_is_said() -> None:
    assert compare([THEN], [], planned=[], relevant_change=0.01) == ()
