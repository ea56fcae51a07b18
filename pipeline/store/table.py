"""One Parquet row per history row: flat columns for readers, and ``document``, from which they are derived.

Files are never rewritten, so those of earlier schema versions stay: their columns are upgraded on reading, as documents are.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa
from pyarrow import parquet

from pipeline.deployment.invariants import moment
from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow
from pipeline.schema.published import StatedPoint
from pipeline.schema.result import RUN_ID, JobRecord, Point
from pipeline.schema.upgrades import status
from pipeline.store.storage import Storage

POINTS = "points"
FILE = re.compile(
    rf"points/date=(\d{{4}}-\d\d-\d\d)/(?P<run>{RUN_ID.pattern})-(?P<attempt>[1-9]\d*)(\+(?P<part>\d+))?\.parquet"
)
ADDED = frozenset({"settings_key"})  # columns that older files lack; their documents say the same
BATCH = 64  # documents in memory at once, before they are parsed
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("date", "run_id")),
        ("attempt", pa.int32()),
        *((name, pa.string()) for name in ("recipe", "sku")),
        ("was", pa.list_(pa.string())),
        ("conc", pa.int32()),
        *(
            (name, pa.string())
            for name in (
                "status",
                "origin",
                "measure",
                "point_key",
                "series_key",
                "settings_key",
                "deployment_digest",
            )
        ),
        *(
            (name, pa.int64())
            for name in ("requests_per_conc", "requests", "completed", "gpus_counted", "gpus_held")
        ),
        *((name, pa.float64()) for name in ("total_tok_s_gpu", "output_tok_s_gpu", "interactivity")),
        *((name, pa.float64()) for name in ("tpot_p50_ms", "ttft_p50_ms", "ttft_p99_ms", "e2e_p50_ms")),
        *((name, pa.string()) for name in ("started_at", "folder", "sums_sha256", "document")),
    ],
    metadata={"schema": str(HistoryRow.current_version())},
)


@dataclass(frozen=True, slots=True)
class Key:
    """The columns that tell one row from another and decide whether its document is read."""

    run_id: str
    attempt: int
    recipe: str
    was: tuple[str, ...]
    conc: int
    status: str
    origin: str
    requests_per_conc: int
    settings_key: str
    started_at: str
    sums_sha256: str

    @classmethod
    def of(cls, row: HistoryRow) -> Self:
        """Return the key of a row."""
        values = flat(row)
        return cls(
            **{name: values[name] for name in cls.__slots__ if name != "was"}, was=row.record.job.recipe.was
        )

    @property
    def is_trusted(self) -> bool:
        """Whether the point was measured to the end and is valid."""
        return self.status == "ok"

    @property
    def has_figures(self) -> bool:
        """Whether the point was measured to the end; a simulated one may lie outside of its fitted range."""
        return self.status in {"ok", "extrapolated"}

    @property
    def order(self) -> tuple[str, str, int]:
        """The sort key that puts runs in the order of time."""
        return self.started_at, self.run_id, self.attempt


def utc(text: str, *, where: str) -> datetime:
    """Return a stored moment in UTC; ArtifactError names ``where`` if it is none."""
    return moment(text, where=where)


def flat(row: HistoryRow) -> dict[str, Any]:
    """Return the columns of a row except ``document``; figures of a failure are null."""
    record, point = row.record, row.point
    provenance, recipe = record.provenance, record.job.recipe
    figures = _figures(point) if point else {}
    return {
        **dict.fromkeys(SCHEMA.names),
        "date": row.date,
        "run_id": provenance.run_id,
        "attempt": provenance.attempt,
        "recipe": recipe.id,
        "sku": recipe.sku,
        "was": list(recipe.was),
        "conc": row.conc,
        "status": point.status if point else "failed",
        "origin": provenance.origin,
        "measure": provenance.measure,
        "point_key": record.point_key(row.conc),
        "series_key": record.series_key(row.conc),
        "settings_key": _settings_key(record),
        "deployment_digest": record.job.deployment_digest,
        "requests_per_conc": provenance.requests_per_conc,
        "started_at": utc(provenance.started_at, where=row.folder).isoformat(timespec="microseconds"),
        "folder": row.folder,
        "sums_sha256": row.sums_sha256,
        **figures,
    }


def _settings_key(record: JobRecord) -> str:
    """Return what the series keys of a run have in common: without the concurrency and the recipe id, which may change."""
    job = record.job
    nameless = job.model_copy(update={"recipe": job.recipe.model_copy(update={"id": ""})})
    return record.model_copy(update={"job": nameless}).series_key(0)


def _figures(point: Point | StatedPoint) -> dict[str, float | None]:
    same = (
        "requests",
        "completed",
        "gpus_counted",
        "gpus_held",
        "total_tok_s_gpu",
        "output_tok_s_gpu",
        "interactivity",
    )
    return {
        **{name: getattr(point, name) for name in same},
        "tpot_p50_ms": point.tpot_ms.p50,
        "ttft_p50_ms": point.ttft_ms.p50,
        "ttft_p99_ms": point.ttft_ms.p99,
        "e2e_p50_ms": point.e2e_ms.p50,
    }


def pack(rows: Sequence[HistoryRow]) -> bytes:
    """Return a Parquet file of these rows."""
    table = pa.Table.from_pylist(
        [{**flat(row), "document": row.model_dump_json(by_alias=True)} for row in rows], schema=SCHEMA
    )
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def files(storage: Storage, *, date_from: str | None = None) -> list[str]:
    """Return the path of every file of points, of days since ``date_from``.

    ArtifactError at a foreign file.
    """
    found = storage.files(POINTS)
    for path in found:
        if not FILE.fullmatch(path):
            raise ArtifactError(
                f"foreign file in history: {path!r}",
                where=storage.shown,
                hint="points/ holds only files that ingest wrote; move it out",
            )
    return [path for path in found if date_from is None or _day(path) >= date_from]


def _day(path: str) -> str:
    return path.split("/")[1].removeprefix("date=")


def keys(storage: Storage, path: str) -> list[Key]:
    """Return the keys of a file's rows, in the order of the file."""
    with opened(storage, path) as file:
        if not ADDED.issubset(file.schema_arrow.names):
            return [Key.of(row) for _, row in documents(storage, path, range(file.metadata.num_rows))]
        found = file.read(columns=list(Key.__slots__)).to_pylist()
    return [
        Key(**{**values, "was": tuple(values["was"] or ()), "status": status(values["status"])})
        for values in found
    ]


