"""SQL over history: DuckDB reads the rows through pyarrow, and has access to no files, network or extensions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset

from pipeline.errors import PipelineError
from pipeline.schema.upgrades import STATUSES
from pipeline.store import table
from pipeline.store.storage import Storage, at
from pipeline.store.tombstones import Retracted

SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
    "allow_persistent_secrets": "false",
}
READING = frozenset({"SELECT", "EXPLAIN"})
AS_STORED = "points_as_stored"
# Files of schema 1 are never rewritten: the view shows their status under its new name.
CASES = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in STATUSES.items())
STATUS = f"CASE status {CASES} ELSE status END AS status"
VIEW = f"CREATE VIEW points AS SELECT * REPLACE ({STATUS}) FROM {AS_STORED}"  # noqa: S608  # of constants


def query(url: str | Storage, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a SELECT over the view ``points``: every attempt of every run that is not retracted.

    Values are those of JSON: NaN and infinities are null, other types are text. Columns of one name are numbered.
    """
    with _answered(url, sql) as found:
        return [{name: _plain(value) for name, value in row.items()} for row in found.to_pylist()]


def query_text(url: str | Storage, sql: str) -> str:
    """Return the same as a table of text."""
    with _answered(url, sql) as found:
        frame = found.to_pandas()
        # pandas prints an empty frame as its own description, not as a table
        return (str(frame.to_string(index=False)) if len(frame) else " ".join(map(str, frame.columns))) + "\n"


@contextmanager
def _answered(url: str | Storage, sql: str) -> Iterator[Any]:
    import duckdb  # noqa: PLC0415  # heavy, and only this verb needs it

    storage = at(url)
    if not storage.is_present():
        raise PipelineError(
            "no history", where=storage.shown, hint="ingest writes one; or name another --history"
        )
    with duckdb.connect(":memory:", config=SEALED) as connection:
        connection.register(AS_STORED, _points(storage))
        connection.execute(VIEW)
        try:
            yield _with_names(connection.sql(_only_read(connection, sql)).to_arrow_table())
        except duckdb.Error as error:
            hint = f"the view is `points`; columns: {', '.join(table.SCHEMA.names)}"
            what = str(error).partition("\n\nLINE ")[0].strip()  # the rest repeats the SQL with a caret below
            raise PipelineError(f"SQL: {what}", hint=hint) from error


def _only_read(connection: Any, sql: str) -> Any:
    """Return the only statement of a text as the engine parses it; PipelineError if it is not one that reads."""
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        hint = "write it again, without odd bytes"
        raise PipelineError("SQL: the query is no valid UTF-8 text", hint=hint) from error
    statements = connection.extract_statements(sql)
    if len(statements) == 1 and statements[0].type.name in READING:
        return statements[0]
    kinds = ", ".join(statement.type.name for statement in statements)
    what = f"SQL: one SELECT is answered, not {kinds[:60]}" if statements else "SQL: no query"
    raise PipelineError(what, hint="for example: select recipe, conc, total_tok_s_gpu from points")


def _with_names(found: pa.Table) -> pa.Table:
    """Return a table with columns of different names, and moments without a time zone: all are UTC."""
    seen: Counter[str] = Counter()
    names = []
    for name in found.column_names:
        seen[name] += 1
        while seen[name] > 1 and f"{name}_{seen[name]}" in found.column_names:
            seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    columns = [
        column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
        for column in found.columns
    ]
    return pa.Table.from_arrays(columns, names=names)


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):  # of sums of integers, too
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, str | int) else str(value)


def _points(storage: Storage) -> Any:
    paths = table.files(storage)
    if not paths:
        return table.SCHEMA.empty_table()
    for path in paths:
        with table.opened(storage, path):
            pass  # a file that cannot be read is named here, not in the middle of a query
    found = dataset.dataset(
        [storage.absolute(path) for path in paths],
        schema=table.SCHEMA,
        format="parquet",
        filesystem=storage.fs,
    )
    for tombstone in Retracted(storage).tombstones:
        is_run = pc.field("run_id") == tombstone.run_id
        found = found.filter(
            ~(is_run if tombstone.attempt is None else is_run & (pc.field("attempt") == tombstone.attempt))
        )
    return found
