from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline import store
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, FileError, PipelineError
from pipeline.schema.result import ResultFolder
from tests.fakes import results, rows
from tests.fakes.results import recipe, result_folder

WHO = {"who": "ada", "at": "2026-11-24T08:00:00+00:00"}
OTHER = "2p1d-dep4-dep8"


def on_day(number: int) -> str:
    return f"2026-11-{number:02}T01:00:00+00:00"


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def refused(message: str, *arguments, call=store.ingest, **named) -> ArtifactError:
    with pytest.raises(ArtifactError, match=message) as caught:
        call(*arguments, **named)
    assert caught.value.exit_code == 7
    return caught.value


@pytest.fixture
def url(tmp_path) -> str:
    return str(tmp_path / "history")


def test_points_come_back_as_they_went_in(url):
    arrived = result_folder()
    (summary,) = store.ingest(url, [arrived])
    found = store.rows(url)
    assert [row.point for row in found] == list(arrived.points)
    assert all(row.record == arrived.record for row in found)
    assert all(
        (row.date, row.folder, row.sums_sha256, row.failure)
        == ("2026-11-23", arrived.folder, arrived.sums_sha256, None)
        for row in found
    )
    assert summary.model_dump() == {
        "run_id": "101",
        "attempt": 1,
        "jobs_new": 1,
        "jobs_known": 0,
        "path": "points/date=2026-11-23/101-1.parquet",
    }


def test_a_failed_job_is_a_row_for_each_concurrency_without_a_point(url):
    store.ingest(url, [result_folder(failed="never became ready")])
    found = store.rows(url)
    assert [(row.conc, row.point, row.failure.what) for row in found] == [
        (conc, None, "never became ready") for conc in results.CONCS
    ]
    assert store.query(url, "SELECT DISTINCT status, total_tok_s_gpu FROM points") == [
        {"status": "failed", "total_tok_s_gpu": None}
    ]


def test_an_empty_history_has_no_rows(url):
    assert store.rows(url) == ()


def test_ingesting_again_writes_nothing(url):
    store.ingest(url, [result_folder()])
    before = content(Path(url))
    (summary,) = store.ingest(url, [result_folder(), result_folder()])
    assert (summary.jobs_new, summary.jobs_known, summary.path) == (0, 1, None)
    assert content(Path(url)) == before


def test_other_content_of_a_known_job_is_refused_before_anything_is_written(url):
    store.ingest(url, [result_folder()])
    before = content(Path(url))
    error = refused(
        "101 attempt 1 already has .* with other content",
        url,
        [result_folder(run="100"), result_folder(tok_s_gpu=2.0)],
    )
    assert "use a new attempt for a retry" in error.hint
    assert content(Path(url)) == before
    refused(
        "another folder of this ingest",
        url,
        [result_folder(run="102"), result_folder(run="102", tok_s_gpu=2.0)],
    )
    assert content(Path(url)) == before


def test_jobs_that_arrive_later_go_to_a_file_of_their_own_beside_the_first(url):
    late = [result_folder(recipe(name), started_at=on_day(23)) for name in (OTHER, "3p1d-dep4-dep8")]
    store.ingest(url, [result_folder(started_at=on_day(23))])
    (second,) = store.ingest(url, [result_folder(started_at=on_day(23)), late[0]])
    (third,) = store.ingest(url, late)
    assert (second.path, second.jobs_new, second.jobs_known) == (
        "points/date=2026-11-23/101-1+2.parquet",
        1,
        1,
    )
    assert third.path == "points/date=2026-11-23/101-1+3.parquet"
    assert len(store.rows(url)) == 6


