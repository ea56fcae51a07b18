"""Verbs of workflow runs about runs: matrix, dispatch, watchdog."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import Verbs, number
from pipeline.cli.github import github_client, repository
from pipeline.errors import GitHubError
from pipeline.flow.context import Context

ROOM = 250  # jobs that a workflow run may have, 256, less those around the matrix


def matrix(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge.actions import set_outputs
    from pipeline.flow import dispatching
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
    made = dispatching.matrix(
        context, options, clusters, size=arguments.shard_size, may_be_empty=arguments.may_be_empty
    )
    set_outputs(Path(arguments.github_output), made.outputs())
    for plan in made.plans:
        context.log(f"{len(plan.jobs)} jobs for {plan.cluster.id}, shard {plan.shard} of plan {plan.plan_id}")
        print(arguments.out / f"{plan.cluster.id}.json")
    return 0


def dispatch(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import dispatching

    inputs = {**arguments.inputs, **dict(arguments.also)}
    github, workflow = (
        github_client(context, arguments.env),
        dispatching.Workflow(arguments.repo, arguments.workflow, arguments.ref),
    )
    if arguments.shards:
        dispatching.dispatch_shards(
            context, github, workflow, dispatching.further_shards(inputs, arguments.shards)
        )
        return 0
    dispatching.dispatch(github, workflow, inputs)
    context.log(f"started {arguments.workflow} at {arguments.ref}")
    return 0


def watchdog(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge.actions import notice
    from pipeline.flow import dispatching

    since = context.clock.now() - timedelta(hours=arguments.hours)
    found = dispatching.last_scheduled(
        github_client(context, arguments.env), arguments.repo, arguments.workflow, since=since
    )
    if found:
        context.log(f"{arguments.workflow} ran on schedule: {found}")
        return 0
    what = f"the schedule of {arguments.workflow} has started no run in the last {arguments.hours} hours"
    notice("error", what)
    hint = "GitHub drops schedules under load, and stops them after 60 days without a commit: start one by hand, look at the Actions page"
    raise GitHubError(what, where=arguments.repo, hint=hint)


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """The verbs of this module."""
    example = "--clusters 'gb200-slurm gb300-k8s' --event nightly --out plans"
    added = verbs.add(
        "matrix",
        matrix,
        "plan several clusters for one workflow run, and say how many runs it takes",
        example,
    )
    added.add_argument("--clusters", required=True, metavar="NAMES", help="between blanks or commas")
    added.add_argument("--event", choices=["nightly", "pull-request", "dispatch"], default="dispatch")
    added.add_argument("--select", default="*", metavar="GLOB", help="over recipe ids")
    added.add_argument(
        "--since", metavar="REV", help="only what measures something else than at this git revision"
    )
    added.add_argument(
        "--skip-measured", metavar="HISTORY", help="leave out what this history has measured already"
    )
    added.add_argument("--shard", default="", metavar="I/N", help="default: the first of as many as it takes")
    added.add_argument(
        "--shard-size",
        type=number(1, ROOM),
        default=ROOM,
        metavar="N",
        help=f"jobs in one run; default {ROOM}",
    )
    added.add_argument(
        "--plan-id", default="", help="of the run whose further shard this is; default: a new one"
    )
    added.add_argument(
        "--may-be-empty", action="store_true", help="nothing to run is an answer, not an error"
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    added.set_defaults(github_output=env.get("GITHUB_OUTPUT") or os.devnull)
    example = "nightly.yml --ref main --with select='*gb300*' --with force=true"
    added = verbs.add("dispatch", dispatch, "start runs of a workflow", example, needs_recipes=False)
    added.add_argument("workflow", metavar="FILE")
    added.add_argument("--inputs", type=mapping, default={}, metavar="JSON", help="a mapping, or null")
    words: dict[str, Any] = {"dest": "also", "type": setting, "nargs": "+", "action": "extend", "default": []}
    added.add_argument("--with", **words, metavar="NAME=VALUE", help="goes before --inputs")
    added.add_argument(
        "--shards",
        type=number(2, 1000),
        metavar="N",
        help="one run each for shards 2 to N, but for those that were started",
    )
    added.add_argument(
        "--ref", required=not env.get("GITHUB_REF_NAME"), default=env.get("GITHUB_REF_NAME"), metavar="BRANCH"
    )
    _on_github(added, env)
    added = verbs.add(
        "watchdog",
        watchdog,
        "fail when a scheduled workflow did not run",
        "nightly.yml --hours 26",
        needs_recipes=False,
    )
    added.add_argument("workflow", metavar="FILE")
    added.add_argument("--hours", type=number(1, 1000), default=26, metavar="N")
    _on_github(added, env)


def _on_github(added: argparse.ArgumentParser, env: Mapping[str, str]) -> None:
    added.add_argument(
        "--repo",
        type=repository,
        required=not env.get("GITHUB_REPOSITORY"),
        default=env.get("GITHUB_REPOSITORY"),
    )
    added.set_defaults(env=env)


def mapping(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(text)  # noqa: TRY004  # argparse's word for a wrong argument
    return found


def setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return name, value
