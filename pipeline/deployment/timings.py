"""Which timing a recipe is simulated with: that of its LLM, precision, SKU and worker kinds. Another is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.deployment.timing_range import extrapolations
from pipeline.deployment.worker_kinds import worker_kind
from pipeline.errors import MeasureError
from pipeline.schema.recipe import ROLES, Recipe, Role
from pipeline.schema.timing import SkuTiming, Timing

CALIBRATE = "python -m pipeline calibrate POINTS --out FILE"


def choose(timings: Sequence[Timing], recipe: Recipe) -> Timing:
    """Return the document for the LLM, precision, SKU and worker kinds of a recipe.

    MeasureError names what is missing. Of several, the one whose fitted ranges hold most of the recipe.
    """
    gaps = [_gap(one, recipe) for one in timings]
    suitable = [one for one, gap in zip(timings, gaps, strict=True) if gap is None]
    if len(suitable) == 1:
        return suitable[0]
    if suitable:
        return min(suitable, key=lambda one: len(extrapolations(recipe, _own(one, recipe.sku))))
    nearest = max((gap for gap in gaps if gap), key=lambda gap: gap.depth, default=None)
    if nearest is None:
        raise MeasureError(f"no timing for {_llm(recipe)}", where=recipe.id, hint=f"calibrate: {CALIBRATE}")
    if nearest.depth == 0:  # every document is for another LLM
        known = ", ".join(sorted({f"{one.model} in {one.precision}" for one in timings}))
        hint = f"there is timing for {known}; calibrate this LLM ({CALIBRATE}), "
        hint += "and list FILE under `timing` of the cluster"
        raise MeasureError(nearest.what, where=recipe.id, hint=hint)
    raise MeasureError(nearest.what, where=recipe.id, hint=nearest.hint)


def sku_timing(timings: Sequence[Timing], recipe: Recipe) -> SkuTiming:
    """Return the parameters of a recipe's SKU and LLM; MeasureError names what is missing."""
    return _own(choose(timings, recipe), recipe.sku)


def is_for(timing: Timing, recipe: Recipe) -> bool:
    """Return whether a document was fitted to the LLM and precision of a recipe."""
    return (timing.model, timing.precision) == (recipe.model, recipe.precision)


@dataclass(frozen=True, slots=True)
class _Gap:
    """What a document lacks for a recipe; the greater the depth, the more of it fits."""

    depth: int
    what: str
    hint: str = ""


def _gap(timing: Timing, recipe: Recipe) -> _Gap | None:
    if not is_for(timing, recipe):
        return _Gap(0, f"no timing for {_llm(recipe)}")
    skus = [one.sku for one in timing.skus]
    if recipe.sku not in skus:
        what = f"no timing for {_llm(recipe)} on {recipe.sku}"
        return _Gap(1, what, f"calibrated: {', '.join(sorted(skus))}; calibrate this SKU: {CALIBRATE}")
    own = _own(timing, recipe.sku)
    for depth, role in enumerate(ROLES, start=2):
        kind, known = worker_kind(recipe, role), _kinds(own, role)
        if kind not in known:
            what = f"no timing for {role} workers {kind} on {recipe.sku}"
            hint = f"calibrated: {', '.join(known)}; add a point of this worker kind, and calibrate again"
            return _Gap(depth, what, hint)
    return None


def _own(timing: Timing, sku: str) -> SkuTiming:
    return next(one for one in timing.skus if one.sku == sku)


def _kinds(timing: SkuTiming, role: Role) -> list[str]:
    parts: Iterable[str] = (one.kind for one in (timing.prefill if role == "prefill" else timing.decode))
    return sorted(parts)


def _llm(recipe: Recipe) -> str:
    return f"{recipe.model} in {recipe.precision}"
