"""History: one immutable Parquet file per run attempt below a URL, and tombstones for what is taken back.

``URL/points/date=YYYY-MM-DD/RUN-ATTEMPT.parquet`` (``…+2.parquet`` for jobs that arrive later) · ``URL/tombstones/RUN[-ATTEMPT].json``
"""

from pipeline.store.ingest import ingest
from pipeline.store.place import Place, at
from pipeline.store.published import arrivals as published
from pipeline.store.query import query, query_text
from pipeline.store.rows import latest, nights, rows
from pipeline.store.tombstones import retract

__all__ = ["Place", "at", "ingest", "latest", "nights", "published", "query", "query_text", "retract", "rows"]
