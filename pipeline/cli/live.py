"""Verbs around a live deployment: manifest, status, sweep."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import Verbs, run_id
from pipeline.flow.context import Context


def manifest(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import launching

    print(launching.manifest(context, arguments.plan, arguments.job, arguments.run_id), end="")
    return 0


def status(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import status as flow
    from pipeline.render.terminal import status_table

    found = flow.status(context, arguments.run_id, arguments.cluster, plan=arguments.plan, out=arguments.out)
    if arguments.json:
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
    else:
        print(status_table(found), end="")
    return 0


def sweep(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import launching

    removed = launching.sweep(
        context, arguments.run_id, arguments.cluster, job=arguments.job, out=arguments.out
    )
    for line in removed:
        print(line)
    if not removed:
        context.log(f"nothing left of run {arguments.run_id} on {arguments.cluster}")
    return 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verbs of this module."""
    added = verbs.add(
        "manifest",
        manifest,
        "print what the launcher of a plan would start",
        "plan.json --job ID",
        needs_recipes=False,
    )
    added.add_argument("plan", type=Path, metavar="PLAN", help="plan.json")
    added.add_argument("--job", metavar="ID", help="id of one job (default: all jobs)")
    added.add_argument(
        "--run-id",
        type=run_id,
        default=env.get("GITHUB_RUN_ID") or "RUN",
        metavar="RUN",
        help="id of the run (default: GitHub's)",
    )
    added = verbs.add(
        "status",
        status,
        "print where the jobs of a run are",
        "26105123 --cluster gb200-slurm",
    )
    added.add_argument("run_id", type=run_id, metavar="RUN", help="id of the run")
    added.add_argument("--cluster", required=True, metavar="NAME", help="cluster that the run is on")
    added.add_argument("--plan", type=Path, metavar="FILE", help="plan.json: also list jobs that wait")
    added.add_argument("--out", type=Path, metavar="DIR", help="also list the results in this folder")
    added.add_argument("--json", action="store_true", help="print JSON")
    added = verbs.add(
        "sweep",
        sweep,
        "end and remove what a killed run left behind",
        "--run-id 26105123 --cluster local-live",
    )
    default = env.get("GITHUB_RUN_ID") or None
    added.add_argument(
        "--run-id",
        type=run_id,
        default=default,
        required=default is None,
        metavar="RUN",
        help="id of the run (default: GitHub's)",
    )
    added.add_argument("--cluster", required=True, metavar="NAME", help="cluster that the run was on")
    added.add_argument("--job", metavar="ID", help="sweep one job; other jobs of the run stay")
    added.add_argument(
        "--out", type=Path, metavar="DIR", help="also remove the unfinished result folders in this folder"
    )
