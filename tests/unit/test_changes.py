"""A change answers in four words, and unknown says why."""

from __future__ import annotations

import pytest

from pipeline.analyse.changes import compare, verdict
from pipeline.schema.history import HistoryRow
from pipeline.schema.report import Change
from tests.fakes.rows import PREFIX, client, recipe, row

THEN = row(recipe(), 4096, (10_000.0, 13.0), run="100")


def change(now: HistoryRow, before: HistoryRow = THEN) -> Change:
    (only,) = compare([now], [before], planned=[recipe().id], relevant_change=0.01)
    return only


@pytest.mark.parametrize(
    ("after", "word"), [(9_890.0, "worse"), (9_910.0, "same"), (10_090.0, "same"), (10_110.0, "better")]
)
def test_a_relevant_change_is_better_or_worse(after: float, word: str) -> None:
    found = change(row(recipe(), 4096, (after, 13.0)))
    assert (found.verdict, found.reason, found.before_run) == (word, "", "100")
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
    assert said["environment.sku"] == ("a" * 12, "not set")


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (
            row(recipe(), 4096, (10_000.0, 13.0), requests_per_conc=2),
            "not comparable: client.requests_per_conc 10 → 2",
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), seed=7),
            "not comparable: client.seed_policy fixed 0 → chosen",
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), origin="measured"),
            "not comparable: provenance.origin simulated → measured",
        ),
        (
            row(recipe(), 4096, (10_000.0, 13.0), measure="aiperf"),
            "not comparable: provenance.measure replay → aiperf",
        ),
        (
            row(recipe(client=client(ignore_eos=False)), 4096, (10_000.0, 13.0)),
            "not comparable: client.ignore_eos true → false",
        ),
    ],
)
def test_two_series_are_not_compared_and_the_reason_is_said(now: HistoryRow, reason: str) -> None:
    found = change(now)
    assert (found.verdict, found.tok_s_gpu_change, found.before_tok_s_gpu) == ("unknown", None, None)
    assert found.reason.startswith(reason)


def test_another_seed_is_named() -> None:
    found = change(row(recipe(), 4096, (1.0, 1.0), seed=7))
    assert ("provenance.seed", "0", "7") in [(diff.field, diff.before, diff.after) for diff in found.differs]


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        (row(recipe(), 4096, failure="worker died"), THEN, "failed now: worker died"),
        (
            row(recipe(), 4096, (9.0, 9.0), reasons=("too few requests",)),
            THEN,
            "refused now: too few requests",
        ),
        (THEN, row(recipe(), 4096, failure="never ready"), "failed before: never ready"),
        (THEN, row(recipe(), 4096, (9.0, 9.0), reasons=("drift",)), "refused before: drift"),
    ],
)
def test_without_a_point_to_trust_there_is_no_verdict(
    now: HistoryRow, before: HistoryRow, reason: str
) -> None:
    found = change(now, before)
    assert (found.verdict, found.reason, found.tok_s_gpu_change) == ("unknown", reason, None)


def test_one_measured_night_cannot_tell_but_shows_its_figures() -> None:
    measured = {"origin": "measured", "measure": "aiperf"}
    found = change(
        row(recipe(), 4096, (5_000.0, 13.0), **measured), row(recipe(), 4096, (10_000.0, 13.0), **measured)
    )
    assert (found.verdict, found.reason) == ("unknown", "one night each; noise not known yet")
    assert found.tok_s_gpu_change == pytest.approx(-0.5)


def test_what_is_gone_is_missing_or_not_planned_any_more() -> None:
    kept, gone = recipe("6p1d-dep4-dep8"), recipe("5p1d-dep4-dep8")
    before = [row(kept, 4096, (1.0, 1.0)), row(gone, 4096, (1.0, 1.0))]
    said = {
        found.recipe: found.reason for found in compare([], before, planned=[kept.id], relevant_change=0.01)
    }
    assert said == {kept.id: "missing now: no result arrived", gone.id: "not planned any more"}


def test_a_new_concurrency_has_no_earlier_run() -> None:
    found = {
        one.conc: one
        for one in compare([THEN, row(recipe(), 512, (1.0, 1.0))], [THEN], planned=[], relevant_change=0.01)
    }
    assert found[512].reason == "no earlier run of this point"
    assert found[4096].verdict == "same"


def test_a_renamed_recipe_keeps_its_past() -> None:
    renamed = recipe("6p1d-dep4-dep8-long", was=(recipe().id,))
    found = change(row(renamed, 4096, (9_000.0, 13.0)))
    assert (found.recipe, found.verdict) == (f"{PREFIX}.gb300-nvl72.8k1k.6p1d-dep4-dep8-long", "worse")


def test_without_anything_earlier_nothing_is_said() -> None:
    assert compare([THEN], [], planned=[], relevant_change=0.01) == ()
