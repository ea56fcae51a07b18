"""Verbs about workflow runs: matrix, dispatch, watchdog."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import Verbs, add_selection, expecting, number, run_id
from pipeline.cli.github import add_repository, github_client
from pipeline.errors import GitHubError
from pipeline.flow.context import Context

MOST_JOBS = 250  # GitHub allows 256 jobs in a workflow run; some are outside of the matrix


def matrix(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge.actions import set_outputs
    from pipeline.flow.matrix import matrix as plan_matrix
    from pipeline.flow.planning import PlanOptions

    options = PlanOptions(
        cluster="",
        event=arguments.event,
        select=arguments.select,
        since=arguments.since or None,
        skip_measured=arguments.skip_measured or None,
        shard=arguments.shard,
        out=arguments.out,
        plan_id=arguments.plan_id or None,
    )
    clusters = arguments.clusters.replace(",", " ").split()
    planned = plan_matrix(
        context, options, clusters, size=arguments.shard_size, may_be_empty=arguments.may_be_empty
    )
    set_outputs(Path(arguments.github_output), planned.outputs())
    for plan in planned.plans:
        context.log(f"{len(plan.jobs)} jobs for {plan.cluster.id}, shard {plan.shard} of plan {plan.plan_id}")
        print(arguments.out / f"{plan.cluster.id}.json")
    return 0


def dispatch(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge import github_workflows
    from pipeline.flow.dispatching import dispatch_shards
    from pipeline.plan import further_shards

    inputs = {**arguments.inputs, **dict(arguments.also)}
    github, workflow = (
        github_client(context, arguments.env),
        github_workflows.Workflow(arguments.repo, arguments.workflow, arguments.ref),
    )
    if arguments.shards:
        dispatch_shards(context, github, workflow, further_shards(inputs, arguments.shards))
        return 0
    github_workflows.dispatch(github, workflow, inputs)
    context.log(f"started {arguments.workflow} at {arguments.ref}")
    return 0


def watchdog(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge.actions import notice
    from pipeline.edge.github_workflows import last_scheduled

    since = context.clock.now() - timedelta(hours=arguments.hours)
    found = last_scheduled(
        github_client(context, arguments.env), arguments.repo, arguments.workflow, since=since
    )
    if found:
        context.log(f"{arguments.workflow} ran on schedule: {found}")
        return 0
    what = f"the schedule of {arguments.workflow} has started no run in the last {arguments.hours} hours"
    notice("error", what)
    hint = (
        "GitHub drops schedules under load and stops them after 60 days without a commit; start a run by hand"
    )
    raise GitHubError(what, where=arguments.repo, hint=hint)


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verbs of this module."""
    _add_matrix(verbs, env)
    example = "nightly.yml --ref main --with select='*gb300*' --with force=true --repo acme/bench"
    added = verbs.add("dispatch", dispatch, "start runs of a GitHub workflow", example, needs_recipes=False)
    added.add_argument("workflow", metavar="FILE", help="file name of the workflow")
    added.add_argument(
        "--inputs", type=mapping, default={}, metavar="JSON", help="inputs as a JSON object, or null"
    )
    setting_of: dict[str, Any] = {"type": setting, "nargs": "+", "action": "extend", "default": []}
    added.add_argument(
        "--with", dest="also", **setting_of, metavar="NAME=VALUE", help="inputs that override --inputs"
    )
    added.add_argument(
        "--shards",
        type=number(2, 1000),
        metavar="N",
        help="start one run for each of the shards 2 to N that was not started yet",
    )
    added.add_argument(
        "--ref",
        required=not env.get("GITHUB_REF_NAME"),
        default=env.get("GITHUB_REF_NAME"),
        metavar="BRANCH",
        help="branch of the workflow (default: GitHub's)",
    )
    add_repository(added, env)
    added = verbs.add(
        "watchdog",
        watchdog,
        "fail when a scheduled workflow did not run",
        "nightly.yml --hours 26 --repo acme/bench",
        needs_recipes=False,
    )
    added.add_argument("workflow", metavar="FILE", help="file name of the workflow")
    added.add_argument(
        "--hours",
        type=number(1, 1000),
        default=26,
        metavar="N",
        help="hours to look back (default: %(default)s)",
    )
    add_repository(added, env)


def _add_matrix(verbs: Verbs, env: Mapping[str, str]) -> None:
    added = verbs.add(
        "matrix",
        matrix,
        "plan several clusters for one workflow run",
        "--clusters 'gb200-slurm gb300-k8s' --event nightly --out plans",
    )
    added.add_argument(
        "--clusters", required=True, metavar="NAMES", help="clusters, separated by spaces or commas"
    )
    add_selection(added)
    added.add_argument(
        "--shard", default="", metavar="I/N", help="share I of N (default: the first of as many as needed)"
    )
    added.add_argument(
        "--shard-size",
        type=number(1, MOST_JOBS),
        default=MOST_JOBS,
        metavar="N",
        help="most jobs of one workflow run (default: %(default)s)",
    )
    added.add_argument(
        "--plan-id",
        type=lambda text: run_id(text) if text else "",
        default="",
        metavar="ID",
        help="plan id of the run whose further shard this is (default: a new one)",
    )
    added.add_argument("--may-be-empty", action="store_true", help="exit 0 when there is nothing to run")
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for CLUSTER.json")
    added.set_defaults(github_output=env.get("GITHUB_OUTPUT") or os.devnull)


def _mapping(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError  # noqa: TRY004  # what `expecting` turns into a message
    return found


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError
    return name, value


mapping = expecting("a JSON object, or null", _mapping)
setting = expecting("NAME=VALUE", _setting)