def documents(storage: Storage, path: str, wanted: Collection[int]) -> Iterator[tuple[int, HistoryRow]]:
    """Yield the rows at these indices of a file, each with its index."""
    with opened(storage, path) as file:
        index = 0
        for batch in file.iter_batches(batch_size=BATCH, columns=["document"]):
            for text in batch.column(0).to_pylist():
                if index in wanted:
                    yield index, HistoryRow.from_json(text, where=f"{storage.shown}/{path}")
                index += 1


@contextlib.contextmanager
def opened(storage: Storage, path: str) -> Iterator[parquet.ParquetFile]:
    """Open a file of points; ArtifactError when it is torn, newer, or lacks a column that decides what is read."""
    where = f"{storage.shown}/{path}"
    try:
        with (
            storage.fs.open_input_file(storage.absolute(path)) as source,
            parquet.ParquetFile(source) as file,
        ):
            _refuse_newer(file, where)
            lacking = [
                name
                for name in (*Key.__slots__, "document")
                if name not in {*file.schema_arrow.names, *ADDED}
            ]
            if lacking:
                raise ArtifactError(
                    f"not a file of history: no column {lacking[0]}",
                    where=where,
                    hint="not written by ingest; move it out of points/",
                )
            yield file
    except (pa.ArrowException, OSError) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise ArtifactError(
            what, where=where, hint="incomplete or foreign; delete it and ingest its result folders again"
        ) from error


def _refuse_newer(file: parquet.ParquetFile, where: str) -> None:
    version = (file.schema_arrow.metadata or {}).get(b"schema", b"1").decode("ascii", "replace")
    if not version.isdecimal() or int(version) > HistoryRow.current_version():
        current = HistoryRow.current_version()
        what = f"history file of schema {version}, and this version of rackbench reads up to {current}"
        raise ArtifactError(what, where=where, hint="upgrade rackbench")
