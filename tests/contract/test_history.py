"""Histories and result folders as earlier versions wrote them: real files, read and continued by today's code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pyarrow import parquet

from pipeline import collect, store
from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow
from pipeline.schema.result import ResultFolder
from tests.fakes import results, rows

FROZEN = Path(__file__).parent / "frozen"
VERSIONS = pytest.mark.parametrize("version", [1, 2, 3])
WRITTEN = ("results.json", "job.json")
FOLDERS = {
    1: (1, 1),
    2: (2, 1),
    3: (2, 2),
}  # schema versions of these two that wrote history files of a version
RECIPE = results.recipe().id
SHOWN = "SELECT recipe, conc, status FROM points WHERE run_id = '101' ORDER BY recipe, conc"


def history(tmp_path: Path, version: int) -> str:
    return str(shutil.copytree(FROZEN / f"history.{version}", tmp_path / "history"))


def arrived(version: int) -> ResultFolder:
    (folder,) = collect.find([FROZEN / f"result-folder.{version}"])
    return collect.read(folder)


def later() -> ResultFolder:
    """The next run of the same recipe: its second concurrency is not valid this time either."""
    new = results.result_folder(run="102", started_at="2026-11-24T02:00:00+00:00")
    good, bad = new.points
    reasons = ("lost-requests: 79 of 80 completed",)
    return new.model_copy(
        update={"points": (good, rows.point(new.record.job.recipe, bad.conc, 1000.0, 30.0, reasons=reasons))}
    )


def test_the_frozen_files_are_of_the_versions_that_they_are_named_by():
    for version, word in ((1, b"refused"), (2, b"invalid"), (3, b"invalid")):
        (path,) = (FROZEN / f"history.{version}").rglob("*.parquet")
        table = parquet.read_table(path)
        assert table.schema.metadata[b"schema"] == str(version).encode()
        assert [json.loads(text)["schema"] for text in table["document"].to_pylist()] == [version] * 4
        assert word.decode() in table["status"].to_pylist()
        (results_json,) = (FROZEN / f"result-folder.{version}").rglob("results.json")
        assert word in results_json.read_bytes()
        written = {name: json.loads(results_json.with_name(name).read_bytes())["schema"] for name in WRITTEN}
        assert tuple(written.values()) == FOLDERS[version]


@VERSIONS
def test_a_result_folder_of_any_version_is_read_and_stored(tmp_path, version):
    folder = arrived(version)
    assert [point.status for point in folder.points] == ["ok", "invalid"]
    assert [len(point.not_evaluated) for point in folder.points] == [1, 0]
    (summary,) = store.ingest(str(tmp_path), [folder])
    assert summary.jobs_new == 1
    assert [row.point for row in store.rows(str(tmp_path))] == list(folder.points)


@VERSIONS
def test_a_folder_that_an_earlier_version_stored_is_known(tmp_path, version):
    url = history(tmp_path, version)
    (summary,) = store.ingest(url, [arrived(version)])
    assert (summary.jobs_new, summary.jobs_known, summary.path) == (0, 1, None)


@VERSIONS
def test_every_reader_shows_a_stored_status_under_its_new_name(tmp_path, version):
    url = history(tmp_path, version)
    found = {(row.record.job.recipe.id, row.conc): row for row in store.rows(url)}
    assert [row.point.status for row in found.values() if row.point] == ["ok", "invalid", "ok"]
    assert [row.schema_version for row in found.values()] == [HistoryRow.current_version()] * 4
    shown = store.query(url, SHOWN)
    assert [one["status"] for one in shown] == ["ok", "invalid", "failed", "ok"]
    assert [(one["recipe"], one["conc"]) for one in shown] == list(found)
    assert store.query(url, "SELECT conc FROM points WHERE status = 'invalid'") == [{"conc": 8}]
    assert store.query(url, "SELECT conc FROM points WHERE status = 'refused'") == []
    assert "invalid" in store.query_text(url, SHOWN)


@VERSIONS
def test_a_history_that_spans_the_versions_is_one_series(tmp_path, version):
    url = history(tmp_path, version)
    store.ingest(url, [later()])
    series = store.query(
        url,
        "SELECT conc, list(run_id ORDER BY run_id) AS runs, count(DISTINCT series_key) AS series,"
        " count(DISTINCT point_key) AS points, list(status ORDER BY run_id) AS statuses"
        " FROM points WHERE recipe LIKE '%.1p1d-dep4-dep8' GROUP BY conc ORDER BY conc",
    )
    runs = ["101", "102"]
    assert series == [
        {"conc": 4, "runs": runs, "series": 1, "points": 1, "statuses": ["ok", "ok"]},
        {"conc": 8, "runs": runs, "series": 1, "points": 1, "statuses": ["invalid", "invalid"]},
    ]
    own = store.rows(url, select=RECIPE)
    assert {(row.conc, row.record.series_key(row.conc)) for row in own} == {
        (conc, rows.record(results.recipe()).series_key(conc)) for conc in results.CONCS
    }
    current, previous = store.latest(url, {RECIPE: ()})
    assert [(row.run[0], row.conc, row.point.status) for row in current] == [
        ("102", 4, "ok"),
        ("102", 8, "invalid"),
    ]
    assert [(row.run[0], row.conc, row.point.status) for row in previous] == [
        ("101", 4, "ok"),
        ("101", 8, "invalid"),
    ]
    assert store.current_and_previous(own, {RECIPE: ()}) == (current, previous)


@VERSIONS
def test_an_invalid_retry_does_not_replace_a_valid_point_of_another_version(tmp_path, version):
    url = history(tmp_path, version)
    retry = results.result_folder(run="101", attempt=2, started_at="2026-11-23T03:00:00+00:00")
    points = tuple(
        rows.point(retry.record.job.recipe, conc, 900.0, 30.0, reasons=("drift: x",))
        for conc in results.CONCS
    )
    store.ingest(url, [retry.model_copy(update={"points": points})])
    assert [(row.conc, row.run, row.point.status) for row in store.rows(url, select=RECIPE)] == [
        (4, ("101", 1), "ok"),
        (8, ("101", 2), "invalid"),
    ]


@VERSIONS
def test_a_run_of_any_version_is_retracted(tmp_path, version):
    url = history(tmp_path, version)
    store.ingest(url, [later()])
    store.retract(url, "101", reason="wrong image", who="ada", at="2026-11-25T08:00:00+00:00")
    assert {row.run[0] for row in store.rows(url)} == {"102"}
    assert store.query(url, "SELECT DISTINCT run_id FROM points") == [{"run_id": "102"}]


@pytest.mark.parametrize(
    "read", [store.rows, lambda url: store.latest(url, {RECIPE: ()}), lambda url: store.query(url, SHOWN)]
)
@pytest.mark.parametrize("metadata", [str(HistoryRow.current_version() + 1), "x"])
def test_a_history_file_of_a_newer_version_is_refused_by_every_reader(tmp_path, read, metadata):
    url = history(tmp_path, 3)
    (path,) = Path(url).rglob("*.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.replace_schema_metadata({"schema": metadata}), path)
    with pytest.raises(
        ArtifactError, match=f"schema {metadata}, .* reads up to {HistoryRow.current_version()}"
    ) as caught:
        read(url)
    assert caught.value.where.endswith("101-1.parquet")
    assert caught.value.hint == "upgrade rackbench"


def test_a_file_that_states_no_version_is_read_as_the_first(tmp_path):
    url = history(tmp_path, 1)
    (path,) = Path(url).rglob("*.parquet")
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)
    assert [one["status"] for one in store.query(url, SHOWN)] == ["ok", "invalid", "failed", "ok"]