def test_each_run_attempt_has_a_file_for_each_utc_day_on_which_its_jobs_started(url):
    eve = result_folder(started_at="2026-11-24T01:30:00+02:00")
    day = result_folder(recipe(OTHER), started_at="2026-11-24T00:30:00Z")
    paths = [
        summary.path
        for summary in store.ingest(
            url, [day, eve, result_folder(run="102", attempt=2, started_at=on_day(25))]
        )
    ]
    days = ("2026-11-23/101-1", "2026-11-24/101-1", "2026-11-25/102-2")
    assert paths == [f"points/date={name}.parquet" for name in days]
    assert {row.date for row in store.rows(url, date_from="2026-11-24")} == {"2026-11-24", "2026-11-25"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"run": "../../up"}, "run id"),
        ({"run": "a+2"}, "run id"),
        ({"started_at": "yesterday"}, "not a time"),
        ({"started_at": "2026-11-24T00:30:00"}, "without an offset"),
    ],
)
def test_an_arrival_that_cannot_be_placed_is_refused(url, changed, message):
    refused(message, url, [result_folder(run="100"), result_folder(**changed)])
    assert not Path(url).exists()


def test_an_arrival_with_neither_points_nor_failure_is_refused(url):
    refused("neither points nor failure", url, [result_folder().model_copy(update={"points": ()})])
    twice = result_folder().points[:1] * 2
    refused("same conc twice", url, [result_folder().model_copy(update={"points": twice})])


def test_rows_are_those_of_recipes_that_match(url):
    store.ingest(url, [result_folder(), result_folder(recipe(OTHER))])
    assert {row.record.job.id for row in store.rows(url, select="*.2p1d-*")} == {recipe(OTHER).id}


def test_a_run_is_represented_by_its_newest_attempt_with_a_point(url):
    attempts = [
        result_folder(attempt=1),
        result_folder(attempt=2, tok_s_gpu=2000.0),
        result_folder(attempt=3, failed="node died"),
    ]
    store.ingest(url, attempts)
    assert {row.run for row in store.rows(url)} == {("101", 2)}
    store.retract(url, "101", 2, reason="wrong image", **WHO)
    assert {row.run for row in store.rows(url)} == {("101", 1)}
    store.retract(url, "101", 1, reason="wrong image", **WHO)
    assert {row.run for row in store.rows(url)} == {("101", 3)}


def invalid(arrived: ResultFolder) -> ResultFolder:
    """The same, with every point invalid."""
    return arrived.model_copy(
        update={"points": tuple(one.model_copy(update={"status": "invalid"}) for one in arrived.points)}
    )


def test_an_invalid_attempt_does_not_replace_an_older_valid_one_and_is_still_there_for_sql(url):
    store.ingest(
        url,
        [
            result_folder(attempt=1),
            invalid(result_folder(attempt=2)),
            result_folder(attempt=3, failed="node died"),
        ],
    )
    assert {row.run for row in store.rows(url)} == {("101", 1)}
    assert len(store.query(url, "SELECT DISTINCT attempt FROM points")) == 3
    store.retract(url, "101", 1, reason="wrong image", **WHO)
    assert {row.run for row in store.rows(url)} == {("101", 2)}


def test_of_two_valid_attempts_the_newer_counts_whichever_is_faster(url):
    store.ingest(url, [result_folder(attempt=1, tok_s_gpu=2000.0), result_folder(attempt=2)])
    assert {row.run for row in store.rows(url)} == {("101", 2)}


def test_every_reader_honours_a_tombstone_and_the_points_stay_where_they_are(url):
    store.ingest(url, [result_folder(), result_folder(run="102")])
    before = content(Path(url))
    store.retract(url, "101", reason="thermal event", **WHO)
    assert {row.run[0] for row in store.rows(url)} == {"102"}
    assert store.query(url, "SELECT DISTINCT run_id FROM points") == [{"run_id": "102"}]
    assert {row.run[0] for row in store.latest(url, {recipe().id: ()})[0]} == {"102"}
    assert set(content(Path(url))) - set(before) == {"tombstones/101.json"}


