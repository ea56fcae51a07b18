"""run: plan.json in, one result folder a job out."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import collect
from pipeline.deployment import simulated
from pipeline.edge.files import file_errors
from pipeline.edge.interrupts import held
from pipeline.edge.scratch import scratch, sole
from pipeline.edge.shell import Child, end_all
from pipeline.errors import ArtifactError, LaunchError, MeasureError, PipelineError, PlanError
from pipeline.flow import provenance
from pipeline.flow.context import Context
from pipeline.flow.planning import read_plan
from pipeline.flow.provenance import Attempt
from pipeline.load import nearest
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import Measurement

LEAVING_S = 10.0  # what a child may take to leave, beside its deployment
QUICK = 1  # requests per concurrency of a quick run, against the published 10: ramp and drain, hardly a steady state


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for."""

    plan: Path
    out: Path
    job: str | None
    quick: bool
    seed: int | None
    run_id: str
    attempt: int
    workers: int


def new_run_id(context: Context) -> str:
    """A time-sortable id for runs that GitHub did not number."""
    return f"{context.clock.now():%Y%m%dt%H%M%Sz}-{secrets.token_hex(2)}"


def run(context: Context, options: RunOptions) -> list[Path]:
    """Measure one job here, or every job of the plan in children of its own; result folders of those that succeeded."""
    plan = read_plan(options.plan)
    with file_errors("create", options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    if options.job is None:
        return _run_all(context, options, plan)
    job = plan.job(options.job)
    if job is None:
        raise PlanError(
            f"no job {options.job!r} in the plan",
            where=str(options.plan),
            hint=nearest(options.job, [one.id for one in plan.jobs]),
        )
    return [_run_one(context, options, plan, job)]


def _run_one(context: Context, options: RunOptions, plan: Plan, job: Job) -> Path:
    attempt = _attempt(context, options, plan, job)
    staging = collect.workplace(options.out, options.run_id, options.attempt, job.id)
    with sole(staging) as is_ours:
        if not is_ours:
            raise ArtifactError(
                "another process is at work on the result of this name",
                where=str(staging),
                hint=collect.RETRY,
            )
        collect.refuse_taken(options.out, options.run_id, options.attempt, job.id)
        outcome: Measurement | PipelineError
        try:
            outcome = _measure(context, attempt, staging)
        except PipelineError as error:
            outcome = error
        content = outcome if isinstance(outcome, Measurement) else provenance.failure(outcome)
        folder = collect.collect(content, provenance.record(context, attempt, outcome), staging, options.out)
    trouble = _refusal(outcome, job) if isinstance(outcome, Measurement) else outcome
    if trouble:
        trouble.hint = f"{trouble.hint}; kept in {folder}" if trouble.hint else f"kept in {folder}"
        raise trouble
    return folder


def _measure(context: Context, attempt: Attempt, staging: Path) -> Measurement:
    plan, job = attempt.plan, attempt.job
    if plan.cluster.measure == "aiperf":
        from pipeline.flow import serving

        return serving.measure(context, attempt, staging)
    if plan.timing is None:
        raise PlanError(
            "the plan has no timing for a replay", where=f"cluster {plan.cluster.id}", hint="plan again"
        )
    from pipeline.measure import replay

    setup = replay.ReplaySettings(
        job=job,
        sku=plan.skus[job.recipe.sku],
        timing=simulated.sku_timing(plan.timing, job.recipe.sku),
        requests_per_conc=attempt.requests_per_conc,
        seed=attempt.seed,
        staging=staging,
    )
    return replay.measure(setup, clock=context.clock)


def _refusal(measured: Measurement, job: Job) -> MeasureError | None:
    """What is wrong with a job whose points are kept and not all to be trusted."""
    refused = [point for point in measured.points if point.status == "invalid"]
    missing = sorted(set(job.recipe.conc) - {point.conc for point in measured.points})
    if not refused and not missing:
        return None
    said = [f"c{point.conc} {reason}" for point in refused for reason in point.reasons]
    said += [f"c{conc} was not measured any more" for conc in missing]
    return MeasureError(
        f"{len(refused)} of {len(job.recipe.conc)} points refused: {'; '.join(said)}", where=job.id
    )


def _attempt(context: Context, options: RunOptions, plan: Plan, job: Job) -> Attempt:
    client = job.recipe.client
    return Attempt(
        plan=plan,
        job=job,
        run_id=options.run_id,
        attempt=options.attempt,
        requests_per_conc=min(QUICK, client.requests_per_conc) if options.quick else client.requests_per_conc,
        seed=client.seed if options.seed is None else options.seed,
        started_at=context.clock.now().isoformat(timespec="seconds"),
    )


def _run_all(context: Context, options: RunOptions, plan: Plan) -> list[Path]:
    """Children, the longest job first, as many at once as there are workers; all end with this process."""
    with (
        scratch(options.out, f".logs-{options.run_id}-") as logs,
        _job_processes(context, options, plan, logs) as jobs,
    ):
        at_once = (
            min(options.workers, plan.cluster.racks) if plan.cluster.launcher else options.workers
        )  # live deployments share the place
        waiting = sorted(plan.jobs, key=lambda job: -sum(job.recipe.conc))
        while waiting or jobs.running:
            while waiting and len(jobs.running) < at_once:
                jobs.start(waiting.pop(0))
            jobs.poll()
            context.clock.sleep(0.2)
    if jobs.failed:
        names, codes = ", ".join(sorted(jobs.failed)), set(jobs.failed.values())
        error = PipelineError(
            f"{len(jobs.failed)} of {len(plan.jobs)} jobs failed: {names}",
            where=str(options.out),
            hint="error.json or the refused points in each folder say why",
        )
        error.exit_code = codes.pop() if len(codes) == 1 else LaunchError.exit_code
        raise error
    return sorted(jobs.done)


@contextmanager
def _job_processes(context: Context, options: RunOptions, plan: Plan, logs: Path) -> Iterator[_JobProcesses]:
    """At the end all that still run leave at once, and what those left that had to be killed goes as well."""
    jobs = _JobProcesses(context, options, plan, logs)
    try:
        yield jobs
    finally:
        end_all(
            list(jobs.running.values()),
            grace_s=LEAVING_S + plan.cluster.site.teardown_s,
        )
        with suppress(OSError, PipelineError):  # it is found by the next sweep
            collect.sweep(options.out, options.run_id)


@dataclass(slots=True)
class _JobProcesses:
    """Children at work: one process a job, the same command that a matrix leg runs."""

    context: Context
    options: RunOptions
    plan: Plan
    logs: Path
    running: dict[str, Child] = field(default_factory=dict)
    done: list[Path] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.context.clock.monotonic()

    def start(self, job: Job) -> None:
        options = self.options
        from pipeline.launch.base import JOB, RUN

        argv = [
            "env",
            f"{RUN}={options.run_id}",
            f"{JOB}={job.id}",
            sys.executable,
            "-m",
            "pipeline",
        ]  # a sweep finds it when we are gone
        argv += ["run", str(options.plan), "--job", job.id, "--out", str(options.out)]
        argv += [
            "--run-id",
            options.run_id,
            "--attempt",
            str(options.attempt),
            *(["--quick"] if options.quick else []),
        ]
        argv += ["--seed", str(options.seed)] if options.seed is not None else []
        with held():
            self.running[job.id] = self.context.shell.spawn(argv, log=self.log(job.id))

    def poll(self) -> None:
        """Take leave of children that ended and show where things stand."""
        for name, child in list(self.running.items()):
            code = child.poll()
            if code is not None:
                del self.running[name]
                self.finish(name, code)
        if self.context.is_terminal and self.running:
            self.context.log(f"\r\x1b[K{self.progress()} · {' '.join(sorted(self.running))}"[:160], end="")

    def finish(self, name: str, code: int) -> None:
        folder = self.options.out / collect.folder_name(self.options.run_id, self.options.attempt, name)
        if code == 0:
            self.done.append(folder)
        else:
            self.failed[name] = code if code > 0 else LaunchError.exit_code
            self.record_exit(name, code, folder)
        clear = "\r\x1b[K" if self.context.is_terminal else ""
        self.context.log(f"{clear}{self.progress()} · {'ok    ' if code == 0 else 'FAILED'} {name}")

    def progress(self) -> str:
        ended = len(self.done) + len(self.failed)
        return f"[{self.context.clock.monotonic() - self.began:5.0f} s] {ended}/{len(self.plan.jobs)}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def record_exit(self, name: str, code: int, folder: Path) -> None:
        """A child that could not say itself why it ended is given a failure by its parent."""
        tail = self.log(name).read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        self.context.log(tail)
        job = self.plan.job(name)
        if job is None:
            return
        cause = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        error = LaunchError(
            f"the measuring process was {cause}" if code < 0 else f"the measuring process {cause}",
            where=name,
            hint=tail[-500:],
        )
        with sole(
            collect.workplace(self.options.out, self.options.run_id, self.options.attempt, name)
        ) as is_ours:
            if is_ours and not folder.exists():
                record = provenance.record(
                    self.context, _attempt(self.context, self.options, self.plan, job), error
                )
                collect.collect(provenance.failure(error), record, self.logs, self.options.out)
