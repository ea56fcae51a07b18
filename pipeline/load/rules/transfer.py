"""Rules about the hand-over of KV from prefill to decode: both roles must mean the same cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.recipe import ROLES, Role

TRANSFER, SPECULATION, BLOCK = "kv-transfer-config", "speculative-config", "block-size"
WITH_HIDDEN_STATES = ("eagle", "eagle3", "mtp", "dflash", "dspark")  # layers with KV of their own
HANDSHAKE_SINCE = (0, 28, 0)  # vLLM release that compares speculative decoding in the handshake
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
    for role in ROLES:
        if case.setting(role, TRANSFER) is None:
            what = f"{role} sets no {TRANSFER}, so no KV goes from prefill to decode"
            yield Finding(
                (role, "flags"), what, "set it, e.g. {kv_connector: NixlConnector, kv_role: kv_both}"
            )


def _kv_role(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        for connector in _connectors(case, role):
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
    names = {role: {str(one.get("kv_connector")) for one in _connectors(case, role)} for role in ROLES}
    if names["prefill"] and names["decode"] and not names["prefill"] & names["decode"]:
        prefill, decode = (", ".join(sorted(names[role])) for role in ROLES)
        what = f"prefill sends KV by {prefill}, decode receives by {decode}"
        yield Finding(
            (*case.place("decode", TRANSFER), "kv_connector"), what, "use one connector for both roles"
        )


def _handshake(case: Case) -> Iterator[Finding]:
    if not _nixl(case):
        return
    for name in ("kv-cache-dtype", "dtype", "disable-hybrid-kv-cache-manager"):
        prefill, decode = (case.with_default(role, name) for role in ROLES)
        if prefill is not None and decode is not None and prefill != decode:
            yield _differs(case, name, name, prefill, decode)
    prefill, decode = (_attention_backend(case, role) for role in ROLES)
    if prefill is not None and decode is not None and prefill != decode:
        name = (
            "attention-backend"
            if case.setting("decode", "attention-backend") is not None
            else "attention-config"
        )
        yield _differs(case, name, "attention backend", prefill, decode)


def _buffer_device(case: Case) -> Iterator[Finding]:
    prefill, decode = (_nixl_setting(case, role, "kv_buffer_device") or "cuda" for role in ROLES)
    if _nixl(case) and prefill != decode:
        yield Finding(
            (*case.place("decode", TRANSFER), "kv_buffer_device"),
            f"kv_buffer_device is {prefill} in prefill and {decode} in decode",
            "use one device for both roles",
        )


def _block_ratio(case: Case) -> Iterator[Finding]:
    prefill, decode = (case.integer(role, BLOCK) for role in ROLES)
    if prefill and decode and decode % prefill:
        yield Finding(
            case.place("decode", BLOCK),
            f"decode {BLOCK} {decode} is no multiple of prefill {BLOCK} {prefill}",
            "use one block size for both roles",
        )


def _block_differs(case: Case) -> Iterator[Finding]:
    prefill, decode = (case.integer(role, BLOCK) for role in ROLES)
    if prefill and decode and decode != prefill and decode % prefill == 0:
        yield Finding(
            case.place("decode", BLOCK),
            f"{BLOCK} is {prefill} in prefill and {decode} in decode: it works with full attention only",
            "use one block size for both roles",
        )


def _tp_ratio(case: Case) -> Iterator[Finding]:
    prefill, decode = case.recipe.prefill.tp, case.recipe.decode.tp
    if _nixl(case) and max(prefill, decode) % min(prefill, decode):
        what = f"prefill tp {prefill} and decode tp {decode}: neither divides the other"
        yield Finding(("decode", "tp"), what, "choose widths of which one divides the other")


def _speculation_refused(case: Case) -> Iterator[Finding]:
    release = case.vllm_release
    if release is not None and release >= HANDSHAKE_SINCE:
        yield from _speculation(case)


def _speculation_unchecked(case: Case) -> Iterator[Finding]:
    release = case.vllm_release
    if release is None or release < HANDSHAKE_SINCE:
        yield from _speculation(case)


def _speculation(case: Case) -> Iterator[Finding]:
    prefill, decode = (_drafter(case, role) for role in ROLES)
    if prefill == decode or not _nixl(case):
        return
    shown = {
        role: ", ".join(f"{key} {value}" for key, value in one.items()) if one else "none"
        for role, one in (("prefill", prefill), ("decode", decode))
    }
    yield Finding(
        case.place("decode" if decode else "prefill", SPECULATION),
        "speculative decoding with draft layers differs: "
        f"prefill {shown['prefill']}, decode {shown['decode']}",
        f"set the same method and model in {SPECULATION} of both roles",
    )


def _drafter(case: Case, role: Role) -> dict[str, JsonValue] | None:
    """Return what must be equal of a method whose draft layers have KV; None for any other."""
    config = case.mapping(role, SPECULATION)
    if config.get("method") not in WITH_HIDDEN_STATES:
        return None
    keys = ("method", "model", "revision", "parallel_drafting", "kv_cache_dtype")
    return {key: config[key] for key in keys if config.get(key) is not None}


def _different_llm(case: Case) -> Iterator[Finding]:
    for name in CHECKPOINT:
        prefill, decode = (case.setting(role, name) for role in ROLES)
        if prefill is not None and decode is not None and prefill != decode:
            yield _differs(case, name, name, prefill, decode)


def _differs(case: Case, name: str, shown: str, prefill: JsonValue, decode: JsonValue) -> Finding:
    values: dict[Role, JsonValue] = {"prefill": prefill, "decode": decode}
    is_default = {role: shown == name and case.setting(role, name) is None for role in ROLES}
    stated = {role: _word(values[role]) + (", the default," if is_default[role] else "") for role in ROLES}
    place = case.place("prefill" if is_default["decode"] else "decode", name)
    what = f"{shown} is {stated['prefill']} in prefill and {stated['decode']} in decode"
    return Finding(place, what, "set the same value for both roles")


def _word(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _attention_backend(case: Case, role: Role) -> JsonValue:
    stated = case.setting(role, "attention-backend")
    return case.mapping(role, "attention-config").get("backend") if stated is None else stated


def _connectors(case: Case, role: Role) -> list[Mapping[str, JsonValue]]:
    """Return the connectors of a role; those inside of a MultiConnector or PdConnector in its place."""
    config = case.mapping(role, TRANSFER)
    extra = config.get("kv_connector_extra_config")
    inner = extra.get("connectors") if isinstance(extra, dict) else None
    if isinstance(inner, list):
        return [one for one in inner if isinstance(one, dict)]
    return [config] if config.get("kv_connector") else []


def _nixl_setting(case: Case, role: Role, key: str) -> JsonValue:
    return next((one.get(key) for one in _connectors(case, role) if _is_nixl(one)), None)


def _nixl(case: Case) -> bool:
    """Return whether both roles hand over by NIXL, whose handshake these rules describe."""
    return all(any(map(_is_nixl, _connectors(case, role))) for role in ROLES)


def _is_nixl(connector: Mapping[str, JsonValue]) -> bool:
    return str(connector.get("kv_connector")).startswith("Nixl")


NIXL = "vllm/distributed/kv_transfer/kv_connector/v1/nixl"
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
            "the transfer when they differ; every request fails."
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
        id="block-ratio",
        scope="pair of roles",
        severity="error",
        what="The block size of decode is no multiple of the block size of prefill.",
        why="NIXL maps a whole number of prefill blocks to each decode block and stops otherwise.",
        source=(
            "vLLM 0.20.0 to 0.32.0, vllm/distributed/kv_transfer/kv_connector/utils.py, "
            "block_size_ratio; vllm-project/vllm#42895"
        ),
        find=_block_ratio,
    ),
    Rule(
        id="block-differs",
        scope="pair of roles",
        severity="warning",
        what="The block size of decode is a larger multiple of that of prefill.",
        why=(
            "NIXL then rearranges every received block, and refuses it for an LLM that needs the "
            "hybrid KV cache manager (sliding window, compressed or state-space layers)."
        ),
        source="vLLM 0.20.0 and 0.25.1, " + NIXL + ": HMA does not support different remote block size",
        find=_block_differs,
    ),
    Rule(
        id="tp-ratio",
        scope="pair of roles",
        severity="error",
        what="Neither tp of prefill nor tp of decode divides the other.",
        why="Each rank of the wider side pairs with one rank of the narrower side; NIXL stops otherwise.",
        source="vLLM 0.20.0 to 0.32.0, vllm/distributed/kv_transfer/kv_connector/utils.py, tp_ratio",
        find=_tp_ratio,
    ),
    Rule(
        id="speculation-handshake",
        scope="engine version",
        severity="error",
        what="From vLLM 0.28 on: the model-based speculative decoding of prefill and decode differs.",
        why=(
            "Draft layers have KV of their own, so the handshake compares method, draft model and "
            "KV dtype and refuses a difference. The number of speculative tokens may differ; "
            "ngram and suffix methods are not compared."
        ),
        source="vllm-project/vllm#49230; vLLM 0.28.0, " + NIXL + "/metadata.py",
        find=_speculation_refused,
    ),
    Rule(
        id="speculation-differs",
        scope="pair of roles",
        severity="warning",
        what=(
            "Before vLLM 0.28, or in an unknown version: the same difference, which the handshake "
            "does not check."
        ),
        why=(
            "The number of KV layers then differs. Some releases stop in the handshake, others "
            "serve short prompts and fail at long ones."
        ),
        source="vllm-project/vllm#48221 and #49230",
        find=_speculation_unchecked,
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
