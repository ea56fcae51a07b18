"""Rules about a worker beside its experts: heads over tensor parallelism, NUMA nodes, offload."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.recipe import ROLES


def _heads_over_tp(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        tp = case.recipe.pools[role].tp
        if case.llm is not None and case.llm.attention_heads % tp:
            heads = case.llm.attention_heads
            what = f"{role} tp {tp} does not divide the {heads} attention heads of {case.llm.id}"
            yield Finding((role, "tp"), what, f"set tp to a divisor of {heads}")


def _kv_heads_over_tp(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        tp = case.recipe.pools[role].tp
        if case.llm is None or case.llm.kv.heads % tp == 0 or tp % case.llm.kv.heads == 0:
            continue
        heads = f"{case.llm.kv.heads} KV heads of {case.llm.id}"
        what = f"{role} tp {tp} is neither a divisor nor a multiple of the {heads}"
        yield Finding((role, "tp"), what, "choose another tp")


def _numa(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        for name in ("numa-bind-nodes", "numa-bind-cpus"):
            if case.setting(role, name) is not None and case.with_default(role, "numa-bind") is not True:
                yield Finding(
                    case.place(role, name), f"{role} sets {name} without numa-bind", "set numa-bind"
                )


def _offload(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        group, part = case.setting(role, "offload-group-size"), case.setting(role, "offload-num-in-group")
        if group is None and part is None:
            continue
        group, part = 1 if group is None else group, 1 if part is None else part
        if isinstance(group, int) and isinstance(part, int) and 0 < part <= group:
            continue
        name = "offload-num-in-group" if case.setting(role, "offload-num-in-group") is not None else ""
        yield Finding(
            case.place(role, name or "offload-group-size"),
            f"{part} of every {group} layers cannot be offloaded",
            "use integers with 1 ≤ offload-num-in-group ≤ offload-group-size",
        )


RULES = (
    Rule(
        id="heads-over-tp",
        scope="LLM",
        severity="error",
        what="tp does not divide the attention heads of the LLM.",
        why="Each GPU of a tensor-parallel group holds whole heads. vLLM refuses to start.",
        source="vLLM 0.20.0 to 0.32.0, vllm/config/model.py, verify_with_parallel_config",
        find=_heads_over_tp,
    ),
    Rule(
        id="kv-heads-over-tp",
        scope="LLM",
        severity="error",
        what="tp is neither a divisor nor a multiple of the KV heads of the LLM.",
        why=(
            "KV heads are divided over the ranks, or copied a whole number of times. vLLM stops while it "
            "builds the model."
        ),
        source="vLLM 0.20.0, vllm/model_executor/models/llama.py, qwen3_moe.py, minimax_m2.py",
        find=_kv_heads_over_tp,
    ),
    Rule(
        id="numa-nodes",
        scope="role",
        severity="error",
        what="numa-bind-nodes or numa-bind-cpus without numa-bind.",
        why="vLLM refuses to start.",
        source="vLLM 0.20.0 to 0.32.0, vllm/config/parallel.py",
        find=_numa,
    ),
    Rule(
        id="offload-group",
        scope="role",
        severity="error",
        what="More layers of a group are offloaded than the group has.",
        why="vLLM refuses to start.",
        source="vLLM 0.20.0 to 0.32.0, vllm/config/offload.py, validate_offload_config",
        find=_offload,
    ),
)
