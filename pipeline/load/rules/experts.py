"""Rules about experts: how they are divided over the GPUs of a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.catalogue import Llm
from pipeline.schema.recipe import ROLES, Pool, Role


def _ep_width(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        pool = case.recipe.pools[role]
        width = pool.tp * pool.dp
        if pool.ep in (1, width):
            continue
        hint = f"set ep to 1 or {width}"
        if width % pool.ep:
            yield Finding((role, "ep"), f"{role} ep {pool.ep} does not divide tp x dp = {width}", hint)
        else:
            what = f"{role} ep {pool.ep}: vLLM distributes experts over all tp x dp = {width} GPUs"
            yield Finding((role, "ep"), what, hint)


def _experts_need_even_ranks(case: Case) -> Iterator[Finding]:
    for role, llm, pool, experts in _uneven(case):
        reason = _needs_even_ranks(case, role)
        if reason:
            what = (
                f"{role} ep {pool.ep} does not divide the {experts} experts of {llm.id}, which {reason} needs"
            )
            yield Finding((role, "ep"), what, f"choose a shape whose ep divides {experts}")


def _experts_uneven(case: Case) -> Iterator[Finding]:
    for role, llm, pool, experts in _uneven(case):
        if _needs_even_ranks(case, role):
            continue
        what = (
            f"{role} ep {pool.ep} does not divide the {experts} experts of {llm.id}: "
            f"{experts % pool.ep} ranks hold one expert more than the others"
        )
        yield Finding((role, "ep"), what, f"choose a shape whose ep divides {experts}")


def _uneven(case: Case) -> Iterator[tuple[Role, Llm, Pool, int]]:
    for role in ROLES:
        pool = case.recipe.pools[role]
        if case.llm is None or not case.llm.experts or pool.ep != pool.tp * pool.dp:
            continue  # a wrong width is a finding of its own
        experts = case.llm.experts + _redundant(case.mapping(role, "eplb-config"))
        if experts % pool.ep:
            yield role, case.llm, pool, experts


def _needs_even_ranks(case: Case, role: Role) -> str | None:
    if case.setting(role, "enable-eplb") is True:
        return "expert load balancing"
    backend = case.setting(role, "moe-backend")
    return f"moe-backend {backend}" if isinstance(backend, str) and "mega_moe" in backend else None


def _intermediate_over_gpus(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        pool, llm = case.recipe.pools[role], case.llm
        if llm is not None and pool.ep == 1 and llm.expert_intermediate % (pool.tp * pool.dp):
            over = f"tp x dp = {pool.tp * pool.dp}" if pool.dp > 1 else f"tp {pool.tp}"
            yield Finding(
                (role, "dp" if pool.dp > 1 else "tp"),
                f"{role} divides each expert of {llm.id} over {over} GPUs, "
                f"which does not divide its intermediate size {llm.expert_intermediate}",
                f"set ep to {pool.tp * pool.dp}, or choose another width",
            )


def _quantisation_block(case: Case) -> Iterator[Finding]:
    llm = case.llm
    weights = llm.precisions.get(case.recipe.precision) if llm else None
    if llm is None or weights is None:
        return
    for role in ROLES:
        pool = case.recipe.pools[role]
        shards = (
            (
                "routed",
                weights.routed_block,
                1 if pool.ep > 1 else pool.tp * pool.dp,
                llm.expert_intermediate,
            ),
            ("shared", weights.shared_block, pool.tp, llm.expert_intermediate * llm.shared_experts),
        )
        for kind, block, width, size in shards:
            if block is None or size % width or (size // width) % block == 0:
                continue
            what = (
                f"{role} gives each GPU {size // width} of {size} rows of the {kind} experts of {llm.id}, "
                f"which is no multiple of their quantisation block {block}"
            )
            with_ep = ", or set ep" if kind == "routed" else ""
            hint = f"choose a width that leaves each GPU a multiple of {block} rows{with_ep}"
            yield Finding((role, "tp"), what, hint)


def _dense(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        pool, llm = case.recipe.pools[role], case.llm
        if llm is None:
            continue
        if not llm.experts and pool.ep > 1:
            what = f"{role} ep {pool.ep}: {llm.id} has no experts"
            yield Finding((role, "ep"), what, "set ep to 1; dp makes replicas of a dense LLM")
        if llm.dense_intermediate % pool.tp:
            what = (
                f"{role} tp {pool.tp} does not divide the {llm.dense_intermediate} rows of an MLP of {llm.id}"
            )
            yield Finding((role, "tp"), what, f"set tp to a divisor of {llm.dense_intermediate}")


def _eplb(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        is_on = case.setting(role, "enable-eplb") is True
        redundant = _redundant(case.mapping(role, "eplb-config"))
        if is_on and case.recipe.pools[role].ep == 1:
            what = f"{role} balances expert load (enable-eplb), but has no expert parallelism"
            yield Finding(case.place(role, "enable-eplb"), what, "set ep to tp x dp, or remove enable-eplb")
        elif redundant and not is_on:
            what = f"{role} asks for {redundant} redundant experts, but expert load balancing is off"
            yield Finding(case.place(role, "eplb-config"), what, "set enable-eplb, or remove eplb-config")


def _redundant(config: Mapping[str, JsonValue]) -> int:
    count = config.get("num_redundant_experts")
    return count if isinstance(count, int) and not isinstance(count, bool) else 0


RULES = (
    Rule(
        id="ep-width",
        scope="role",
        severity="error",
        what="ep is neither 1 nor tp x dp.",
        why=(
            "vLLM has one switch: experts are divided over all GPUs of a worker (ep = tp x dp), "
            "or every expert is divided over them (ep = 1). With dp > 1 and ep = 1 they are one "
            "tensor-parallel group over tp x dp."
        ),
        source="vLLM 0.20.0, vllm/model_executor/layers/fused_moe/config.py, FusedMoEParallelConfig.make",
        find=_ep_width,
    ),
    Rule(
        id="dense-llm",
        scope="LLM",
        severity="error",
        what="ep is above 1 for an LLM without experts, or tp does not divide the rows of its MLP.",
        why="vLLM refuses expert parallelism for a dense LLM, and divides each MLP evenly over tp.",
        source="vLLM 0.32.0, vllm/config/model.py (_verify_with_expert_parallelism), "
        "vllm/distributed/utils.py (ensure_divisibility)",
        find=_dense,
    ),
    Rule(
        id="experts-need-even-ranks",
        scope="LLM",
        severity="error",
        what="ep does not divide the experts, and EPLB or a mega_moe backend is used.",
        why=(
            "Both need the same number of experts on each rank (redundant experts included) and "
            "stop otherwise."
        ),
        source="vLLM 0.32.0, vllm/model_executor/layers/fused_moe/layer.py (EPLB); vLLM 0.20.0, "
        "vllm/model_executor/models/deepseek_v4.py (mega_moe)",
        find=_experts_need_even_ranks,
    ),
    Rule(
        id="experts-uneven",
        scope="LLM",
        severity="warning",
        what="ep does not divide the experts of the LLM.",
        why=(
            "vLLM places the remaining experts on the first ranks. It runs, but these ranks have "
            "more to do in every step, and all others wait for them."
        ),
        source="vLLM 0.20.0, vllm/model_executor/layers/fused_moe/layer.py, determine_expert_map",
        find=_experts_uneven,
    ),
    Rule(
        id="experts-over-gpus",
        scope="LLM",
        severity="error",
        what="Without expert parallelism, tp x dp does not divide the intermediate size of an expert.",
        why=(
            "Every expert is then divided over all GPUs of the worker, and each must hold a whole "
            "number of its rows."
        ),
        source=(
            "vLLM 0.20.0, vllm/model_executor/layers/fused_moe/layer.py: intermediate_size % tp_size == 0"
        ),
        find=_intermediate_over_gpus,
    ),
    Rule(
        id="quantisation-block",
        scope="LLM",
        severity="error",
        what="The part of an expert on one GPU is no multiple of the quantisation block of its weights.",
        why=(
            "A block has one scale and cannot be divided, so loading the weights fails. Silent "
            "where the LLM document does not state the block."
        ),
        source=(
            "vllm-project/vllm#17569 and #52997; vLLM 0.20.0, vllm/model_executor/layers/quantization/fp8.py"
        ),
        find=_quantisation_block,
    ),
    Rule(
        id="eplb",
        scope="role",
        severity="error",
        what=(
            "Expert load balancing without expert parallelism, or redundant experts without load balancing."
        ),
        why="vLLM refuses to start with either.",
        source="vLLM 0.20.0 to 0.32.0, vllm/config/parallel.py",
        find=_eplb,
    ),
)
