"""Claims of a text, each with how it is checked.

Quoted figures are printed, so rounded, bare ones are exact.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import Document
from pipeline.schema.recipe import Count, Text

Positive = Annotated[float, Field(gt=0)]
Axis = Literal["interactivity", "interactivity_as_printed"]
Quantity = Literal["total_tok_s_gpu", "usd_per_mtok"]
CostMode = Literal["derived", "article"]
Printed = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]
Operand = Positive | Printed


class Arithmetic(Document):
    """``says`` = product of ``times`` / product of ``per``. Quoted operands are printed, so rounded.

    Bare numbers are exact.
    """

    kind: Literal["arithmetic"]
    times: Annotated[tuple[Operand, ...], Field(min_length=1)]
    per: tuple[Operand, ...] = ()
    says: Printed


class Whole(Document):
    """``of`` divides by ``per`` without rest: GPUs by GPUs per worker."""

    kind: Literal["whole"]
    of: Count
    per: Count


class PeakClaim(Document):
    """The largest ratio of the two curves, and where."""

    kind: Literal["peak"]
    quantity: Quantity
    cost: CostMode = "derived"
    axis: Axis = "interactivity_as_printed"
    says: Printed
    at: Printed


class ReadClaim(Document):
    """One SKU's curve read at an interactivity."""

    kind: Literal["reading"]
    quantity: Quantity = "total_tok_s_gpu"
    cost: CostMode = "derived"
    axis: Axis = "interactivity_as_printed"
    sku: Text
    at: Positive
    says: Printed


class NearestKnot(Document):
    """The knot of a SKU that is nearest to an interactivity, by its tok/s/GPU."""

    kind: Literal["nearest-knot"]
    axis: Axis = "interactivity_as_printed"
    sku: Text
    at: Positive
    says: Printed


class Range(Document):
    """Least and most of a column of the iso table over rows from ``low`` to ``high`` tok/s/user."""

    kind: Literal["range"]
    column: Literal["throughput_ratio", "cost_ratio"]
    low: Positive
    high: Positive
    least: Printed
    most: Printed


class Evidence(Document):
    """What no arithmetic decides: a person judged it by the evidence."""

    kind: Literal["evidence"]
    verdict: Literal["holds", "wrong", "opinion"]


Check = Annotated[
    Arithmetic | Whole | PeakClaim | ReadClaim | NearestKnot | Range | Evidence, Field(discriminator="kind")
]


class Assertion(Document):
    """A claim of the text, how it is checked, and what should stand there."""

    id: Text
    claim: Text
    where: Text
    check: Check
    evidence: Text
    corrected: str = Field(
        default="", description="what should stand there; empty = the claim holds, or the check computes it"
    )
