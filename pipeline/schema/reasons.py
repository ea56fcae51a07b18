"""Why a point has no figure or no verdict, as data: ``render.words.reasons`` writes the words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.recipe import Text
from pipeline.schema.timing import Extrapolation

Side = Literal["before", "now"]
Problem = Literal["missing", "failed", "invalid"]
NoVerdict = Literal[
    "no-earlier-run",
    "no-longer-planned",
    "missing",
    "failed",
    "invalid",
    "fields-differ",
    "series differ",
    "noise unknown",
    "not-simulated",
    "extrapolated",
]


class FieldDiff(Document):
    """A field of the resolved recipe, image, versions, client or environment that differs; null = not set."""

    field: Text
    before: str | None
    after: str | None


class PointProblem(Document):
    """Why a planned point has no figures that can be used."""

    kind: Problem
    error: str = Field(default="", description="what the failure says; empty = not recorded")
    reasons: tuple[str, ...] = Field(default=(), description="why the point is invalid; empty = not recorded")


class CoverageProblem(PointProblem):
    """The same of a planned concurrency.

    ``conc`` null = the whole recipe, whose concurrencies are not known.
    """

    conc: int | None


class ChangeReason(Document):
    """Why the verdict on a point is unknown."""

    kind: NoVerdict
    side: Side | None = Field(default=None, description="which side is missing, failed or invalid")
    error: str = Field(default="", description="what the failure says; empty = not recorded")
    reasons: tuple[str, ...] = Field(default=(), description="why the point is invalid; empty = not recorded")
    fields: tuple[FieldDiff, ...] = Field(
        default=(),
        description="those that differ: settings of the series, or settings that are not simulated",
    )
    extrapolated: tuple[Extrapolation, ...] = Field(
        default=(), description="what is outside of the range that the timing of a side was fitted to"
    )

    @property
    def is_gap(self) -> bool:
        """Whether a verdict was due: a new point and one that is no longer planned have none to give."""
        return self.kind not in ("no-earlier-run", "no-longer-planned")