def test_a_retraction_is_said_once(url):
    store.ingest(url, [result_folder()])
    tombstone = store.retract(url, "101", reason="thermal event", **WHO)
    before = content(Path(url))
    assert store.retract(url, "101", reason="thermal event", who="bob", at=on_day(25)) == tombstone
    refused(
        "already retracted by ada", url, "101", call=store.retract, reason="another", who="bob", at=on_day(25)
    )
    assert content(Path(url)) == before


def test_a_run_that_was_never_stored_cannot_be_retracted(url):
    store.ingest(url, [result_folder()])
    refused("no run 999", url, "999", call=store.retract, reason="typo", **WHO)
    refused("no run 101 attempt 7", url, "101", 7, call=store.retract, reason="typo", **WHO)


def test_a_retracted_run_stays_retracted_when_its_folders_come_again(url):
    store.ingest(url, [result_folder()])
    store.retract(url, "101", reason="thermal event", **WHO)
    store.ingest(url, [result_folder(), result_folder(recipe(OTHER))])
    assert store.rows(url) == ()


def pairs(found) -> list[set[str]]:
    return [{row.run[0] for row in part} for part in found]


def test_a_recipes_newest_run_is_paired_with_the_one_before_it_although_its_deployment_changed(url):
    changed = recipe(image="vllm/vllm-openai:v0.21.0")
    store.ingest(
        url,
        [
            result_folder(run="9", started_at=on_day(20)),
            result_folder(changed, run="10", started_at=on_day(21)),
        ],
    )
    recipes = {recipe().id: ()}
    assert pairs(store.current_and_previous(store.rows(url), recipes)) == [{"10"}, {"9"}]
    assert store.latest(url, recipes) == store.current_and_previous(store.rows(url), recipes)


def test_time_orders_runs_and_offsets_do_not_deceive_it(url):
    early, late = "2026-11-21T01:00:00+02:00", "2026-11-20T23:30:00+00:00"
    store.ingest(url, [result_folder(run="2", started_at=early), result_folder(run="1", started_at=late)])
    assert pairs(store.latest(url, {recipe().id: ()})) == [{"1"}, {"2"}]


def test_runs_of_another_origin_or_request_count_or_without_a_valid_point_are_passed_over(url):
    before = [
        result_folder(run="1", started_at=on_day(1)),
        result_folder(run="2", started_at=on_day(2), requests_per_conc=2),
        result_folder(run="3", started_at=on_day(3), origin="measured"),
        result_folder(run="4", started_at=on_day(4), failed="node died"),
        invalid(result_folder(run="5", started_at=on_day(5))),
    ]
    store.ingest(url, [*before, result_folder(run="6", started_at=on_day(6), seed=77)])
    assert pairs(store.latest(url, {recipe().id: ()})) == [{"6"}, {"1"}]


def test_an_invalid_point_does_not_replace_an_earlier_valid_one(url):
    whole = result_folder(run="2", started_at=on_day(2))
    first, second = invalid(whole).points[0], whole.points[1]
    torn = whole.model_copy(update={"points": (first, second)})
    store.ingest(
        url,
        [result_folder(run="1", started_at=on_day(1)), torn, result_folder(run="3", started_at=on_day(3))],
    )
    _, previous = store.latest(url, {recipe().id: ()})
    assert [(row.run[0], row.conc) for row in previous] == [("1", first.conc), ("2", second.conc)]
    assert store.latest(url, {recipe().id: ()}) == store.current_and_previous(
        store.rows(url), {recipe().id: ()}
    )


def test_a_concurrency_that_was_removed_is_reported_for_one_run(url):
    fewer = recipe(conc=(4,))
    earlier = [
        result_folder(run="1", started_at=on_day(1)),
        *(result_folder(fewer, run=str(day), started_at=on_day(day)) for day in (2, 3)),
    ]
    store.ingest(url, earlier)
    recipes = {recipe().id: ()}
    assert [(row.run[0], row.conc) for row in store.latest(url, recipes, run_id="2")[1]] == [
        ("1", 4),
        ("1", 8),
    ]
    assert [(row.run[0], row.conc) for row in store.latest(url, recipes)[1]] == [("2", 4)]


