"""A query is answered in valid JSON or as a table, reads the history, and does nothing else."""

import json
from pathlib import Path

import duckdb
import pytest

from pipeline import cli, store
from pipeline.errors import PipelineError
from pipeline.store.query import SEALED
from tests.fakes.results import result_folder

ODD = """
select 'nan'::double a, 'inf'::double b, [1.5, 'nan'::double] c, {'d': '-inf'::double} d, 1::hugeint e, 1.50::decimal(5,2) f,
 now() g, interval 1 day h, uuid() i, 'x'::blob j, date '2020-01-01' k, time '10:00' l, null m, timestamp '2020-01-01' n,
 map {'a': 1} o, true p
"""


@pytest.fixture
def history(tmp_path) -> str:
    store.ingest(str(tmp_path / "history"), [result_folder()])
    return str(tmp_path / "history")


@pytest.mark.parametrize(
    "sql", ["", "  ", ";", ";;", "-- a comment", "/* a comment */", "\n--\n;", "\x00", "select '\udcff'"]
)
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_sql_without_a_query_is_an_error_of_usage(history, sql, words, capsys):
    assert cli.run(["query", sql, "--history", history, *words], {}) == 2
    assert "Traceback" not in capsys.readouterr().err


def asked(history: str, sql: str, capsys) -> list:
    assert cli.run(["query", sql, "--history", history, "--json"], {}) == 0
    out = capsys.readouterr().out
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_values_of_every_type_are_valid_json(history, capsys):
    (row,) = asked(history, ODD, capsys)
    assert (row["a"], row["b"], row["c"], row["d"]) == (None, None, [1.5, None], {"d": None})
    assert (row["e"], row["m"], row["p"]) == (1, None, True)
    assert row["f"] == 1.5
    assert asked(history, "select sum(conc) as n from points", capsys) == [{"n": 12}]
    assert row["k"] == "2020-01-01"
    assert row["g"].startswith("20")
    assert cli.run(["query", ODD, "--history", history], {}) == 0


def test_columns_of_one_name_are_kept_apart(history, capsys):
    sql = "select 1 as a, 2 as a, 3 as a_2, 4 as a from points limit 1"
    assert asked(history, sql, capsys) == [{"a": 1, "a_3": 2, "a_2": 3, "a_4": 4}]
    assert store.query_text(history, sql).split() == ["a", "a_3", "a_2", "a_4", "1", "2", "3", "4"]


def test_an_empty_result_is_an_empty_table(history, capsys):
    sql = "select recipe, conc as n, conc as n from points where false"
    assert asked(history, sql, capsys) == []
    assert store.query_text(history, sql) == "recipe n n_2\n"


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to 'OUT/a.csv'",
        "copy points to 'OUT/a.parquet' (format parquet)",
        "export database 'OUT/db'",
        "attach 'OUT/a.db'",
        "create table t as select * from points",
        "create view v as select 1",
        "insert into points_as_stored select * from points",
        "delete from points_as_stored",
        "drop view points",
        "update points set conc = 1",
        "install httpfs",
        "load httpfs",
        "create secret s (type s3)",
        "create persistent secret s (type s3, key_id 'a', secret 'b')",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset enable_external_access",
        "pragma enable_external_access",
        "import database 'OUT'",
        "select * from read_csv('OUT/in.csv')",
        "select * from 'OUT/in.csv'",
        "select content from read_text('OUT/in.csv')",
        "select * from read_blob('OUT/in.csv')",
        "select * from glob('OUT/*')",
        "select * from sniff_csv('OUT/in.csv')",
        "select * from read_csv('https://example.com/a.csv')",
        "select getenv('HOME')",
        "select 1; copy (select 1) to 'OUT/a.csv'",
        "prepare p as select 1",
        "call checkpoint('memory')",
        "explain analyze copy (select 1) to 'OUT/a.csv'",
        "with x as (select * from read_text('OUT/in.csv')) select * from x",
    ],
)
def test_a_statement_that_does_anything_but_read_the_history_is_refused(history, sql, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "in.csv").write_text("secret\n1\n")
    with pytest.raises(PipelineError):
        store.query(history, sql.replace("OUT", str(out)))
    assert [path.name for path in out.iterdir()] == ["in.csv"]
    assert len(store.query(history, "select 1 from points")) == 2
    assert not list(Path(history).rglob("*.db"))


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to 'OUT/a.csv'",
        "attach 'OUT/a.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "select * from read_csv('OUT/in.csv')",
        "select content from read_text('OUT/in.csv')",
        "select * from glob('OUT/*')",
        "export database 'OUT/db'",
        "import database 'OUT'",
        "create persistent secret s (type s3, key_id 'a', secret 'b')",
        "set threads = 1",
    ],
)
def test_the_engine_itself_refuses_what_reaches_outside(sql, tmp_path):
    (tmp_path / "in.csv").write_text("secret\n1\n")
    with duckdb.connect(":memory:", config=SEALED) as connection, pytest.raises(duckdb.Error):
        connection.execute(sql.replace("OUT", str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
