"""The points of a fit, and the names of the parameters that each depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.deployment.closed_loop import RequestLengths
from pipeline.deployment.worker_kinds import worker_kind
from pipeline.errors import PipelineError
from pipeline.schema.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A given point with its recipe and the request lengths that its client drew."""

    recipe: Recipe
    hbm_tb_s: float
    conc: int
    total_tok_s_gpu: float
    tpot_ms: float
    lengths: RequestLengths
    ttft_ms: float | None = None  # median; None where it is not stated

    @property
    def tokens(self) -> int:
        """Input and output tokens of all requests."""
        return sum(self.lengths.inputs) + sum(self.lengths.outputs)

    @property
    def kinds(self) -> tuple[str, str]:
        """Worker kinds of prefill and decode."""
        return worker_kind(self.recipe, "prefill"), worker_kind(self.recipe, "decode")


class Names(NamedTuple):
    """Names of the parameters that a point depends on."""

    overhead: str
    rate: str
    step: str
    slope: str


def names_of(row: Row, rows: Sequence[Row]) -> Names:
    """Return the names of the parameters of a point; ``rows`` are all points of the fit."""
    prefill, decode = row.kinds
    sku, memory = row.recipe.sku, f"{row.hbm_tb_s:g} TB/s"
    counts = Counter(one.kinds[1] for one in rows if one.hbm_tb_s == row.hbm_tb_s)
    slope = decode
    if counts[decode] == 1:
        family = [kind for kind in counts if kind[0] == decode[0] and counts[kind] > 1]
        if not family:
            what = f"a single point of decode workers {decode} cannot determine both step time and slope"
            raise PipelineError(what, where=row.recipe.id, hint="add a second point of this worker kind")
        slope = max(family, key=lambda kind: counts[kind])
    weights = "offload" if prefill.endswith("-offload") else "resident"
    return Names(
        f"overhead_s@{sku}",
        f"tok_s_gpu.{weights}@{sku}",
        f"step_ms.{decode}@{sku}",
        f"slope.{slope}@{memory}",
    )