OTHER_SETTINGS = {
    "measure": {"measure": "aiperf"},
    "time scale": {"time_scale": 40.0},
    "seed": {"seed": 77},
    "client": {"of": recipe(client=rows.client(shortest=0.5))},
}


@pytest.mark.parametrize("other", OTHER_SETTINGS.values(), ids=OTHER_SETTINGS)
def test_an_older_run_of_the_same_settings_goes_before_a_newer_one_of_others(url, other):
    edited = recipe(image="vllm/vllm-openai:v0.21.0")
    earlier = [
        result_folder(run="1", started_at=on_day(1)),
        result_folder(edited, run="2", started_at=on_day(2)),
    ]
    store.ingest(
        url,
        [
            *earlier,
            result_folder(run="3", started_at=on_day(3), **other),
            result_folder(run="4", started_at=on_day(4)),
        ],
    )
    recipes = {recipe().id: ()}
    assert pairs(store.latest(url, recipes)) == [{"4"}, {"2"}]
    assert store.latest(url, recipes) == store.current_and_previous(store.rows(url), recipes)


def test_without_a_run_of_the_same_settings_the_newest_is_given_so_that_its_difference_is_reported(url):
    others = [
        result_folder(run="1", started_at=on_day(1), measure="aiperf"),
        result_folder(run="2", started_at=on_day(2), time_scale=40.0),
    ]
    store.ingest(url, [*others, result_folder(run="3", started_at=on_day(3))])
    assert pairs(store.latest(url, {recipe().id: ()})) == [{"3"}, {"2"}]


def test_settings_are_known_under_a_former_id_and_at_other_concurrencies(url):
    former = recipe(OTHER, conc=(16,))
    earlier = [
        result_folder(former, run="1", started_at=on_day(1)),
        result_folder(former, run="2", started_at=on_day(2), time_scale=40.0),
    ]
    store.ingest(url, [*earlier, result_folder(run="3", started_at=on_day(3))])
    assert pairs(store.latest(url, {recipe().id: (former.id,)})) == [{"3"}, {"1"}]


def as_older_versions_wrote_it(path: Path) -> None:
    """Without the columns that arrived later."""
    parquet.write_table(parquet.read_table(path).drop_columns(["settings_key"]), path)


def test_files_without_the_column_of_settings_are_read_and_compared_by_their_documents(url):
    earlier = [
        result_folder(run="1", started_at=on_day(1)),
        result_folder(run="2", started_at=on_day(2), time_scale=40.0),
    ]
    store.ingest(url, earlier)
    for path in Path(url).rglob("*.parquet"):
        as_older_versions_wrote_it(path)
    store.ingest(url, [*earlier, result_folder(run="3", started_at=on_day(3))])
    assert len(store.rows(url)) == 6
    assert pairs(store.latest(url, {recipe().id: ()})) == [{"3"}, {"1"}]
    known = store.query(
        url, "SELECT run_id, count(settings_key) AS known FROM points GROUP BY run_id ORDER BY run_id"
    )
    assert [one["known"] for one in known] == [0, 0, 2]


def test_a_failed_run_is_the_current_one(url):
    store.ingest(
        url,
        [
            result_folder(run="1", started_at=on_day(1)),
            result_folder(run="2", started_at=on_day(2), failed="node died"),
        ],
    )
    current, previous = store.latest(url, {recipe().id: ()})
    assert [row.point for row in current] == [None, None]
    assert {row.run[0] for row in previous} == {"1"}


def test_a_recipe_is_known_by_its_former_ids(url):
    store.ingest(
        url,
        [
            result_folder(recipe(OTHER), run="1", started_at=on_day(1)),
            result_folder(run="2", started_at=on_day(2)),
        ],
    )
    assert pairs(store.latest(url, {recipe().id: (recipe(OTHER).id,)})) == [{"2"}, {"1"}]
    assert pairs(store.latest(url, {recipe().id: ()})) == [{"2"}, set()]


