"""History: one immutable Parquet file per run attempt and day below a URL, and tombstones for what is taken back.

``URL/points/date=YYYY-MM-DD/RUN-ATTEMPT.parquet`` (``…+2.parquet`` for jobs that arrive later) · ``URL/tombstones/RUN[+ATTEMPT].json``
"""

from pipeline.store.ingest import ingest, sorted_out
from pipeline.store.published import result_folders as published
from pipeline.store.query import query, query_text
from pipeline.store.rows import current_and_previous, latest, rows
from pipeline.store.storage import Storage, at
from pipeline.store.tombstones import attempts, retract, retractions

__all__ = [
    "Storage",
    "at",
    "attempts",
    "current_and_previous",
    "ingest",
    "latest",
    "published",
    "query",
    "query_text",
    "retract",
    "retractions",
    "rows",
    "sorted_out",
]
