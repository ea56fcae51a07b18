"""matrix, dispatch, watchdog: plans of one workflow run, the runs of further shards, and whether a schedule ran."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline import plan as planning
from pipeline.errors import GitHubError, PlanError
from pipeline.flow.context import Context, write
from pipeline.flow.planning import PlanOptions, make
from pipeline.schema.plan import Plan

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub

RERUN: Final = timedelta(days=30)  # for so long GitHub runs a job again


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file of a repository, on a branch."""

    repository: str
    file: str
    ref: str

    @property
    def path(self) -> str:
        """Below the API."""
        return f"repos/{self.repository}/actions/workflows/{self.file}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Plans of this run, one a cluster, those without a job left out; ``shards`` counts this run and those that are to follow."""

    plan_id: str
    plans: tuple[Plan, ...]
    shards: int

    @property
    def count(self) -> int:
        """Jobs of this run."""
        return sum(len(plan.jobs) for plan in self.plans)

    @property
    def clusters(self) -> list[dict[str, Any]]:
        """One entry a cluster: its legs, and how many of them it can take at once."""
        return [
            {"name": plan.cluster.id, "max_parallel": plan.cluster.racks, "jobs": planning.legs(plan)}
            for plan in self.plans
        ]

    def outputs(self) -> dict[str, str]:
        """Return the outputs of a workflow step; the plans themselves are in an artifact."""
        return {
            "matrix": json.dumps({"cluster": self.clusters}, separators=(",", ":")),
            "count": str(self.count),
            "shards": str(self.shards),
            "plan-id": self.plan_id,
        }


def matrix(
    context: Context, options: PlanOptions, clusters: list[str], *, size: int, may_be_empty: bool
) -> Matrix:
    """Plan every cluster into ``options.out``/CLUSTER.json; an empty ``options.shard`` is the first of as many as ``size`` makes necessary.

    The shard of a job depends on the recipes and ``options.select`` alone: runs that start later, with more measured, agree on it.
    """
    plan_id = options.plan_id or context.new_id()
    asked = [
        replace(options, cluster=cluster, plan_id=plan_id, shard="1/1", any_size=True) for cluster in clusters
    ]
    wanted = [make(context, one) for one in asked]
    _say_left_out(context, wanted)
    if not any(plan.jobs for plan in wanted) and not may_be_empty:
        raise PlanError(
            "nothing to run",
            where=f"clusters {', '.join(clusters)}",
            hint=f"no job is left of --select {options.select!r}",
        )
    if not options.shard and sum(len(plan.jobs) for plan in wanted) <= size:
        return _written(options.out, Matrix(plan_id, tuple(wanted), 1))
    whole = [make(context, replace(one, since=None, skip_measured=None)) for one in asked]
    shard = (
        planning.shard(options.shard)
        if options.shard
        else (1, planning.shards_needed([len(plan.jobs) for plan in whole], size))
    )
    parts = tuple(planning.part(plan, every, shard) for plan, every in zip(wanted, whole, strict=True))
    return _written(options.out, Matrix(plan_id, parts, shard[1]))


def _written(out: Path, made: Matrix) -> Matrix:
    kept = replace(made, plans=tuple(plan for plan in made.plans if plan.jobs))
    for plan in kept.plans:
        write(out / f"{plan.cluster.id}.json", plan.to_json())
    return kept


def _say_left_out(context: Context, plans: list[Plan]) -> None:
    for plan in plans:
        for one in plan.left_out:
            context.log(f"{plan.cluster.id}: left out: {one.recipe}: {one.reason}")


def dispatch(github: GitHub, workflow: Workflow, inputs: Mapping[str, Any]) -> None:
    """Start a run of a workflow; GitHub takes inputs as text, and at most 25 of them."""
    said = {name: _input(value) for name, value in inputs.items() if value is not None and value != ""}
    github.write("POST", f"{workflow.path}/dispatches", {"ref": workflow.ref, "inputs": said})


def dispatch_shards(
    context: Context, github: GitHub, workflow: Workflow, wanted: list[dict[str, Any]]
) -> None:
    """Start those that were never started; one that cannot be started keeps no other from it, and the first error is raised at the end."""
    there = _titles(github, workflow, since=context.clock.now() - RERUN)
    errors = []
    for one in wanted:
        title = shard_title(workflow.file, one)
        if one.get("plan_id") and title in there:
            context.log(f"{title} was started already")
            continue
        try:
            dispatch(github, workflow, one)
        except GitHubError as error:
            errors.append(error)
            context.log(f"error: {title}: {error}")
        else:
            context.log(f"started {title} at {workflow.ref}")
    if errors:
        errors[0].what = f"{len(errors)} of {len(wanted)} shards could not be started: {errors[0].what}"
        errors[0].hint = "run this job again: it starts only those that are lacking"
        raise errors[0]


def shard_title(workflow: str, inputs: Mapping[str, Any]) -> str:
    """Title of a shard's run, as the workflow's ``run-name`` makes it."""
    return f"{Path(workflow).stem} {inputs.get('plan_id') or ''} {inputs['shard']}"


def _titles(github: GitHub, workflow: Workflow, *, since: datetime) -> set[str]:
    runs = github.pages(
        f"{workflow.path}/runs", "workflow_runs", event="workflow_dispatch", created=_from(since)
    )
    return {str(run["display_title"]) for run in runs}


def _from(since: datetime) -> str:
    return f">={since:%Y-%m-%dT%H:%M:%SZ}"


def further_shards(inputs: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Inputs of the runs that take shards 2 … ``count``: those of the first, and which share is theirs."""
    return [{**inputs, "shard": f"{number}/{count}"} for number in range(2, count + 1)]


def _input(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def last_scheduled(github: GitHub, repository: str, workflow: str, *, since: datetime) -> str | None:
    """Address of the newest run of a workflow that its schedule started since then; None when there is none."""
    runs = github.pages(
        f"repos/{repository}/actions/workflows/{workflow}/runs",
        "workflow_runs",
        event="schedule",
        created=_from(since),
    )
    return next((str(run["html_url"]) for run in runs), None)
