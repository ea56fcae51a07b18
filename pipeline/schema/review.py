"""What a pull request changes: the analysis that the comment is rendered from, unrounded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.plan import Hbm
from pipeline.schema.publication import Annotation
from pipeline.schema.recipe import Text
from pipeline.schema.report import Change, IsoCell, Sentence, Verdict


class SettingDiff(Document):
    """An option or variable that all processes of a role have alike, on one side or on both; ``absent`` where it is not given."""

    role: Text
    name: Text
    before: str
    after: str


class RecipeDiff(Document):
    """One recipe that measures something else than before."""

    recipe: Text
    sku: Text
    state: Literal["changed", "added", "removed"]
    shape_before: str
    shape_after: str
    conc_before: tuple[int, ...]
    conc_after: tuple[int, ...]
    settings: tuple[SettingDiff, ...]
    environment: tuple[str, ...] = Field(
        description="of SKU, LLM, cluster and timing, those that changed under it"
    )
    hbm_before: tuple[Hbm, ...]
    hbm_after: tuple[Hbm, ...]


class IsoPair(Document):
    """One SKU read at one interactivity, on the curve before and on the curve after."""

    sku: Text
    interactivity: float
    before: IsoCell
    after: IsoCell
    change: float | None = Field(description="of tok/s/GPU; null = one side does not reach it")


class ReviewFindings(Document):
    """What was found, before anybody judges it."""

    problems: tuple[Annotation, ...] = Field(description="of what is proposed")
    recipes: tuple[RecipeDiff, ...] = ()
    changes: tuple[Change, ...] = Field(
        default=(), description="at equal concurrency; empty = nothing was predicted"
    )
    iso: tuple[IsoPair, ...] = Field(
        default=(), description="at equal interactivity; empty = whole curves were not asked for"
    )
    kinds: tuple[CurveKind, ...] = Field(default=(), description="of the predictions")
    base: Text = Field(description="commit that it is compared with")
    head: Text
    base_problems: int = Field(
        description="errors in the recipes of the base: what does not load there counts as absent"
    )


class ReviewData(ReviewFindings):
    """Everything that the comment says."""

    verdict: Verdict
    headline: Sentence
