"""Worker kinds: what timing parameters belong to."""

from __future__ import annotations

from typing import NoReturn

from pipeline.deployment.settings import setting
from pipeline.errors import MeasureError
from pipeline.schema.recipe import Recipe, Role
from pipeline.schema.timing import DecodeTiming, PrefillTiming, SkuTiming


def worker_kind(recipe: Recipe, role: Role) -> str:
    """Return which timing parameters a pool uses: its worker shape, and whether expert weights are offloaded.

    Offloaded weights are fetched from the host in every pass, so such a worker is calibrated on its own.
    """
    pool = recipe.pools[role]
    return pool.shape + ("-offload" if setting(pool, "offload-group-size") is not None else "")


def prefill_timing(recipe: Recipe, timing: SkuTiming) -> PrefillTiming:
    """Return the timing of the prefill workers; MeasureError when their worker kind was not calibrated."""
    kind = worker_kind(recipe, "prefill")
    return next((one for one in timing.prefill if one.kind == kind), None) or _refuse(
        "prefill", kind, timing, recipe
    )


def decode_timing(recipe: Recipe, timing: SkuTiming) -> DecodeTiming:
    """Return the timing of the decode workers; MeasureError when their worker kind was not calibrated."""
    kind = worker_kind(recipe, "decode")
    return next((one for one in timing.decode if one.kind == kind), None) or _refuse(
        "decode", kind, timing, recipe
    )


def _refuse(role: Role, kind: str, timing: SkuTiming, recipe: Recipe) -> NoReturn:
    known = sorted(one.kind for one in (timing.prefill if role == "prefill" else timing.decode))
    hint = f"calibrated: {', '.join(known)}; add a point of this worker kind, and calibrate again"
    raise MeasureError(f"no timing for {role} workers {kind} on {timing.sku}", where=recipe.id, hint=hint)
