"""A retraction names what it retracts, and reaches reports, pages, index, badge and feed."""

import json
from pathlib import Path

import pytest

from pipeline import cli, store
from pipeline.errors import ArtifactError
from pipeline.publish import report_message, site
from pipeline.publish.message import WorkflowRun
from pipeline.schema.history import Tombstone
from pipeline.store import report_rows
from tests.fakes.results import recipe, result_folder

WHO = {"who": "ada", "at": "2026-11-25T00:00:00+00:00"}


@pytest.fixture
def history(tmp_path) -> str:
    url = str(tmp_path / "history")
    runs = [("nightly", 1), ("nightly", 2), ("nightly-1", 1), ("901", 1), ("901-1", 1)]
    store.ingest(url, [result_folder(run=run, attempt=attempt) for run, attempt in runs])
    return url


def left(url: str) -> set[tuple[str, int]]:
    return {
        (one["run_id"], one["attempt"])
        for one in store.query(url, "select distinct run_id, attempt from points")
    }


def test_an_attempt_and_a_run_of_its_name_are_retracted_apart(history):
    store.retract(history, "nightly", 1, reason="image", **WHO)
    assert left(history) == {("nightly", 2), ("nightly-1", 1), ("901", 1), ("901-1", 1)}
    store.retract(history, "nightly-1", reason="heat", **WHO)
    store.retract(history, "901-1", reason="heat", **WHO)
    store.retract(history, "901", 1, reason="image", **WHO)
    assert left(history) == {("nightly", 2)}
    assert len(list(Path(history, "tombstones").iterdir())) == 4


def test_a_tombstone_of_an_earlier_version_keeps_its_meaning(history):
    old = Tombstone(run_id="nightly", attempt=1, reason="image", **WHO)
    Path(history, "tombstones").mkdir()
    Path(history, "tombstones", "nightly-1.json").write_text(old.to_json())
    assert store.retract(history, "nightly", 1, reason="image", **WHO) == old
    store.retract(history, "nightly-1", reason="heat", **WHO)
    assert left(history) == {("nightly", 2), ("901", 1), ("901-1", 1)}


def test_the_answer_says_what_was_retracted(history, capsys):
    assert cli.run(["retract", "nightly", "--reason", "heat", "--history", history], {}) == 0
    assert "run nightly is retracted (heat)" in (said := capsys.readouterr().err)
    assert "attempts 1, 2" in said
    words = ["retract", "901", "--attempt", "1", "--reason", "heat", "--history", history]
    assert cli.run(words, {}) == 0
    assert "attempt 1 of run 901 is retracted" in capsys.readouterr().err


def test_a_report_of_a_retracted_run_says_so(history):
    report_rows.rows_of_run(history, [recipe()], "nightly", None)
    store.retract(history, "nightly", 1, reason="image", **WHO)
    report_rows.rows_of_run(history, [recipe()], "nightly", None)  # another attempt is left
    store.retract(history, "nightly", 2, reason="heat", **WHO)
    with pytest.raises(ArtifactError, match=r"run nightly is retracted \((image|heat)\)"):
        report_rows.rows_of_run(history, [recipe()], "nightly", [recipe().id])


def page(place: Path, run: str, attempt: int = 1, verdict: str = "better") -> None:
    report = place / f"report-{run}-{attempt}"
    report.mkdir()
    (report / "README.md").write_text("figures")
    message = report_message.of_nothing("night", run, "")
    entry = report_message.page_entry(
        message,
        WorkflowRun("acme/bench", run, attempt),
        site_url="https://x",
        published_at=f"2026-11-2{attempt}T00:00:00+00:00",
    ).model_copy(update={"verdict": verdict, "headline": f"headline of {run} {attempt}"})
    site.add(place / "site", report, entry)


def test_pages_index_badge_and_feed_of_a_retracted_run_are_redone(history, tmp_path, capsys):
    page(tmp_path, "901", 1, "same")
    page(tmp_path, "nightly", 1)
    page(tmp_path, "nightly", 2, "worse")
    site.rebuild(tmp_path / "site")
    assert json.loads((tmp_path / "site" / "badge.json").read_text())["message"] == "worse"
    words = ["retract", "nightly", "--attempt", "2", "--reason", "wrong <image>", "--history", history]
    assert cli.run([*words, "--site", str(tmp_path / "site")], {}) == 0
    index, feed = ((tmp_path / "site" / name).read_text() for name in ("index.html", "feed.xml"))
    assert index.count("retracted (wrong &lt;image&gt;)") == 1
    assert "<h1>headline of" in index
    assert "<h1>headline of nightly 2" not in index
    assert feed.count("retracted (wrong &lt;image&gt;): headline of nightly 2") == 1
    assert json.loads((tmp_path / "site" / "badge.json").read_text())["message"] == "better"
    before = {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert site.mark(tmp_path / "site", store.retractions(history)) == []
    site.rebuild(tmp_path / "site")
    assert {path: path.read_bytes() for path in before} == before
