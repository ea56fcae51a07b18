"""Rules about HBM beside the verdict of `fit`: what to change when it says no."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.deployment import hbm as memory
from pipeline.deployment import scheduler
from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.hbm import Hbm
from pipeline.schema.recipe import ROLES, Role

LENGTH, UTILIZATION = "max-model-len", "gpu-memory-utilization"


def _length_over_kv(case: Case) -> Iterator[Finding]:
    for hbm in _estimate(case):
        fits = hbm.longest_that_fits
        if hbm.accepted is None and fits is not None and hbm.tokens <= fits < (hbm.max_model_len or 0):
            what = (
                f"{hbm.role} {LENGTH} {hbm.max_model_len}: beside the weights, "
                f"KV memory holds one sequence of at most {fits} tokens"
            )
            hint = f"set {LENGTH} to {fits} or less; the workload needs {hbm.tokens}"
            yield Finding(case.place(hbm.role, LENGTH), what, hint)


def _estimate(case: Case) -> tuple[Hbm, ...]:
    """Return the HBM of both roles; empty where the recipe or the catalogue lacks what it needs."""
    if case.sku is None or case.llm is None or case.recipe.precision not in case.llm.precisions:
        return ()
    if not all(_states_limits(case, role) for role in ROLES):
        return ()
    return memory.estimate(case.recipe, case.sku, case.llm) or ()


def _states_limits(case: Case, role: Role) -> bool:
    """Return whether the estimate has every number that it needs; wrong values are findings of their own."""
    share, length = case.setting(role, UTILIZATION), case.setting(role, LENGTH)
    limits = (case.integer(role, name) for name in scheduler.SIMULATE_FIELDS if name != UTILIZATION)
    is_share = isinstance(share, int | float) and not isinstance(share, bool)
    return is_share and all(limits) and (length is None or case.integer(role, LENGTH) is not None)


RULES = (
    Rule(
        id="length-over-kv",
        scope="SKU",
        severity="warning",
        what="KV memory cannot hold one sequence of max-model-len, but it can hold the workload.",
        why=(
            "vLLM refuses to start unless one sequence of max-model-len fits. `fit` judges it, as an error or "
            "as accepted by the author; this rule says which length would do."
        ),
        source="vLLM 0.20.0 to 0.32.0, vllm/v1/core/kv_cache_utils.py: To serve at least one request",
        find=_length_over_kv,
    ),
)
