"""SQL over history: DuckDB reads the rows through pyarrow, and has access to no files, network or extensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
}
AS_STORED = "points_as_stored"
# Files of schema 1 are never rewritten: the view shows their status under its new name.
CASES = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in STATUSES.items())
STATUS = f"CASE status {CASES} ELSE status END AS status"
VIEW = f"CREATE VIEW points AS SELECT * REPLACE ({STATUS}) FROM {AS_STORED}"  # noqa: S608  # of constants


def query(url: str | Storage, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a SELECT over the view ``points``: every attempt of every run that is not retracted."""
    with _answered(url, sql) as found:
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def query_text(url: str | Storage, sql: str) -> str:
    """Return the same as a table of text."""
    with _answered(url, sql) as found:
        frame = found.df()
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
            found = connection.execute(sql)
            if found.description is None:
                raise PipelineError(
                    "no query in this SQL",
                    hint="for example: select recipe, conc, total_tok_s_gpu from points",
                )
            yield found
        except duckdb.Error as error:
            hint = f"the view is `points`; columns: {', '.join(table.SCHEMA.names)}"
            what = str(error).partition("\n\nLINE ")[0].strip()  # the rest repeats the SQL with a caret below
            raise PipelineError(f"SQL: {what}", hint=hint) from error


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