def test_a_stated_run_is_compared_with_those_before_it(url):
    store.ingest(url, [result_folder(run=str(day), started_at=on_day(day)) for day in (1, 2, 3)])
    assert pairs(store.latest(url, {recipe().id: ()}, run_id="2")) == [{"2"}, {"1"}]
    assert store.latest(url, {recipe().id: ()}, run_id="7") == ((), ())


def test_sql_sees_flat_columns_and_can_join(url):
    store.ingest(url, [result_folder()])
    sql = "SELECT p.recipe, p.conc, p.requests, p.started_at, round(q.interactivity) AS i FROM points p "
    sql += "JOIN points q USING (conc) ORDER BY 2"
    assert store.query(url, sql)[0] == {
        "recipe": recipe().id,
        "conc": 4,
        "requests": 40,
        "started_at": "2026-11-23T02:00:00.000000+00:00",
        "i": 30.0,
    }


@pytest.mark.parametrize(
    "sql",
    ["SELEC 1", "INSTALL httpfs", "COPY points TO 'stolen.csv'", "SELECT * FROM read_text('/etc/hostname')"],
)
def test_sql_that_is_wrong_or_reaches_outside_is_refused(url, tmp_path, monkeypatch, sql):
    store.ingest(url, [result_folder()])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="SQL"):
        store.query(url, sql)
    assert list(tmp_path.iterdir()) == [Path(url)]


READERS = pytest.mark.parametrize(
    "read",
    [
        store.rows,
        lambda url: store.query(url, "SELECT 1 FROM points"),
        lambda url: store.ingest(url, [result_folder()]),
    ],
)


