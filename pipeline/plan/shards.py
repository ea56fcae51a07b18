"""Shards of a plan: how a plan that is too large for one workflow run is divided among several runs.

The shard of a job depends on the selected recipes alone, not on what is measured already: runs that start at
different times agree on their shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from pipeline.errors import PlanError
from pipeline.schema.plan import Plan


def shards_needed(jobs: Sequence[int], size: int) -> int:
    """Return how many runs of at most ``size`` jobs are needed when each takes an equal share of every plan.

    ``jobs`` are the jobs of each plan.

    >>> shards_needed([3, 2], 5), shards_needed([3, 2], 3), shards_needed([300], 250)
    (1, 2, 2)
    """
    return next(
        count
        for count in range(1, sum(jobs) + 2)
        if sum(ceil(one / count) for one in jobs) <= max(size, len(jobs))
    )


def part(plan: Plan, whole: Plan, shard: tuple[int, int]) -> Plan:
    """Return a plan reduced to shard (I, N): every N-th job of ``whole``, starting with the I-th."""
    share = {job.id for job in whole.jobs[shard[0] - 1 :: shard[1]]}
    return plan.model_copy(
        update={"jobs": tuple(job for job in plan.jobs if job.id in share), "shard": f"{shard[0]}/{shard[1]}"}
    )


def shard(text: str) -> tuple[int, int]:
    """Return (I, N) of the text ``I/N``; I counts from 1. Raise PlanError for any other text."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise PlanError(f"--shard {text} is not I/N with 1 ≤ I ≤ N", hint="give for example --shard 1/4")
    return int(number), int(count)


def share(
    plans: Sequence[Plan], whole: Callable[[], Sequence[Plan]], *, stated: str, size: int
) -> tuple[tuple[Plan, ...], int]:
    """Return the plans reduced to one shard, and the number of shards.

    ``stated`` is ``I/N``; without it the plans are whole when their jobs fit into ``size``, else the first of as
    many shards as are needed. ``whole`` returns the plans with what is measured already, which decide the shares.
    """
    if not stated and sum(len(plan.jobs) for plan in plans) <= size:
        return tuple(plans), 1
    complete = whole()
    chosen = shard(stated) if stated else (1, shards_needed([len(plan.jobs) for plan in complete], size))
    return tuple(part(*pair, chosen) for pair in zip(plans, complete, strict=True)), chosen[1]


def further_shards(inputs: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the inputs of the runs of shards 2 … ``count``: those of the first run with another ``shard``."""
    return [{**inputs, "shard": f"{number}/{count}"} for number in range(2, count + 1)]


def shard_title(workflow: str, inputs: Mapping[str, Any]) -> str:
    """Return the title of the run of a shard, as ``run-name`` of the workflow makes it."""
    return f"{Path(workflow).stem} {inputs.get('plan_id') or ''} {inputs['shard']}"
