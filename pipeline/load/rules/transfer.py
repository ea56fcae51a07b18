"""Rules about the hand-over of KV from prefill to decode: connector, role and handshake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.load.rules.connectors import (
    NIXL,
    TRANSFER,
    connectors,
    differs,
    is_enforced,
    is_nixl,
    nixl_setting,
)
from pipeline.schema.engine import release
from pipeline.schema.recipe import ROLES, Role

EXPLICIT_SINCE = (1, 0, 0)  # Dynamo release; earlier ones had a connector by default
LAYOUT = ("kv-cache-dtype",)  # what no transfer survives, with or without the handshake
WRONG_ROLE: Mapping[Role, str] = {"prefill": "kv_consumer", "decode": "kv_producer"}
CHECKPOINT = (
    "quantization",
    "revision",
    "tokenizer",
    "tokenizer-mode",
    "tokenizer-revision",
    "hf-overrides",
)


def _missing(case: Case) -> Iterator[Finding]:
    stated = case.recipe.versions.get("dynamo")
    version = release(stated) if stated else None
    if version is not None and version < EXPLICIT_SINCE:
        return
    for role in ROLES:
        if case.setting(role, TRANSFER) is None:
            what = f"{role} sets no {TRANSFER}, so no KV goes from prefill to decode"
            yield Finding(
                (role, "flags"), what, "set it, e.g. {kv_connector: NixlConnector, kv_role: kv_both}"
            )


def _kv_role(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        whole = case.mapping(role, TRANSFER)
        inner = [one for one in connectors(case, role) if one is not whole]
        for connector in (whole, *inner) if whole.get("kv_connector") else ():
            name, stated = connector.get("kv_connector"), connector.get("kv_role")
            if stated is None:
                what = f"{role} sets the connector {name} without kv_role"
            elif stated == WRONG_ROLE[role]:
                what = f"{role} has kv_role {stated} at {name}, the opposite of what it does"
            else:
                continue
            right = "kv_producer" if role == "prefill" else "kv_consumer"
            yield Finding((*case.place(role, TRANSFER), "kv_role"), what, f"set kv_both or {right}")


def _no_common_connector(case: Case) -> Iterator[Finding]:
    names = {role: {str(one.get("kv_connector")) for one in connectors(case, role)} for role in ROLES}
    if names["prefill"] and names["decode"] and not names["prefill"] & names["decode"]:
        prefill, decode = (", ".join(sorted(names[role])) for role in ROLES)
        what = f"prefill sends KV by {prefill}, decode receives by {decode}"
        yield Finding(
            (*case.place("decode", TRANSFER), "kv_connector"), what, "use one connector for both roles"
        )


def _handshake(case: Case) -> Iterator[Finding]:
    if not is_nixl(case):
        return
    for name in (
        ("kv-cache-dtype", "dtype", "disable-hybrid-kv-cache-manager") if is_enforced(case) else LAYOUT
    ):
        prefill, decode = (case.with_default(role, name) for role in ROLES)
        if prefill is not None and decode is not None and prefill != decode:
            yield differs(case, name, name, prefill, decode)
    prefill, decode = (_attention_backend(case, role) for role in ROLES)
    if is_enforced(case) and prefill is not None and decode is not None and prefill != decode:
        is_flag = case.setting("decode", "attention-backend") is not None
        name = "attention-backend" if is_flag else "attention-config"
        yield differs(case, name, "attention backend", prefill, decode)


def _buffer_device(case: Case) -> Iterator[Finding]:
    prefill, decode = (nixl_setting(case, role, "kv_buffer_device") or "cuda" for role in ROLES)
    if is_nixl(case) and prefill != decode:
        yield Finding(
            (*case.place("decode", TRANSFER), "kv_buffer_device"),
            f"kv_buffer_device is {prefill} in prefill and {decode} in decode",
            "use one device for both roles",
        )


def _different_llm(case: Case) -> Iterator[Finding]:
    for name in CHECKPOINT:
        prefill, decode = (case.setting(role, name) for role in ROLES)
        if prefill is not None and decode is not None and prefill != decode:
            yield differs(case, name, name, prefill, decode)


def _attention_backend(case: Case, role: Role) -> JsonValue:
    stated = case.setting(role, "attention-backend")
    return case.mapping(role, "attention-config").get("backend") if stated is None else stated


RULES = (
    Rule(
        id="kv-transfer-missing",
        scope="role",
        severity="error",
        what="A role has no kv-transfer-config.",
        why=(
            "Dynamo refuses to start a prefill worker without it. A decode worker starts, but "
            "computes every prompt again, so the deployment only looks disaggregated."
        ),
        source=(
            "Dynamo 1.2.1 to 1.6.1, dynamo/vllm/args.py; vLLM 0.20.0, vllm/v1/engine/core.py: no "
            "KVConnector found"
        ),
        find=_missing,
    ),
    Rule(
        id="kv-role",
        scope="role",
        severity="error",
        what="kv_role is missing, or the opposite of what the role does.",
        why=(
            "vLLM refuses a connector without kv_role. A prefill worker that only consumes KV, or "
            "a decode worker that only produces it, hands nothing over."
        ),
        source="vLLM 0.20.0 to 0.32.0, vllm/config/kv_transfer.py",
        find=_kv_role,
    ),
    Rule(
        id="kv-connectors",
        scope="pair of roles",
        severity="error",
        what="Prefill and decode have no KV connector in common.",
        why=(
            "Connectors have protocols of their own and do not talk to each other. Connectors "
            "inside of a MultiConnector or PdConnector count."
        ),
        source="vLLM 0.28.0, " + NIXL + "/metadata.py: even push and pull of NIXL are incompatible",
        find=_no_common_connector,
    ),
    Rule(
        id="kv-handshake",
        scope="pair of roles",
        severity="error",
        what=(
            "KV dtype, dtype, attention backend or hybrid KV cache manager differ between prefill and decode."
        ),
        why=(
            "NIXL compares a hash of these settings in the handshake of two workers and refuses "
            "the transfer when they differ; every request fails. With enforce_handshake_compat: false, "
            "only the KV dtype still counts."
        ),
        source="vLLM 0.20.0 to 0.32.0, " + NIXL + "/metadata.py; ai-dynamo/dynamo#12821",
        find=_handshake,
    ),
    Rule(
        id="kv-buffer-device",
        scope="pair of roles",
        severity="error",
        what="kv_buffer_device differs between prefill and decode.",
        why=(
            "NIXL describes the memory of the other side with its own kind of memory, so one side "
            "reads host memory as GPU memory."
        ),
        source="vLLM 0.20.0, " + NIXL + "/worker.py: one nixl_memory_type for local and remote blocks",
        find=_buffer_device,
    ),
    Rule(
        id="different-llm",
        scope="pair of roles",
        severity="warning",
        what=(
            "Both roles state the revision, quantization, tokenizer or overrides of the LLM, and "
            "not the same."
        ),
        why=(
            "The KV of one model is no KV of another. The requests succeed and the text is wrong, "
            "which a benchmark with random prompts does not see."
        ),
        source="vllm-project/vllm#52617: a hand-over that succeeds and still decodes something else",
        find=_different_llm,
    ),
)
