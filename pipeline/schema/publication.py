"""Documents for publishing: the review of a pull request as its job writes it, and a page as the site lists it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document, Stored
from pipeline.schema.recipe import Text
from pipeline.schema.result import Origin

FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Verdict = Literal["better", "worse", "same", "unknown"]


class Annotation(Document):
    """One finding at a line of the pull request."""

    path: Text
    line: int = Field(ge=1)
    severity: Literal["error", "warning", "notice"]
    message: Text


class Review(Stored):
    """review.json: written by a job that runs the code of a pull request, so its content is untrusted text."""

    verdict: Verdict
    headline: Text
    head_sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    repository: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="repository of the head commit: the fork for a pull request from a fork",
    )
    annotations: tuple[Annotation, ...] = ()


class PageEntry(Stored):
    """entry.json beside a published page: what index, feed and badge show of it."""

    name: str = Field(pattern=FILE_NAME, description="of the report")
    run_id: str = Field(pattern=FILE_NAME)
    attempt: int = Field(ge=1)
    verdict: Verdict
    headline: Text
    origin: Origin | None = Field(description="of its figures; null = it has none")
    published_at: Text
    site_url: str = Field(description="of the whole site; empty = unknown")
    run_url: str
