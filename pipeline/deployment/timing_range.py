"""The range of batch and context that timing was fitted to, and what of a recipe or point is outside of it.

Passes and steps take a time that is linear in tokens. That is known for the fitted points, and between them.

==================  =================================================================================
input tokens        of a prompt: shortest and longest of the workload
prompts per pass    that a prefill rank may take into one pass: by max-num-seqs and max-num-batched-tokens
context tokens      of a sequence: from the shortest prompt to the longest prompt with its output
sequences per rank  that a decode rank runs at once: mean over the steady window of a run
==================  =================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.deployment.scheduler import max_num_batched_tokens, max_num_seqs, mean_lengths
from pipeline.deployment.worker_kinds import decode_timing, prefill_timing
from pipeline.schema.recipe import ROLES, Recipe, Role
from pipeline.schema.timing import Extrapolation, Range, RangeAxis, SkuTiming

# A value that is outside by no more counts as inside: two runs of one deployment differ by as much.
MARGIN: Final = 0.05


Ranges = Mapping[RangeAxis, Range]


def covered(recipe: Recipe, role: Role, sequences: float | None = None) -> dict[RangeAxis, Range]:
    """Return what a recipe, or a point of it, covers of each quantity.

    ``sequences``: what a decode rank runs at once; None = not known, as before a run.
    """
    isl, osl = recipe.workload.isl, recipe.workload.osl
    shortest = isl * recipe.client.shortest
    if role == "prefill":
        budget = max_num_batched_tokens(recipe, role) / mean_lengths(recipe)[0]
        prompts = min(float(max_num_seqs(recipe, role)), budget)
        return {
            "input tokens": Range(low=shortest, high=float(isl)),
            "prompts per pass": Range(low=prompts, high=prompts),
        }
    found: dict[RangeAxis, Range] = {"context tokens": Range(low=shortest, high=float(isl + osl))}
    if sequences is not None:
        found["sequences per rank"] = Range(low=sequences, high=sequences)
    return found


def union(ranges: Iterable[Ranges]) -> dict[RangeAxis, Range]:
    """Return the smallest range of each quantity that holds all of its ranges."""
    found: dict[RangeAxis, Range] = {}
    for one in ranges:
        for axis, span in one.items():
            known = found.get(axis, span)
            found[axis] = Range(low=min(known.low, span.low), high=max(known.high, span.high))
    return found


def extrapolations(
    recipe: Recipe, timing: SkuTiming, sequences: float | None = None
) -> tuple[Extrapolation, ...]:
    """Return every quantity of a recipe, or of a point of it, that is outside of the range of its fit."""
    return tuple(_outside(recipe, timing, sequences))


def is_recorded(recipe: Recipe, timing: SkuTiming) -> bool:
    """Return whether the timing of a recipe states what it was fitted to."""
    return bool(prefill_timing(recipe, timing).fitted and decode_timing(recipe, timing).fitted)


def _outside(recipe: Recipe, timing: SkuTiming, sequences: float | None) -> Iterator[Extrapolation]:
    for role in ROLES:
        found = prefill_timing(recipe, timing) if role == "prefill" else decode_timing(recipe, timing)
        if not found.fitted:
            continue
        for axis, span in covered(recipe, role, sequences).items():
            value = _farthest(span, found.fitted[axis]) if axis in found.fitted else None
            if value is not None:
                yield Extrapolation(role=role, axis=axis, value=value, fitted=found.fitted[axis])


def _farthest(span: Range, fitted: Range) -> float | None:
    """Return the end of a range that is farther outside of the fitted one; None where it is inside."""
    above = span.high / fitted.high if fitted.high else 1.0
    below = fitted.low / span.low if span.low else 1.0
    if max(above, below) <= 1 + MARGIN:
        return None
    return span.high if above >= below else span.low
