"""Verbs of a workflow run that starts others: matrix."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.words import Verbs, number
from pipeline.errors import PipelineError
from pipeline.flow.world import World

ROOM = 250  # jobs that a workflow run may have, 256, less those around the matrix


def matrix(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import dispatching
    from pipeline.flow.planning import Wish

    wish = Wish(
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
    made = dispatching.matrix(world, wish, clusters, size=arguments.shard_size, may_be_empty=arguments.may_be_empty)
    _append(Path(arguments.github_output), made.outputs())
    for plan in made.plans:
        world.say(f"{len(plan.jobs)} jobs for {plan.cluster.id}, shard {plan.shard} of plan {plan.plan_id}")
        print(arguments.out / f"{plan.cluster.id}.json")
    return 0


def _append(path: Path, lines: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as outputs:
            outputs.write(lines)
    except OSError as error:
        raise PipelineError(f"cannot be written: {error.strerror}", where=f"$GITHUB_OUTPUT {path}") from error


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """The verbs of this module."""
    example = "--clusters 'gb200-slurm gb300-k8s' --event nightly --out plans"
    added = verbs.add("matrix", matrix, "plan several clusters for one workflow run, and say how many runs it takes", example)
    added.add_argument("--clusters", required=True, metavar="NAMES", help="between blanks or commas")
    added.add_argument("--event", choices=["nightly", "pull-request", "dispatch"], default="dispatch")
    added.add_argument("--select", default="*", metavar="GLOB", help="over recipe ids")
    added.add_argument("--since", metavar="REV", help="only what measures something else than at this git revision")
    added.add_argument("--skip-measured", metavar="HISTORY", help="leave out what this history has measured already")
    added.add_argument("--shard", default="", metavar="I/N", help="default: the first of as many as it takes")
    added.add_argument("--shard-size", type=number(1, ROOM), default=ROOM, metavar="N", help=f"jobs in one run; default {ROOM}")
    added.add_argument("--plan-id", default="", help="of the run whose further shard this is; default: a new one")
    added.add_argument("--may-be-empty", action="store_true", help="nothing to run is an answer, not an error")
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    added.set_defaults(github_output=env.get("GITHUB_OUTPUT") or os.devnull)
