"""Settings besides the shape that differ between the recipes of two SKUs: a ratio of the SKUs contains them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final, Literal

from pipeline.analyse.changes import flat
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe
from pipeline.schema.sku_comparison import Confounder, ValueInUse

Kind = Literal["budget", "software", "flag", "environment"]

BUDGETS: Final = frozenset(
    {
        "max-num-batched-tokens",
        "max-num-seqs",
        "max-model-len",
        "gpu-memory-utilization",
        "max-cudagraph-capture-size",
    }
    | {"offload-group-size", "offload-num-in-group"}
)
SHAPE: Final = frozenset({"workers", "tp", "pp", "dp", "ep"})
KINDS: Final[tuple[Kind, ...]] = ("budget", "software", "flag", "environment")


def confounders(rows: Iterable[HistoryRow], skus: Sequence[str]) -> tuple[Confounder, ...]:
    """Return the fields whose values are not used by the same shares of recipes on all SKUs.

    A field that differs alike in both roles is listed once.
    """
    recipes = {row.record.job.recipe.id: row.record.job.recipe for row in rows}
    groups = [[dict(_fields(recipe)) for recipe in recipes.values() if recipe.sku == sku] for sku in skus]
    if not all(groups):
        return ()
    found: dict[tuple[Kind, str, tuple[tuple[ValueInUse, ...], ...]], list[str]] = {}
    for path in sorted({path for group in groups for recipe in group for path in recipe}):
        counts = [Counter(_stated(recipe.get(path)) for recipe in group) for group in groups]
        if any(_shares(count) != _shares(counts[0]) for count in counts):
            where, kind, field = _place(path)
            found.setdefault((kind, field, tuple(map(_in_use, counts))), []).append(where)
    rows_found = [
        Confounder(kind=kind, where="both" if len(where) > 1 else where[0], field=field, values=values)
        for (kind, field, values), where in found.items()
    ]
    return tuple(sorted(rows_found, key=lambda row: (KINDS.index(row.kind), row.field, row.where)))


def _fields(recipe: Recipe) -> Iterable[tuple[str, str]]:
    fields = recipe.measured_fields
    del fields["sku"]
    for role in ("prefill", "decode"):
        fields[role] = {name: value for name, value in fields[role].items() if name not in SHAPE}
        # A nested option is set as one value, so it stays one field.
        flags = fields[role]["flags"].items()
        fields[role]["flags"] = {
            name: json.dumps(value) if isinstance(value, dict) else value for name, value in flags
        }
    return flat(fields)


def _place(path: str) -> tuple[str, Kind, str]:
    role, _, rest = path.partition(".")
    if role not in ("prefill", "decode"):
        return "deployment", "budget" if role == "simulate" else "software", path
    group, _, name = rest.partition(".")
    if group == "env":
        return role, "environment", name
    return role, "budget" if name in BUDGETS else "flag", name


def _stated(text: str | None) -> str | None:
    return None if text == "null" else text


def _shares(count: Counter[str | None]) -> dict[str | None, Fraction]:
    return {value: Fraction(times, count.total()) for value, times in count.items()}


def _in_use(count: Counter[str | None]) -> tuple[ValueInUse, ...]:
    """Return every value, the most frequent first."""
    ordered = sorted(count.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
    return tuple(
        ValueInUse(value=value, recipes=recipes, all_recipes=count.total()) for value, recipes in ordered
    )
