"""What a workflow step says of plans: matrix, counts and plan id. The plans themselves are in an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from pipeline.errors import PlanError
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Job, Plan

SELF_HOSTED = (
    "self-hosted"  # a job there may run for five days; GitHub ends one on its own machines after six hours
)
HOSTED_MINUTES, LONGEST_MINUTES = 330, 5 * 24 * 60 - 60
MARGIN_MINUTES = 30  # to start, to stop and to pack


@dataclass(frozen=True, slots=True)
class Matrix:
    """Plans of one workflow run, one per cluster with jobs; ``shards`` counts this run and the further ones."""

    plan_id: str
    plans: tuple[Plan, ...]
    shards: int

    @property
    def count(self) -> int:
        """Jobs of this run."""
        return sum(len(plan.jobs) for plan in self.plans)

    @property
    def clusters(self) -> list[dict[str, Any]]:
        """One entry per cluster: its jobs, and how many of them it can run at the same time."""
        return [
            {"name": plan.cluster.id, "max_parallel": plan.cluster.racks, "jobs": legs(plan)}
            for plan in self.plans
        ]

    def outputs(self) -> dict[str, str]:
        """Return the outputs of a workflow step."""
        return {
            "matrix": _compact({"cluster": self.clusters}),
            "count": str(self.count),
            "shards": str(self.shards),
            "plan-id": self.plan_id,
        }


def check_any_jobs(plans: list[Plan], select: str) -> None:
    """Raise PlanError when no plan has a job."""
    if not any(plan.jobs for plan in plans):
        where = f"clusters {', '.join(plan.cluster.id for plan in plans)}"
        raise PlanError("nothing to run", where=where, hint=f"no job is left of --select {select!r}")


def plan_outputs(plan: Plan) -> dict[str, str]:
    """Return the outputs of a workflow step for the plan of one cluster."""
    return {
        "matrix": _compact(matrix(plan)),
        "count": str(len(plan.jobs)),
        "max-parallel": str(plan.cluster.racks),
        "plan-id": plan.plan_id,
    }


def matrix(plan: Plan) -> Mapping[str, list[dict[str, object]]]:
    """Return GitHub's matrix: ids, names and labels only, so that the job output stays far below 1 MB."""
    return {"include": legs(plan)}


def legs(plan: Plan) -> list[dict[str, object]]:
    """Return one entry per job: its id, its name on GitHub, the labels of its runner, its limit in minutes."""
    runs_on = list(plan.cluster.runs_on)
    return [
        {
            "id": job.id,
            "name": f"{job.recipe.sku} {job.recipe.shape}",
            "runs_on": runs_on,
            "minutes": _minutes(plan.cluster, job),
        }
        for job in plan.jobs
    ]


def _minutes(cluster: Cluster, job: Job) -> int:
    """Return the limit of a measurement: as long as recipe and queue allow, on a runner that may run for so long."""
    if cluster.launcher is None or SELF_HOSTED not in cluster.runs_on:
        return HOSTED_MINUTES
    allowed_s = cluster.site.queued_s + job.recipe.limits.time_s
    return min(max(ceil(allowed_s / 60) + MARGIN_MINUTES, HOSTED_MINUTES), LONGEST_MINUTES)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
