"""What a pull request changes: the analysis behind the comment, not rounded, without words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.hbm import Hbm
from pipeline.schema.publication import Annotation
from pipeline.schema.reasons import ChangeReason, FieldDiff
from pipeline.schema.recipe import Text
from pipeline.schema.report import Change, IsoCell, Verdict


class SettingDiff(Document):
    """An option or variable that all processes of a role share.

    Null = not set, empty = set without a value.
    """

    role: Text
    name: Text
    before: str | None
    after: str | None


class RecipeDiff(Document):
    """One recipe whose measurement changes."""

    recipe: Text
    sku: Text
    state: Literal["changed", "added", "removed"]
    shape_before: str
    shape_after: str
    conc_before: tuple[int, ...]
    conc_after: tuple[int, ...]
    settings: tuple[SettingDiff, ...]
    unseen: tuple[FieldDiff, ...] = Field(
        default=(), description="fields that differ, and whose effect is not simulated"
    )
    environment: tuple[str, ...] = Field(description="of SKU, LLM, cluster and timing, those that changed")
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
    """What was found, without a verdict."""

    problems: tuple[Annotation, ...] = Field(description="of the proposed recipes")
    recipes: tuple[RecipeDiff, ...] = ()
    changes: tuple[Change, ...] = Field(default=(), description="at equal concurrency; empty = no prediction")
    iso: tuple[IsoPair, ...] = Field(
        default=(), description="at equal interactivity; empty = whole curves were not requested"
    )
    kinds: tuple[CurveKind, ...] = Field(default=(), description="of the predictions")
    base: Text = Field(description="commit that it is compared with")
    head: Text
    base_problems: int = Field(
        description="errors in the recipes of the base: a recipe that does not load there counts as absent"
    )


class PlacedChange(Document):
    """A relative change of tok/s/GPU at one interactivity (tok/s/user) or one concurrency."""

    change: float
    axis: Literal["interactivity", "conc"]
    at: float


class Prediction(Document):
    """What the proposed recipes are predicted to do: the content of the headline.

    ``errors``: the recipes have errors, so nothing was predicted. ``unchanged``: no recipe measures something else.
    ``moved``: ``changes`` holds the best and the worst change, or the only one beyond the bar. ``level``: every change
    is within the bar. ``failed``: no point has a prediction, for ``reason``. ``new``: there is no earlier point.
    ``unseen``: no change beyond the bar is predicted, but the fields of ``unseen`` are not simulated.
    """

    kind: Literal["errors", "unchanged", "moved", "level", "failed", "new", "unseen"]
    errors: int = 0
    bar: float = Field(description="smallest relevant relative change of tok/s/GPU")
    changes: tuple[PlacedChange, ...] = Field(default=(), description="the best first")
    is_level_on_curves: bool = Field(
        default=False, description="points moved, but no curve did at equal interactivity"
    )
    points: int = 0
    points_failed: int = Field(default=0, description="of ``points``, those without a prediction")
    reason: ChangeReason | None = None
    unseen: tuple[FieldDiff, ...] = Field(
        default=(), description="what differs in any recipe and is not simulated"
    )


class ReviewData(ReviewFindings):
    """Everything that the comment needs."""

    verdict: Verdict
    prediction: Prediction
