"""No result that contradicts itself is stored as valid, and none that does not is refused."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest

from pipeline import collect
from pipeline.deployment import invariants
from pipeline.edge import files
from pipeline.errors import ArtifactError
from pipeline.flow import ingesting
from pipeline.schema.result import Point, Result
from pipeline.store import rows
from tests.fakes import broken, results
from tests.golden.regenerate import invariants_page

NOW = datetime(2026, 12, 1, tzinfo=UTC)
CHANGES = {**broken.BROKEN, **broken.WITH_GAPS}


def refusal(record, points) -> str:
    try:
        invariants.refuse_broken(record, points, where="bench-1")
    except ArtifactError as error:
        return error.what
    return ""


def test_none_of_a_thousand_valid_results_is_refused():
    chance = random.Random(12)  # noqa: S311
    for _ in range(1_000):
        record, points = broken.valid(chance)
        assert refusal(record, points) == ""


def _with_gaps(chance):
    while True:
        record, points = broken.valid(chance)
        if record.job.recipe.workload.osl > 1:
            return record, points


@pytest.mark.parametrize("name", CHANGES)
def test_a_result_with_one_contradiction_is_refused(name):
    chance = random.Random(name)  # noqa: S311
    for _ in range(20):
        record, (point, *rest) = _with_gaps(chance)
        changed = point.model_copy(update=CHANGES[name](chance, point))
        assert refusal(record, (*rest, changed))
        kept = invariants.marked(
            invariants.Made(record.job.recipe, record.provenance.requests_per_conc, changed)
        )
        assert kept.status == "invalid"
        assert kept.reasons


def test_a_result_with_two_contradictions_is_refused():
    chance = random.Random(13)  # noqa: S311
    for first, second in combinations(CHANGES, 2):
        if all(name.startswith(("wall clock", "latencies in")) for name in (first, second)):
            continue  # one takes the other back, or all times have the other unit: the job's own times tell
        record, (point, *_) = _with_gaps(chance)
        once = point.model_copy(update=CHANGES[first](chance, point))
        twice = once.model_copy(update=CHANGES[second](chance, once))
        if twice != point and not (twice.status == "invalid" and twice.reasons):
            assert refusal(record, (twice,)), (first, second)


def test_the_digest_of_the_job_must_be_that_of_its_recipe():
    record, points = broken.valid(random.Random(14))  # noqa: S311
    job = record.job.model_copy(update={"deployment_digest": "0" * 64})
    assert refusal(record.model_copy(update={"job": job}), points).startswith("digest:")


def test_a_point_that_was_measured_so_is_kept_with_its_reason():
    record, (point, *_) = _with_gaps(random.Random(15))  # noqa: S311
    bad = point.model_copy(update=CHANGES["negative TPOT"](random, point))
    kept = invariants.marked(invariants.Made(record.job.recipe, record.provenance.requests_per_conc, bad, 4))
    assert {"latencies-positive", "latencies-add-up"} <= {reason.partition(":")[0] for reason in kept.reasons}
    assert refusal(record, (kept,)) == ""


@pytest.mark.parametrize(
    ("started", "finished", "word"),
    [
        ("2026-11-30T10:00:00Z", "2026-11-30T09:59:59Z", "before its start"),
        ("2026-11-10T10:00:00Z", "2026-11-30T10:00:00Z", "more than 7 days"),
        ("2019-11-30T10:00:00Z", "2019-11-30T11:00:00Z", "before this project"),
        ("2026-12-01T02:00:00Z", "2026-12-01T02:00:00Z", "in the future"),
        ("0001-01-01T00:00:00+05:00", "2026-11-30T10:00:00Z", "not a time"),
        ("9999-12-31T23:59:59-05:00", "2026-11-30T10:00:00Z", "not a time"),
        ("2026-11-30T10:00:00", "2026-11-30T10:00:00Z", "without an offset"),
        ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", "before its plan"),
    ],
)
def test_times_that_no_clock_gives_are_refused(started, finished, word):
    record = results.record(started_at=started, finished_at=finished)
    with pytest.raises(ArtifactError, match=word):
        invariants.refuse_times(record, NOW, made={"plan-101": NOW - timedelta(days=5)}, where="bench-1")


def test_a_clock_that_is_a_little_ahead_is_said_and_an_old_study_is_not_new():
    ahead = results.record(started_at="2026-12-01T00:20:00Z", finished_at="2026-12-01T00:30:00Z")
    (line,) = invariants.refuse_times(ahead, NOW, made={}, where="bench-1")
    assert "1800 s ahead" in line
    old = results.record(
        origin="published", started_at="2019-11-30T10:00:00Z", finished_at="2019-11-30T10:00:00Z"
    )
    assert invariants.refuse_times(old, NOW, made={}, where="bench-1") == []


def test_a_live_job_is_at_least_as_long_as_its_points():
    record, points = broken.valid(random.Random(16))  # noqa: S311
    slow = [point.model_copy(update=CHANGES["wall clock in ms"](random, point)) for point in points]
    slow = [point.model_copy(update=CHANGES["latencies in microseconds"](random, point)) for point in slow]
    assert refusal(record, slow) == ""  # in virtual time
    provenance = record.provenance.model_copy(update={"measure": "aiperf", "origin": "measured"})
    assert refusal(record.model_copy(update={"provenance": provenance}), slow).startswith("wall-clock:")


def changed(folder: Path, **figures) -> Path:
    """The folder with other figures in its first point, and with the hashes of the new files."""
    raw = json.loads((folder / "results.json").read_text())
    raw["points"][0] |= figures
    for name in ("total_tok_s_gpu", "input_tok_s_gpu", "output_tok_s_gpu", "interactivity"):
        if name not in figures:
            raw["points"][0].pop(name)
    return rewritten(folder, "results.json", json.dumps(raw))


def rewritten(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    hashed = f"{files.sha256(text.encode())}  {name}"
    (folder / "SHA256SUMS").write_text(
        "\n".join([line for line in sums if not line.endswith(name)] + [hashed]) + "\n"
    )
    return folder


def ingest(tmp_path: Path, **named):
    return ingesting.ingest([tmp_path / "in"], str(tmp_path / "history"), now=NOW, **named)


NAMES = ("1p1d-dep4-dep8", "2p1d-dep4-dep8", "3p1d-dep4-dep8")


@pytest.mark.parametrize(
    "figures",
    [
        {"gpus_prefill": 0, "gpus_decode": 0},
        {"gpus_prefill": 4, "gpus_decode": 4},
        {"completed": 0},
        {"total_tok_s_gpu": 44_390.0},
        {"interactivity": 12_657.0},
        {"input_tokens": -5},
        {"input_tokens": 10**400},
        {"requests": 2**63},
        {"conc": 2**31},
        {"gpus_held": 1},
        {"tpot_ms": {"n": 40, "mean": -3.0, "p50": -3.0, "p90": -3.0, "p99": None}},
        {"tpot_ms": {"n": 40, "mean": 5e-324, "p50": 5e-324, "p90": 5e-324, "p99": None}},
        {"ttft_ms": {"n": 30, "mean": 1.0, "p50": 1.0, "p90": 1.0, "p99": 1.0}},
        {"duration_s": 1e308},
        {"duration_s": 5e-324},
        {"duration_s": 0},
        {"requests": 500},
    ],
)
def test_a_folder_that_contradicts_itself_is_refused_alone(figures, tmp_path):
    for name in NAMES:
        folder = results.folder(tmp_path / "in", results.record(results.recipe(name)))
        if name == NAMES[1]:
            changed(folder, **figures)
    ingested = ingest(tmp_path)
    assert ingested.lacking is not None
    assert ingested.lacking.exit_code == 7
    found = rows(str(tmp_path / "history"))
    assert {row.record.job.id for row in found} == {results.recipe(name).id for name in (NAMES[0], NAMES[2])}


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 2, "points":' + "[" * 100_000,
        '{"schema": 2, "points": [' + '{"a":' * 3_000,
        "[" * 900 + "]" * 900,
        '{"schema": 2, "points": [{"conc": ' + "9" * 5_000 + "}]}",
        "\ufeff{}",
        "",
        '"\\ud800"',
        '{"schema": 2, "points": NaN}',
        '{"schema": 2, "points": [1, null, [], {}]}',
        '{"schema": 2, "points": {}}',
        '{"schema": true}',
        "null",
    ],
)
def test_a_document_that_is_none_costs_its_folder(text, tmp_path):
    results.folder(tmp_path / "in", results.record(results.recipe(NAMES[0])))
    for number, name in enumerate(("results.json", "job.json")):
        folder = results.folder(tmp_path / "in", results.record(results.recipe(NAMES[1 + number])))
        rewritten(folder, name, text)
    ingested = ingest(tmp_path)
    assert len(ingested.summaries) == 1
    assert ingested.summaries[0].jobs_new == 1
    assert ingested.lacking is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"attempt": 1', '"attempt": 2147483648'),
        ('"attempt": 1', '"attempt": 1e300'),
        ("2026-11-23T02:00:00Z", "0001-01-01T00:00:00+05:00"),
        ("2026-11-23T02:00:00Z", "9999-12-31T23:59:59-05:00"),
        ("2026-11-23T02:00:00Z", "2026-12-01T05:00:00Z"),
        ('"conc": [', f'"conc": [{", ".join(map(str, range(1, 1_000)))},'),
        ('"workers": 2', '"workers": 0'),
    ],
)
def test_a_job_record_of_impossible_figures_costs_its_folder(old, new, tmp_path):
    results.folder(tmp_path / "in", results.record(results.recipe(NAMES[0])))
    folder = results.folder(tmp_path / "in", results.record(results.recipe(NAMES[1])))
    text = (folder / "job.json").read_text()
    assert old in text
    rewritten(folder, "job.json", text.replace(old, new, 1))
    ingested = ingest(tmp_path)
    assert [one.jobs_new for one in ingested.summaries] == [1]
    assert ingested.lacking is not None


def test_a_large_job_record_costs_its_folder(tmp_path):
    folder = results.folder(tmp_path / "in", results.record(results.recipe(NAMES[0])))
    text = (folder / "job.json").read_text()
    rewritten(
        folder, "job.json", text.replace('"commands": {', '"commands": {"a": ["' + "x" * (3 << 20) + '"]', 1)
    )
    with pytest.raises(ArtifactError, match="2 MiB"):
        collect.read(folder)


def test_a_folder_that_claims_another_run_is_refused_alone(tmp_path):
    results.folder(tmp_path / "in", results.record(results.recipe(NAMES[0])))
    results.folder(tmp_path / "in", results.record(results.recipe(NAMES[1]), run="999"))
    ingested = ingest(tmp_path, run_id="101")
    assert [(one.run_id, one.jobs_new) for one in ingested.summaries] == [("101", 1)]
    assert ingested.lacking is not None
    assert "999" in str(ingested.lacking)


def test_two_contents_of_one_job_cost_that_job_in_any_order(tmp_path):
    for number in (1, 2):
        made = results.record(results.recipe(NAMES[0]), git_sha=str(number) * 40)
        results.folder(tmp_path / f"in{number}", made)
    results.folder(tmp_path / "in1", results.record(results.recipe(NAMES[1])))
    folders = [tmp_path / "in1", tmp_path / "in2"]
    for order, name in ((folders, "a"), (folders[::-1], "b")):
        ingested = ingesting.ingest(order, str(tmp_path / name), now=NOW)
        assert ingested.lacking is not None
        assert {row.record.job.id for row in rows(str(tmp_path / name))} == {results.recipe(NAMES[1]).id}


def test_the_same_folders_give_the_same_history_in_any_order_and_number_of_calls(tmp_path):
    made = [
        results.folder(
            tmp_path / "in",
            results.record(
                results.recipe(name),
                attempt=attempt,
                started_at=start,
                finished_at=start.replace(":00Z", ":30Z"),
            ),
        )
        for name, attempt, start in (
            (NAMES[0], 1, "2026-11-23T23:00:00Z"),
            (NAMES[1], 1, "2026-11-24T00:10:00Z"),
            (NAMES[1], 2, "2026-11-24T03:00:00Z"),
            (NAMES[2], 3, "2026-11-25T03:00:00Z"),
        )
    ]
    found = []
    for order in (made, made[::-1], [made[2], made[0], made[3], made[1]]):
        for size in (1, 2, 4):
            history = str(tmp_path / f"history-{len(found)}")
            for first in range(0, 4, size):
                assert ingesting.ingest(order[first : first + size], history, now=NOW).lacking is None
            found.append((rows(history), rows(history, date_from="2026-11-24")))
    assert all(one == found[0] for one in found)
    assert {row.run[1] for row in found[0][0]} == {1, 2, 3}


def test_what_looks_like_a_result_and_was_not_taken_is_named(tmp_path):
    folder = results.folder(tmp_path / "in", results.record(results.recipe(NAMES[0])))
    (tmp_path / "in" / "older").mkdir()
    results.folder(tmp_path / "in" / "older", results.record(results.recipe(NAMES[1])))
    copy = tmp_path / "in" / f"copy of {folder.name}"
    copy.mkdir()
    for path in folder.glob("*.json"):
        (copy / path.name).write_bytes(path.read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("")
    ingested = ingest(tmp_path)
    assert [one.jobs_new for one in ingested.summaries] == [1]
    assert ingested.lacking is not None
    assert "older/bench-101-1" in str(ingested.lacking)
    assert "copy of bench-101-1" in str(ingested.lacking)
    assert any("notes.txt" in line for line in ingested.passed_over)


def test_the_page_of_invariants_is_written_from_the_list():
    for path, text in invariants_page().items():
        assert path.read_text("utf-8") == text


def test_derived_figures_of_a_written_result_are_those_that_follow(tmp_path):
    folder = results.folder(tmp_path, results.record(results.recipe(NAMES[0])))
    points = collect.read(folder).points
    assert Result(points=tuple(point for point in points if isinstance(point, Point))).points == points
