"""Timing parameters of simulated workers, and how well they reproduce the points that they were fitted to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import Document, Stored, digest, schema
from pipeline.schema.recipe import Role, Text

Milliseconds = Annotated[float, Field(ge=0)]
RangeAxis = Literal["input tokens", "prompts per pass", "context tokens", "sequences per rank"]
NOT_MEASURED = {role: {"__all__": {"fitted"}} for role in ("prefill", "decode")}  # says nothing of a speed


class Range(Document):
    """The smallest and the largest value of one quantity at the points of a fit."""

    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(ge=0)]


class Extrapolation(Document):
    """A quantity of a simulated point that is outside of the range that its timing was fitted to."""

    role: Role
    axis: RangeAxis
    value: float
    fitted: Range

    @property
    def factor(self) -> float:
        """The value over the end of the range that is nearest to it; over 1 = above, under 1 = below."""
        end = self.fitted.high if self.value > self.fitted.high else self.fitted.low
        return self.value / end if end else float("inf")


class PrefillTiming(Document):
    """A prefill pass of T tokens takes ``1000 · T / (tok_s_gpu · GPUs of the rank)`` ms."""

    kind: Text
    tok_s_gpu: Annotated[float, Field(gt=0)] = Field(
        description="input tokens a second and GPU when saturated"
    )
    pass_tokens: int | None = Field(
        default=None,
        gt=0,
        exclude_if=lambda tokens: tokens is None,
        description="what a rank takes into a pass, where ranks are in lock-step; null = they step alone",
    )
    fitted: dict[RangeAxis, Range] = Field(
        default_factory=dict, description="what the points of the fit cover; empty = not recorded"
    )


class DecodeTiming(Document):
    """A decode step takes ``step_ms + us_per_kv_ktoken · (resident KV tokens of the rank / 1000) / 1000`` ms."""

    kind: Text
    step_ms: Milliseconds = Field(
        description="step with an empty KV cache: weight reads, launch, all-to-all latency"
    )
    us_per_kv_ktoken: Annotated[float, Field(ge=0)] = Field(
        description="what 1,000 more resident KV tokens add to a step, µs"
    )
    slope_of: Text = Field(
        description="worker kind that the slope was fitted on; another kind where this one has a single point"
    )
    fitted: dict[RangeAxis, Range] = Field(
        default_factory=dict, description="what the points of the fit cover; empty = not recorded"
    )


class SkuTiming(Document):
    """All parameters of one SKU; ``overhead_s`` is added once to the wall clock of a run."""

    sku: Text
    overhead_s: Annotated[float, Field(ge=0)]
    prefill: tuple[PrefillTiming, ...]
    decode: tuple[DecodeTiming, ...]


class PointError(Document):
    """One fitted point: given figures, fitted figures, and the prediction of a fit to the other points."""

    recipe: Text
    sku: Text
    conc: int
    total_tok_s_gpu: float
    tpot_ms: float
    fitted_total_tok_s_gpu: float
    fitted_tpot_ms: float
    left_out_total_tok_s_gpu: float | None = Field(
        default=None, description="predicted without this point; null = not identifiable"
    )
    left_out_tpot_ms: float | None = None
    ttft_ms: float | None = Field(default=None, description="given median TTFT; null = not stated")
    fitted_ttft_ms: float | None = Field(default=None, description="null = not recorded")
    left_out_ttft_ms: float | None = Field(
        default=None,
        description="by the closed-loop model, `pass_tokens` chosen without it; null = not stated",
    )
    left_out_sd: float | None = Field(
        default=None, description="relative standard deviation of that prediction; null = not identifiable"
    )


class Timing(Stored):
    """Result of ``calibrate`` for one LLM and precision: parameters per SKU and worker kind, none per point."""

    schema_version: int = schema(2)
    model: Text
    precision: Text
    points: Text = Field(description="name of the file that was fitted")
    points_sha256: Text
    points_origin: Literal["published", "measured"]
    fitted_on: Text
    requests_per_conc: int
    versions: dict[str, str]
    skus: tuple[SkuTiming, ...]
    errors: tuple[PointError, ...]

    @property
    def relative_errors(self) -> list[float]:
        """|fitted/given - 1| of every rate and TPOT, smallest first."""
        pairs = [(one.fitted_total_tok_s_gpu, one.total_tok_s_gpu) for one in self.errors]
        pairs += [(one.fitted_tpot_ms, one.tpot_ms) for one in self.errors]
        return sorted(abs(fitted / given - 1) for fitted, given in pairs)

    @property
    def relative_left_out_errors(self) -> list[float]:
        """|predicted/given - 1| of every rate and TPOT, predicted by the other points, smallest first."""
        pairs = [(one.left_out_total_tok_s_gpu, one.total_tok_s_gpu) for one in self.errors]
        pairs += [(one.left_out_tpot_ms, one.tpot_ms) for one in self.errors]
        return sorted(abs(predicted / given - 1) for predicted, given in pairs if predicted is not None)

    @property
    def measured_digest(self) -> str:
        """Digest of the parameters alone."""
        return digest([sku.model_dump(mode="json", exclude=NOT_MEASURED) for sku in self.skus])
