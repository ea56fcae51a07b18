"""Verbs that measure: plan, run, calibrate."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import Verbs, add_run, add_selection, number
from pipeline.flow.context import Context


def plan(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import planning
    from pipeline.plan import accepted, plan_outputs

    options = planning.PlanOptions(
        cluster=arguments.cluster,
        event=arguments.event,
        select=arguments.select,
        since=arguments.since,
        skip_measured=arguments.skip_measured,
        shard=arguments.shard,
        out=arguments.out,
    )
    planned = planning.plan(context, options)
    if arguments.github:
        from pipeline.edge.actions import set_outputs

        set_outputs(Path(arguments.github_output), plan_outputs(planned))
    hours = [job.gpu_hours for job in planned.jobs if job.gpu_hours is not None]
    cost = f"{sum(hours):.1f} GPU-hours" if hours else "GPU-hours"
    cost += (
        ""
        if len(hours) == len(planned.jobs)
        else f"{' and' if hours else ''} unknown for {len(planned.jobs) - len(hours)}"
    )
    context.log(f"{len(planned.jobs)} jobs for {planned.cluster.id} → {arguments.out}; on a rack: {cost}")
    for one in planned.left_out:
        context.log(f"left out: {one.recipe}: {one.reason}")
    for line in accepted(planned):
        context.log(line)
    return 0


def run_plan(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import measuring

    options = measuring.RunOptions(
        plan=arguments.plan,
        out=arguments.out,
        job=arguments.job,
        quick=arguments.quick,
        seed=arguments.seed,
        run_id=arguments.run_id or context.new_id(),
        attempt=arguments.attempt,
        workers=arguments.workers,
    )
    for folder in measuring.run(context, options):
        print(folder)
    return 0


def calibrate(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import calibrating

    print(calibrating.calibrate(context, arguments.points, arguments.out, workers=arguments.workers), end="")
    return 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verbs of this module."""
    _add_plan(verbs, env)
    added = verbs.add(
        "run",
        run_plan,
        "measure the jobs of a plan, or one of them",
        "plan.json --out results",
        needs_recipes=False,
    )
    added.add_argument("plan", type=Path, metavar="PLAN", help="plan.json")
    added.add_argument("--job", metavar="ID", help="id of one job (default: all jobs)")
    added.add_argument(
        "--quick",
        action="store_true",
        help="send one request per concurrency instead of the recipe's ten; stored apart from full runs",
    )
    added.add_argument(
        "--seed",
        type=number(0, 2**32 - 1),
        metavar="N",
        help="seed of the request lengths (default: the recipe's)",
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result folders")
    added.add_argument(
        "--workers",
        type=number(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="jobs at the same time (default: one for each core)",
    )
    add_run(added, env, otherwise="else a new one")
    added = verbs.add(
        "calibrate",
        calibrate,
        "fit timing parameters to measured or published points",
        "reports/published/2026-05-22-gb300-vs-gb200.yaml --out timing.json",
    )
    added.add_argument("points", type=Path, metavar="POINTS", help="CSV of points, or YAML of a study")
    added.add_argument("--out", type=Path, required=True, metavar="FILE", help="timing document to write")
    added.add_argument(
        "--workers",
        type=number(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="replays at the same time (default: one for each core)",
    )


def _add_plan(verbs: Verbs, env: Mapping[str, str]) -> None:
    added = verbs.add(
        "plan",
        plan,
        "select the jobs to run on a cluster",
        "--cluster laptop --select '*gb300*' --out plan.json",
    )
    added.add_argument("--cluster", required=True, metavar="NAME", help="cluster to run on")
    add_selection(added)
    added.add_argument(
        "--shard", default="1/1", metavar="I/N", help="only share I of N (default: %(default)s)"
    )
    added.add_argument("--out", type=Path, required=True, metavar="FILE", help="plan to write")
    added.add_argument("--github", action="store_true", help="also append the matrix to $GITHUB_OUTPUT")
    added.set_defaults(github_output=env.get("GITHUB_OUTPUT") or os.devnull)
