"""Verbs that measure: plan, run, calibrate."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import Verbs, number, run_id
from pipeline.errors import PipelineError
from pipeline.flow.context import Context


def plan(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import planning

    options = planning.PlanOptions(
        cluster=arguments.cluster,
        event=arguments.event,
        select=arguments.select,
        since=arguments.since,
        skip_measured=arguments.skip_measured,
        shard=arguments.shard,
        out=arguments.out,
    )
    made = planning.plan(context, options)
    if arguments.github:
        try:
            with Path(arguments.github_output).open("a", encoding="utf-8") as outputs:
                outputs.write(planning.github_outputs(made))
        except OSError as error:
            raise PipelineError(
                f"cannot be written: {error.strerror}", where=f"$GITHUB_OUTPUT {arguments.github_output}"
            ) from error
    hours = [job.gpu_hours for job in made.jobs if job.gpu_hours is not None]
    cost = f"{sum(hours):.1f} GPU-hours" if hours else "GPU-hours"
    cost += (
        ""
        if len(hours) == len(made.jobs)
        else f"{' and' if hours else ''} unknown for {len(made.jobs) - len(hours)}"
    )
    context.log(f"{len(made.jobs)} jobs for {made.cluster.id} → {arguments.out}; on a rack: {cost}")
    for one in made.left_out:
        context.log(f"left out: {one.recipe}: {one.reason}")
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
    """The verbs of this module."""
    added = verbs.add(
        "plan", plan, "choose what runs on a cluster", "--cluster laptop --select '*gb300*' --out plan.json"
    )
    added.add_argument("--cluster", required=True, metavar="NAME")
    added.add_argument("--event", choices=["nightly", "pull-request", "dispatch"], default="dispatch")
    added.add_argument("--select", default="*", metavar="GLOB", help="over recipe ids")
    added.add_argument(
        "--since", metavar="REV", help="only what measures something else than at this git revision"
    )
    added.add_argument(
        "--skip-measured", metavar="HISTORY", help="leave out what this history has measured already"
    )
    added.add_argument("--shard", default="1/1", metavar="I/N")
    added.add_argument("--out", type=Path, required=True, metavar="FILE")
    added.add_argument(
        "--github", action="store_true", help="also append the matrix outputs to $GITHUB_OUTPUT"
    )
    added.set_defaults(github_output=env.get("GITHUB_OUTPUT", os.devnull))
    added = verbs.add(
        "run", run_plan, "measure a plan, or one job of it", "plan.json --out results", needs_recipes=False
    )
    added.add_argument("plan", type=Path)
    added.add_argument("--job", metavar="ID")
    added.add_argument(
        "--quick",
        action="store_true",
        help="one request per concurrency instead of the recipe's ten; kept apart from full runs",
    )
    added.add_argument(
        "--seed", type=number(0, 2**32 - 1), metavar="N", help="another draw of the request lengths"
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    added.add_argument(
        "--workers",
        type=number(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="jobs at once (default: one a core)",
    )
    added.add_argument(
        "--run-id",
        type=run_id,
        default=env.get("GITHUB_RUN_ID") or None,
        help="default: GitHub's, else a new one",
    )
    added.add_argument("--attempt", type=number(1), default=env.get("GITHUB_RUN_ATTEMPT") or "1")
    example = "reports/published/2026-05-22-gb300-vs-gb200.csv --out timing.json"
    added = verbs.add(
        "calibrate", calibrate, "fit timing parameters to measured or published points", example
    )
    added.add_argument("points", type=Path)
    added.add_argument("--out", type=Path, required=True, metavar="FILE")
    added.add_argument("--workers", type=number(1), default=os.cpu_count() or 1, metavar="N")
