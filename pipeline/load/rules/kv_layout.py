"""Rules about the shape of the KV cache on both sides of the hand-over: blocks and tensor parallelism."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.load.rules.connectors import NIXL, is_nixl
from pipeline.schema.recipe import ROLES

BLOCK = "block-size"
LATENT_SINCE = (0, 21, 0)  # vLLM 0.20 refuses what 0.25.1 accepts; the releases between are not judged


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
    if is_nixl(case) and max(prefill, decode) % min(prefill, decode):
        what = f"prefill tp {prefill} and decode tp {decode}: neither divides the other"
        yield Finding(("decode", "tp"), what, "choose widths of which one divides the other")


def _wider_prefill(case: Case) -> Iterator[Finding]:
    prefill, decode, llm = case.recipe.prefill.tp, case.recipe.decode.tp, case.llm
    if llm is None or not is_nixl(case) or prefill <= max(decode, llm.kv.heads) or prefill % decode:
        return
    version = case.vllm_release
    is_latent = llm.kv.is_latent or not llm.kv.is_plain
    if not is_latent or (version is not None and version < LATENT_SINCE):
        heads = f"{llm.kv.heads} KV head{'s' * (llm.kv.heads != 1)}"
        what = f"prefill tp {prefill} is wider than decode tp {decode}, and {llm.id} has only {heads}"
        hint = "make decode as wide as prefill, or use data parallelism in prefill"
        yield Finding(("prefill", "tp"), what, hint)


RULES = (
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
        id="wider-prefill",
        scope="LLM",
        severity="error",
        what="Tensor parallelism of prefill is wider than that of decode and than the KV heads of the LLM.",
        why=(
            "Prefill ranks then hold copies of a KV head, and NIXL refuses the handshake: for a latent KV in "
            "vLLM 0.20, for other KV in all releases."
        ),
        source="vLLM 0.20.0 to 0.32.0, " + NIXL + " (P_TP > D_TP); vllm-project/vllm#43523",
        find=_wider_prefill,
    ),
)
