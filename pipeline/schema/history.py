"""One row of the history: a point, a failure or a published figure, with its origin."""

from __future__ import annotations

from pydantic import Field

from pipeline.schema.base import Document, Stored, schema
from pipeline.schema.published import StatedPoint
from pipeline.schema.recipe import Text
from pipeline.schema.result import Failure, JobRecord, Point


class HistoryRow(Stored):
    """One point of one run attempt, or (``point`` null) the failure of one concurrency."""

    schema_version: int = schema(3)
    date: Text = Field(description="UTC day on which the run started, YYYY-MM-DD")
    folder: Text = Field(description="name of the result folder, so also of the artifact")
    record: JobRecord
    conc: int
    point: Point | StatedPoint | None
    failure: Failure | None
    sums_sha256: Text

    @property
    def run(self) -> tuple[str, int]:
        """(run id, attempt)."""
        return self.record.provenance.run_id, self.record.provenance.attempt


class Tombstone(Stored):
    """A retraction: every reader leaves out what it names; nothing is deleted."""

    run_id: Text
    attempt: int | None = Field(default=None, description="null = every attempt of the run")
    reason: Text
    who: Text
    at: Text


class RunSummary(Document):
    """The result of ingest for one run attempt."""

    run_id: Text
    attempt: int
    jobs_new: int
    jobs_known: int
    path: str | None
