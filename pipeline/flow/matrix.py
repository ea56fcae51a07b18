"""matrix: plans of several clusters for one workflow run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import plan as planning
from pipeline.flow.context import Context, write
from pipeline.flow.planning import PlanOptions, make
from pipeline.plan import Matrix
from pipeline.schema.plan import Plan


def matrix(
    context: Context, options: PlanOptions, clusters: Sequence[str], *, size: int, may_be_empty: bool
) -> Matrix:
    """Plan every cluster into ``options.out``/CLUSTER.json and return the plans of this run.

    Without ``options.shard``, this run is the first of as many as ``size`` jobs per run require.
    """
    plan_id = options.plan_id or context.new_id()
    each = [replace(options, cluster=name, plan_id=plan_id, shard="1/1", any_size=True) for name in clusters]
    plans = [make(context, one) for one in each]
    _log_left_out(context, plans)
    if not may_be_empty:
        planning.check_any_jobs(plans, options.select)

    def complete() -> list[Plan]:
        return [make(context, replace(one, since=None, skip_measured=None)) for one in each]

    parts, shards = planning.share(plans, complete, stated=options.shard, size=size)
    planned = Matrix(plan_id, tuple(plan for plan in parts if plan.jobs), shards)
    _write(options.out, planned.plans)
    return planned


def _write(out: Path, plans: Sequence[Plan]) -> None:
    for plan in plans:
        write(out / f"{plan.cluster.id}.json", plan.to_json())


def _log_left_out(context: Context, plans: Sequence[Plan]) -> None:
    for plan in plans:
        for one in plan.left_out:
            context.log(f"{plan.cluster.id}: left out: {one.recipe}: {one.reason}")
        for line in planning.accepted(plan):
            context.log(f"{plan.cluster.id}: {line}")
