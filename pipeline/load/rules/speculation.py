"""Rules about speculative decoding: the same drafter on both sides, and acceptance that is real."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.load.rules.connectors import NIXL, is_enforced, is_nixl
from pipeline.schema.recipe import ROLES, Role

SPECULATION = "speculative-config"
WITH_HIDDEN_STATES = ("eagle", "eagle3", "mtp", "dflash", "dspark")  # layers with KV of their own
HANDSHAKE_SINCE = (0, 28, 0)  # vLLM release that compares speculative decoding in the handshake


def _speculation_refused(case: Case) -> Iterator[Finding]:
    version = case.vllm_release
    if version is not None and version >= HANDSHAKE_SINCE and is_enforced(case):
        yield from _speculation(case)


def _speculation_unchecked(case: Case) -> Iterator[Finding]:
    version = case.vllm_release
    if version is None or version < HANDSHAKE_SINCE or not is_enforced(case):
        yield from _speculation(case)


def _speculation(case: Case) -> Iterator[Finding]:
    prefill, decode = (_drafter(case, role) for role in ROLES)
    if prefill == decode or not is_nixl(case):
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
    method = str(config.get("method") or "")
    method = "mtp" if method.endswith("_mtp") else method  # names that vLLM takes for mtp
    if method not in WITH_HIDDEN_STATES:
        return None
    keys = ("model", "revision", "parallel_drafting", "kv_cache_dtype")
    return {"method": method, **{key: config[key] for key in keys if config.get(key) is not None}}


def _synthetic_acceptance(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        config = case.mapping(role, SPECULATION)
        if config.get("rejection_sample_method") == "synthetic":
            what = f"{role} accepts drafted tokens at a set rate (rejection_sample_method synthetic)"
            hint = "say so in title and notes: its throughput is not that of real text"
            place = (*case.place(role, SPECULATION), "rejection_sample_method")
            yield Finding(place, what, hint)


RULES = (
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
            "The same difference where the handshake does not check it: before vLLM 0.28, in an "
            "unknown version, or with enforce_handshake_compat: false."
        ),
        why=(
            "The number of KV layers then differs. Some releases stop in the handshake, others "
            "serve short prompts and fail at long ones."
        ),
        source="vllm-project/vllm#48221 and #49230",
        find=_speculation_unchecked,
    ),
    Rule(
        id="synthetic-acceptance",
        scope="client",
        severity="warning",
        what="Speculative decoding accepts drafted tokens at a set rate instead of checking them.",
        why=(
            "The text is not that of the LLM, and the throughput depends on the chosen rate only. "
            "Such a point compares with points of the same rate alone."
        ),
        source=(
            "SemiAnalysisAI/InferenceX, inferencex-e2e/infx/srt_slurm/synthetic_acceptance.py; "
            "vLLM 0.20.0, vllm/config/speculative.py"
        ),
        find=_synthetic_acceptance,
    ),
)
