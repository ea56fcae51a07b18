"""run, every job of a plan: each in a process of its own that runs the same command as a job of the matrix."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import collect
from pipeline.edge.process_pool import Exit, ProcessPool, Task
from pipeline.edge.scratch import scratch, sole
from pipeline.edge.terminal import StepReport
from pipeline.errors import PipelineError
from pipeline.flow import measuring
from pipeline.flow.context import Context
from pipeline.launch.base import JOB, RUN
from pipeline.measure import outcome
from pipeline.measure.provenance import RunSettings

if TYPE_CHECKING:
    from pipeline.flow.measuring import RunOptions

EXIT_GRACE_S = 10.0  # for a child to exit, in addition to the teardown of its deployment


def run_all(context: Context, options: RunOptions, settings: RunSettings) -> list[Path]:
    """Run the jobs, the longest first; all processes end with this one. Return the result folders, or raise when a job failed."""
    codes: dict[str, int] = {}
    tasks = [_task(options, job.id) for job in settings.longest_first()]
    with (
        scratch(options.out, f".logs-{options.run_id}-") as logs,
        _swept(options),
        ProcessPool(
            waiting=tasks.copy(),
            size=settings.jobs_at_once(options.workers),
            logs=logs,
            grace_s=EXIT_GRACE_S + settings.plan.cluster.site.teardown_s,
            shell=context.shell,
            clock=context.clock,
        ) as pool,
        StepReport(
            len(tasks), log=context.log, clock=context.clock, is_terminal=context.is_terminal
        ) as report,
    ):
        for exits in pool.exits():
            for one in exits:
                codes[one.name] = one.code
                _keep_failure(context, options, settings, one, logs)
                report.ended(one.name, has_failed=bool(one.code))
            report.show(pool.running)
    outcome.check_jobs(codes, str(options.out))
    return sorted(_folder(options, name) for name in codes)


def _task(options: RunOptions, job_id: str) -> Task:
    argv = [sys.executable, "-m", "pipeline", "run", str(options.plan), "--job", job_id]
    argv += ["--out", str(options.out), "--run-id", options.run_id, "--attempt", str(options.attempt)]
    argv += ["--quick"] if options.quick else []
    argv += ["--seed", str(options.seed)] if options.seed is not None else []
    return Task(job_id, tuple(argv), marks={RUN: options.run_id, JOB: job_id})


def _keep_failure(
    context: Context, options: RunOptions, settings: RunSettings, one: Exit, logs: Path
) -> None:
    """Log the last output of a failed child, and write its result folder where it could not do so itself."""
    if not one.code:
        return
    context.log(one.last_output)
    error = outcome.process_failed(one.name, one.code, one.last_output)
    attempt = measuring.attempt_of(context, settings, settings.jobs[one.name])
    with sole(collect.workplace(options.out, options.run_id, options.attempt, one.name)) as is_ours:
        if is_ours and not _folder(options, one.name).exists():
            measuring.pack(context, attempt, outcome.failure(error), staging=logs, out=options.out)


@contextmanager
def _swept(options: RunOptions) -> Iterator[None]:
    """At the end, remove the unfinished folders of children that had to be killed."""
    try:
        yield
    finally:
        with suppress(OSError, PipelineError):  # the next sweep finds them
            collect.sweep(options.out, options.run_id)


def _folder(options: RunOptions, job_id: str) -> Path:
    return options.out / collect.folder_name(options.run_id, options.attempt, job_id)