@READERS
def test_a_torn_file_in_history_is_named(url, read):
    store.ingest(url, [result_folder()])
    path = Path(url, "points/date=2026-11-23/101-1.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert refused("cannot be read", url, call=read).where.endswith("101-1.parquet")


@READERS
def test_a_foreign_file_in_history_is_named(url, read):
    store.ingest(url, [result_folder()])
    Path(url, "points/date=2026-11-23/notes.txt").write_text("")
    refused("foreign file .*notes.txt", url, call=read)


def test_a_parquet_file_of_another_kind_is_named(url):
    store.ingest(url, [result_folder()])
    parquet.write_table(pa.table({"run_id": ["1"]}), Path(url, "points/date=2026-11-23/7-1.parquet"))
    assert refused("no column attempt", url, call=store.rows).where.endswith("7-1.parquet")


def test_what_a_killed_writer_left_is_not_read(url):
    store.ingest(url, [result_folder()])
    Path(url, "points/date=2026-11-23/.102-1.parquet.0123abcd").write_bytes(b"half")
    assert len(store.rows(url)) == 2


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*file/history/points/.*: Not a directory") as caught:
        store.ingest(str(tmp_path / "file" / "history"), [result_folder()])
    assert (caught.value.exit_code, caught.value.hint) == (9, "history is unchanged; ingest again")


def test_a_full_disk_leaves_history_as_it_was(url):
    store.ingest(url, [result_folder()])
    before = content(Path(url))
    script = (
        "import resource, sys; from pipeline import store; from pipeline.errors import FileError; from tests.fakes.results import *\n"
        "small, large = result_folder(run='102'), [result_folder(recipe(f'{n}p1d-dep4-dep8'), run='103') for n in range(2, 60)]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "try: store.ingest(sys.argv[1], [small, *large])\n"
        "except FileError as error: sys.stdout.write(f'{error.exit_code} {error}')\n"
    )
    done = Shell().run([sys.executable, "-c", script, url], timeout_s=60)
    assert done.stdout.startswith("9 cannot write "), done.stderr
    assert "points/date=2026-11-23/103-1.parquet: File too large" in done.stdout
    assert content(Path(url)) == before


def test_two_ingests_of_one_run_at_once_store_each_job_once(url):
    jobs = [result_folder(recipe(f"{n}p1d-dep4-dep8")) for n in range(1, 9)]
    with ThreadPoolExecutor(8) as workers:
        summaries = list(workers.map(lambda at: store.ingest(url, jobs[at : at + 3])[0], range(6)))
    assert sum(summary.jobs_new for summary in summaries) == 8
    assert store.query(url, "SELECT recipe FROM points GROUP BY recipe, conc HAVING count(*) > 1") == []
    assert {row.record.job.id for row in store.rows(url)} == {job.record.job.id for job in jobs}


def test_a_filesystem_without_local_names_stores_and_reads_the_same():
    place = store.at("mock:///bucket")
    store.ingest(place, [result_folder()])
    (again,) = store.ingest(place, [result_folder(), result_folder(recipe(OTHER))])
    assert again.path == "points/date=2026-11-23/101-1+2.parquet"
    store.retract(place, "101", reason="thermal event", **WHO)
    assert store.rows(place) == ()
    assert len(store.query(place, "SELECT 1 FROM points")) == 0
    store.ingest(place, [result_folder(run="102")])
    assert len(store.query(place, "SELECT 1 FROM points")) == len(store.rows(place)) == 2


def test_a_query_is_answered_as_a_table_too(tmp_path):
    store.ingest(str(tmp_path / "h"), [result_folder()])
    lines = store.query_text(
        str(tmp_path / "h"), "select conc, status from points order by conc"
    ).splitlines()
    assert lines[0].split() == ["conc", "status"]
    assert len(lines) == 3


def test_a_query_without_rows_is_a_table_of_its_header(tmp_path):
    assert store.query_text(str(tmp_path), "select conc, status from points") == "conc status\n"


def test_a_query_of_a_history_that_does_not_exist_is_an_error(url):
    with pytest.raises(PipelineError, match="history: no history — ingest writes one"):
        store.query(url, "select conc from points")


def test_a_file_url_and_a_path_are_the_same_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.ingest((tmp_path / "history").as_uri(), [result_folder()])
    assert len(store.rows("history")) == len(store.rows(f"{tmp_path}/history/")) == 2


def test_another_scheme_needs_fsspec_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(PipelineError, match="memory:// needs the package fsspec") as caught:
        store.rows("memory://key:secret@history?token=secret")
    assert "rackbench[remote]" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_history_in_fsspecs_memory():
    pytest.importorskip("fsspec", reason="fsspec is optional")
    url = f"memory://history-{os.getpid()}"
    store.ingest(url, [result_folder()])
    assert len(store.rows(url)) == len(store.query(url, "SELECT 1 FROM points")) == 2
    with pytest.raises(PipelineError, match="unknown scheme nope://"):
        store.rows("nope://history")


def test_figures_in_columns_are_those_of_the_document(url):
    of = recipe(conc=(4,))
    store.ingest(url, [result_folder(of)])
    point = rows.point(of, 4, 1000.0, 30.0)
    (found,) = store.query(url, "SELECT * EXCLUDE document FROM points")
    assert found["total_tok_s_gpu"] == pytest.approx(1000.0)
    assert (found["tpot_p50_ms"], found["ttft_p99_ms"], found["gpus_held"]) == (
        point.tpot_ms.p50,
        None,
        point.gpus_held,
    )
    record = result_folder(of).record
    assert (found["point_key"], found["series_key"]) == (record.point_key(4), record.series_key(4))


@pytest.mark.parametrize("url", ["mock:///bucket", None])
def test_a_name_that_is_taken_is_never_overwritten(tmp_path, url):
    place = store.at(url or str(tmp_path))
    with place.staged("points/a", b"first") as first, place.staged("points/a", b"second") as second:
        assert (first(), second()) == (True, False)
    assert place.read("points/a") == b"first"
    assert place.files("points") == ["points/a"]
