"""SKUs compared beyond their curves: specifications, worker shapes, and other assumptions."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from pipeline.schema.base import DISTINCT, Document
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.hbm import Hbm
from pipeline.schema.recipe import Count, Text

Positive = Annotated[float, Field(gt=0)]
Shape = Annotated[str, Field(pattern=r"^(TP|TEP|DEP)[1-9]\d*$")]
ShapeKind = Literal["TP", "TEP", "DEP"]
SHAPE_KINDS: Final[tuple[ShapeKind, ...]] = ("TP", "TEP", "DEP")
SpecKey = Literal[
    "hbm",
    "hbm_visible",
    "hbm_bandwidth",
    "fp4",
    "fp8",
    "bf16",
    "scaleup",
    "domain_gpus",
    "domain_hbm",
    "domain_bandwidth",
    "power",
    "price",
]
Bound = Literal["compute", "bandwidth", "capacity", "exchange"]


class WorkerShape(Document):
    """Parallelism of one worker: its kind, and how many GPUs it spans."""

    kind: ShapeKind
    width: Count

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shape that a code names; ValueError where it names none.

        >>> WorkerShape.parse("DEP16").width
        16
        """
        found = re.fullmatch(r"(TP|TEP|DEP)([1-9]\d*)", text)
        if not found:
            raise ValueError(f"{text!r} is no worker shape; write TP4, TEP4 or DEP8, for example")
        kind = next(kind for kind in SHAPE_KINDS if kind == found[1])
        return cls(kind=kind, width=int(found[2]))

    @property
    def code(self) -> str:
        """The field's shorthand: TP4, TEP4, DEP8."""
        return f"{self.kind}{self.width}"

    @property
    def order(self) -> tuple[int, int]:
        """A key to sort shapes by: width, then kind."""
        return self.width, SHAPE_KINDS.index(self.kind)


class FitAssumptions(Document):
    """Same settings for every worker shape on every SKU, so that only the shape and the memory differ."""

    shapes: Annotated[tuple[Shape, ...], Field(min_length=1), DISTINCT] = Field(
        description="worker shapes to judge: TP4, TEP4, DEP8, …"
    )
    utilisation: Annotated[float, Field(gt=0, le=1)] = Field(description="gpu-memory-utilization")
    prefill_tokens: Count = Field(description="max-num-batched-tokens of a prefill worker")
    decode_tokens: Count = Field(description="max-num-batched-tokens of a decode worker")


class ExchangeAssumptions(Document):
    """What the all-to-all of expert parallelism is computed from."""

    ep: Annotated[tuple[Count, ...], Field(min_length=1), DISTINCT] = Field(
        description="expert-parallel widths to show"
    )
    tokens_per_rank: Count = Field(description="tokens that one rank decodes in a step")
    dispatch_bytes: Positive = Field(description="bytes of an activation on its way to an expert")
    combine_bytes: Positive = Field(description="bytes of an activation on its way back")
    scaleout_gb_s: Positive = Field(
        description="scale-out bandwidth of one GPU, one direction, GB/s; the racks' own is not in skus.yaml"
    )


class SkuComparisonDefinition(Document):
    """What a report assumes where it looks beyond its curves."""

    published: Annotated[tuple[Text, ...], DISTINCT] = Field(
        default=(), description="published studies to compare with; paths from the definition's folder"
    )
    fit: FitAssumptions
    exchange: ExchangeAssumptions
    level_within: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="SKUs whose cost per token differs by less are called level"
    )
    ttft_limit_s: Positive = Field(
        description="limit on the median TTFT: points above it are left out of the table of that limit"
    )
    price_span: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="relative change of the last SKU's price: what if"
    )


class ShapeFit(Document):
    """Memory of one GPU of a worker shape on a SKU, for one role."""

    sku: Text
    gpus: Count = Field(description="GPUs of one worker")
    hbm: Hbm


class SpecRow(Document):
    """One line of a specification: a figure per SKU in the order of the columns, and last over first."""

    spec: SpecKey
    values: tuple[float | None, ...]
    ratio: float | None


class RadarAxis(Document):
    """A specification as a share of the best of all known SKUs."""

    spec: SpecKey
    best: tuple[str, ...] = Field(description="titles of the SKUs that have the maximum")
    shares: tuple[float | None, ...] = Field(description="one per SKU of the report, 0 to 1")


class Ceiling(Document):
    """How much cheaper a token could be on paper if one resource were the only limit of both SKUs."""

    bound: Bound
    spec: SpecKey
    spec_ratio: float | None
    price_ratio: float | None
    tokens_per_dollar_ratio: float | None


class ShapeCell(Document):
    """Memory that is left for KV on one GPU of a SKU.

    Negative when weights and activations alone do not fit.
    """

    weights_share: float = Field(description="weights over capacity")
    decode_room_gb: float
    decode_sequences: int = Field(description="sequences of full length that a decode rank holds")
    prefill_room_gb: float
    fits: bool = Field(description="both roles have room for at least one sequence")


class ShapeRow(Document):
    """One worker shape on every SKU, one cell a SKU."""

    shape: WorkerShape
    gpus: Count
    weights_gb: float
    cells: tuple[ShapeCell, ...]


class ExchangeRow(Document):
    """Experts and traffic of one expert-parallel width.

    Milliseconds are of one decode step over all layers.
    """

    ep: Count
    experts_per_gpu: float = Field(description="of each layer")
    mb_per_token: float = Field(
        description="sent by one rank per token, all layers, dispatch and combine, MB"
    )
    scaleup_ms: tuple[float | None, ...] = Field(
        description="one per SKU, at its scale-up bandwidth; null = wider than its domain"
    )
    scaleout_ms: float
    step_ms: float | None = Field(
        description="fastest simulated or measured median TPOT of such a decode worker; null = none ran"
    )
    step_tokens: float | None = Field(description="tokens that a rank decodes in that step, at most")


class RatioPoint(Document):
    """Ratios at one interactivity: throughput last over first SKU, cost first over last."""

    interactivity: float
    throughput: float
    cost: float | None


class RatioCurve(Document):
    """Both ratios over the whole range that the curves of one kind have in common."""

    kind: CurveKind
    points: tuple[RatioPoint, ...]


class ValueInUse(Document):
    """A value of a setting and how many of the recipes of a SKU have it; null = not set."""

    value: str | None
    recipes: int
    all_recipes: int


class Confounder(Document):
    """A setting, other than the shape, whose values differ between the SKUs."""

    kind: Literal["budget", "software", "flag", "environment"]
    where: Text = Field(description="prefill, decode, both, or deployment")
    field: Text
    values: tuple[tuple[ValueInUse, ...], ...] = Field(
        description="one tuple per SKU, the most frequent value first"
    )


class WhatIf(Document):
    """Ratios of tokens per dollar, last SKU over first, at one interactivity."""

    interactivity: float
    as_given: float | None
    dearer: float | None
    cheaper: float | None
    held: float | None = Field(description="every GPU held is paid, on the frontiers of held throughput")
    break_even: float | None = Field(
        description="price of the last SKU over that of the first at which both cost the same"
    )
    directional: bool = Field(
        default=False, description="read between knots that lie far apart: all but ``held``"
    )
    held_directional: bool = Field(default=False, description="the same of ``held``, whose knots are others")
