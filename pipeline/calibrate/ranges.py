"""What the points of a fit cover: the range of batch and context in which its timing is known."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.calibrate.rows import Row
from pipeline.deployment.timing_range import covered, union
from pipeline.schema.recipe import Role
from pipeline.schema.timing import Range, RangeAxis, SkuTiming


def with_ranges(timing: SkuTiming, sequences: Mapping[Row, float | None]) -> SkuTiming:
    """Return the timing of a SKU with the range that the points of each worker kind cover.

    ``sequences``: what a decode rank ran at once in the replay of each point of the fit.
    """

    def fitted(role: Role, kind: str) -> dict[RangeAxis, Range]:
        return union(
            covered(row.recipe, role, count)
            for row, count in sequences.items()
            if row.recipe.sku == timing.sku and row.kinds[role == "decode"] == kind
        )

    prefill = [one.model_copy(update={"fitted": fitted("prefill", one.kind)}) for one in timing.prefill]
    decode = [one.model_copy(update={"fitted": fitted("decode", one.kind)}) for one in timing.decode]
    return timing.model_copy(update={"prefill": tuple(prefill), "decode": tuple(decode)})
