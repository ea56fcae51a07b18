"""The table of `fit`: verdict first, the figures behind it, and below the table what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.render.tables import short
from pipeline.render.terminal import aligned
from pipeline.render.text import fixed
from pipeline.render.words.memory import notes, verdict_text
from pipeline.schema.hbm import RecipeFit, RoleFit

HEAD: tuple[str, ...] = (
    "verdict",
    "recipe",
    "SKU",
    "role",
    "weights",
    "other",
    "for KV",
    "in use",
    "left",
    "at once",
    "fit",
    "max-num-seqs",
)
LEGEND = """\
GB = 1e9 bytes of one GPU. other: activations, CUDA graphs, overhead · for KV: what gpu-memory-utilization leaves
at once: sequences of a rank at the largest concurrency, max-num-seqs at most · fit: as many have room
"""


def fit_table(recipes: Sequence[RecipeFit]) -> str:
    """Return one row a role, and notes on those that need one."""
    rows = [HEAD]
    for one in recipes:
        if one.roles is None:
            rows.append(("unknown", one.recipe, one.sku, *["–"] * (len(HEAD) - 3)))
        rows += [_row(one, role) for role in one.roles or ()]
    return aligned(rows, left=4) + LEGEND + "".join(f"\n{note}\n" for note in _notes(recipes))


def _row(one: RecipeFit, role: RoleFit) -> tuple[str, ...]:
    hbm = role.hbm
    figures = (hbm.weights_gb, hbm.other_gb, hbm.kv_budget_gb, hbm.kv_gb, hbm.headroom_gb)
    return (
        verdict_text(hbm),
        one.recipe,
        one.sku,
        f"{hbm.role} {hbm.shape}",
        *("unknown" if value is None else fixed(value, 1) for value in figures),
        str(hbm.running),
        "unknown" if hbm.max_sequences is None else str(hbm.max_sequences),
        str(hbm.sequences),
    )


def _notes(recipes: Sequence[RecipeFit]) -> Iterator[str]:
    """Yield a paragraph for each role that has notes, equal ones of several recipes once."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in recipes:
        if one.roles is None:
            text = (
                "unknown: skus.yaml has no usable HBM for this SKU\n"
                "would decide it: hbm_usable_mib, as `nvidia-smi --query-gpu=memory.total` prints it"
            )
            found.setdefault((one.sku, "both roles", text), []).append(short(one.recipe))
        for role in one.roles or ():
            if text := "\n".join(notes(role)):
                key = (one.sku, f"{role.hbm.role} {role.hbm.shape}", text)
                found.setdefault(key, []).append(short(one.recipe))
    for (sku, role_text, text), names in found.items():
        yield f"{role_text} on {sku}: {', '.join(names)}\n" + "\n".join(
            f"  {line}" for line in text.splitlines()
        )
