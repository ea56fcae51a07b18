"""Rules about UCX, which carries the KV transfer of NIXL: lists of transports that cannot work."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.recipe import ROLES, Role

TLS, MNNVL = "UCX_TLS", "UCX_CUDA_IPC_ENABLE_MNNVL"
GPU_MEMORY = ("cuda", "cuda_copy", "all")  # names that give UCX access to GPU memory
NETWORK = ("tcp", "ib", "rc", "ud", "dc", "srd", "all")  # between hosts; rc also as rc_x, rc_mlx5, …
YES = ("y", "yes", "1", "on", "true")


def _transports(case: Case, role: Role) -> tuple[bool, list[str]] | None:
    """Return whether ``UCX_TLS`` excludes what it names, and the names; None where it is not set."""
    value = case.recipe.pools[role].env.get(TLS, "").strip()
    if not value:
        return None
    names = value.removeprefix("^").split(",")
    return value.startswith("^"), [name.strip().partition(":")[0] for name in names if name.strip()]


def _negation(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        found = _transports(case, role)
        inside = next((name for name in found[1] if name.startswith("^")), None) if found else None
        if inside:
            what = f"{_stated(case, role)} both names and excludes transports: `^` counts only at the start"
            yield Finding((role, "env", TLS), what, f"list what is used, without `{inside}`")


def _gpu_memory(case: Case) -> Iterator[Finding]:
    if case.sku is not None and case.sku.vendor != "nvidia":
        return
    for role in ROLES:
        found = _transports(case, role)
        if found is None or any(name.startswith("^") for name in found[1]):
            continue
        is_exclusion, names = found
        if any(name in GPU_MEMORY for name in names) is is_exclusion:
            what = f"{_stated(case, role)} leaves UCX without access to GPU memory"
            hint = "do not exclude cuda_copy" if is_exclusion else "add cuda_copy, or cuda for NVLink too"
            yield Finding((role, "env", TLS), what, hint)


def _network(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        found = _transports(case, role)
        if found and not found[0] and not any(map(_is_network, found[1])):
            what = f"{_stated(case, role)} has no transport between trays"
            hint = "add tcp, or rc where the trays have InfiniBand or RoCE"
            yield Finding((role, "env", TLS), what, hint)


def _roles_meet(case: Case) -> Iterator[Finding]:
    prefill, decode = (_transports(case, role) for role in ROLES)
    if not prefill or not decode or prefill[0] or decode[0]:
        return
    ours, theirs = ({_family(name) for name in one[1] if _is_network(name)} for one in (prefill, decode))
    wide = {"all", "ib"} & (ours | theirs)
    if ours and theirs and not ours & theirs and not wide:
        of_prefill, of_decode = ", ".join(sorted(ours)), ", ".join(sorted(theirs))
        what = f"no transport in common: {of_prefill} in prefill, {of_decode} in decode"
        yield Finding(("decode", "env", TLS), what, f"use the same {TLS} for both roles")


def _mnnvl(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        found = _transports(case, role)
        is_asked = case.recipe.pools[role].env.get(MNNVL, "").lower() in YES
        if not is_asked or found is None:
            continue
        is_named = any(name in ("cuda_ipc", "cuda", "all") for name in found[1])
        if is_named is found[0]:
            what = f"{role} sets {MNNVL}, but {TLS} leaves out cuda_ipc, which would use it"
            yield Finding((role, "env", TLS), what, f"add cuda_ipc to {TLS}, or remove {MNNVL}")


def _stated(case: Case, role: Role) -> str:
    return f"{role} {TLS}={case.recipe.pools[role].env[TLS]}"


def _is_network(name: str) -> bool:
    return _family(name) in NETWORK


def _family(name: str) -> str:
    """Return the transport without its implementation: ``rc_mlx5`` and ``rc_x`` are ``rc``."""
    return name.partition("_")[0] if name.startswith(("rc_", "ud_", "dc_")) else name


RULES = (
    Rule(
        id="ucx-negation",
        scope="role",
        severity="error",
        what="UCX_TLS has a `^` that is not its first character.",
        why=(
            "A leading `^` excludes the whole list. Inside of a list it is part of a name that no "
            "transport has, so `cuda_copy,^tcp` neither excludes tcp nor keeps what was meant."
        ),
        source="openucx/ucx, docs/source/faq.md (UCX_TLS) and test/apps/test_ucx_tls.py (negate mode)",
        find=_negation,
    ),
    Rule(
        id="ucx-gpu-memory",
        scope="role",
        severity="error",
        what="UCX_TLS leaves out cuda_copy (or cuda), or excludes it.",
        why=(
            "UCX recognises GPU memory through cuda_copy. Without it the transfer crashes; newer "
            "NIXL refuses to start."
        ),
        source="ai-dynamo/nixl#1617; openucx/ucx#3776; openucx/ucx, docs/source/faq.md (UCX_TLS)",
        find=_gpu_memory,
    ),
    Rule(
        id="ucx-network",
        scope="role",
        severity="error",
        what="UCX_TLS names no transport that reaches another host.",
        why=(
            "cuda_copy and cuda_ipc move memory, but cannot carry the control messages of NIXL, "
            "and shared memory ends at the host. Prefill and decode are on different trays."
        ),
        source=(
            "ai-dynamo/dynamo, recipes/deepseek-v4/deepseek-v4-pro/vllm/disagg/gb200/deploy.yaml "
            "(comment at UCX_TLS)"
        ),
        find=_network,
    ),
    Rule(
        id="ucx-roles",
        scope="pair of roles",
        severity="error",
        what="The UCX_TLS of prefill and of decode have no network transport in common.",
        why="Both ends of a UCX connection use the same transport.",
        source=(
            "openucx/ucx, docs/source/faq.md (UCX_TLS); ai-dynamo/nixl#1614 (NIXL_ERR_BACKEND across nodes)"
        ),
        find=_roles_meet,
    ),
    Rule(
        id="ucx-mnnvl",
        scope="role",
        severity="warning",
        what="UCX_CUDA_IPC_ENABLE_MNNVL is set, but UCX_TLS leaves out cuda_ipc.",
        why=(
            "The KV then goes over the network although NVLink between trays was meant; a median "
            "TTFT of 4.7 s instead of 0.5 s was seen where the transfer fell back to TCP."
        ),
        source="ai-dynamo/nixl#1110; comment in a public DeepSeek-V4-Pro recipe of ai-dynamo/dynamo",
        find=_mnnvl,
    ),
)
