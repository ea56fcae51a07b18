"""events.jsonl: what happened to a job, one line for each step, the first file to read when it failed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.errors import FailureKind
from pipeline.schema.base import Document, Stored
from pipeline.schema.recipe import Text

Stage = Literal["submit", "queue", "start", "identify", "ready", "measure", "teardown", "end"]


class Event(Stored):
    """One step of a job."""

    time: Text = Field(description="ISO 8601, UTC")
    stage: Stage
    state: str = Field(default="", description="what the scheduler calls the state of the job")
    node: str = Field(default="", description="the node that it is about; empty = none in particular")
    kind: FailureKind | None = Field(default=None, description="class of a failure; null = no failure")
    what: str = ""


class JobStatus(Document):
    """Where a job of a run is now."""

    job: Text
    attempt: int = Field(ge=1)
    stage: Stage | Literal["unknown"] = Field(description="last step that was noted; end = there is a result")
    state: str = Field(description="what the scheduler calls the state; empty without a scheduler")
    since: str = Field(default="", description="time of that step, ISO 8601, UTC; empty = unknown")
    nodes: str = ""
    what: str = ""
