"""run: plan.json in, one result folder a job out."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import collect
from pipeline.edge.interrupts import held
from pipeline.edge.scratch import scratch, sole
from pipeline.edge.shell import Child, end_all
from pipeline.errors import ArtifactError, LaunchError, MeasureError, PipelineError, PlanError
from pipeline.flow import provenance
from pipeline.flow.planning import read_plan
from pipeline.flow.provenance import Attempt
from pipeline.flow.world import World
from pipeline.load import nearest
from pipeline.schema import mocker
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import Measurement

LEAVING_S = 10.0  # what a child may take to leave, beside its deployment
QUICK = 1  # requests per concurrency of a quick run, against the published 10: ramp and drain, hardly a steady state


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asked for."""

    plan: Path
    out: Path
    job: str | None
    quick: bool
    seed: int | None
    run_id: str
    attempt: int
    workers: int


def new_run_id(world: World) -> str:
    """A time-sortable id for runs that GitHub did not number."""
    return f"{world.clock.now():%Y%m%dt%H%M%Sz}-{secrets.token_hex(2)}"


def run(world: World, wish: Run) -> list[Path]:
    """Measure one job here, or every job of the plan in children of its own; result folders of those that succeeded."""
    plan = read_plan(wish.plan)
    try:
        wish.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"cannot be made: {error.strerror}", where=str(wish.out)) from error
    if wish.job is None:
        return _run_all(world, wish, plan)
    job = plan.job(wish.job)
    if job is None:
        raise PlanError(
            f"no job {wish.job!r} in the plan",
            where=str(wish.plan),
            hint=nearest(wish.job, [one.id for one in plan.jobs]),
        )
    return [_run_one(world, wish, plan, job)]


def _run_one(world: World, wish: Run, plan: Plan, job: Job) -> Path:
    attempt = _attempt(world, wish, plan, job)
    staging = collect.workplace(wish.out, wish.run_id, wish.attempt, job.id)
    with sole(staging) as is_ours:
        if not is_ours:
            raise ArtifactError(
                "another process is at work on the result of this name",
                where=str(staging),
                hint=collect.RETRY,
            )
        collect.refuse_taken(wish.out, wish.run_id, wish.attempt, job.id)
        outcome: Measurement | PipelineError
        try:
            outcome = _measure(world, attempt, staging)
        except PipelineError as error:
            outcome = error
        content = outcome if isinstance(outcome, Measurement) else provenance.failure(outcome)
        folder = collect.collect(content, provenance.record(world, attempt, outcome), staging, wish.out)
    trouble = _refusal(outcome, job) if isinstance(outcome, Measurement) else outcome
    if trouble:
        trouble.hint = f"{trouble.hint}; kept in {folder}" if trouble.hint else f"kept in {folder}"
        raise trouble
    return folder


def _measure(world: World, attempt: Attempt, staging: Path) -> Measurement:
    plan, job = attempt.plan, attempt.job
    if plan.cluster.measure == "aiperf":
        from pipeline.flow import serving

        return serving.measure(world, attempt, staging)
    if plan.timing is None:
        raise PlanError(
            "the plan has no timing for a replay", where=f"cluster {plan.cluster.id}", hint="plan again"
        )
    from pipeline.measure import replay

    setup = replay.Setup(
        job=job,
        sku=plan.skus[job.recipe.sku],
        timing=mocker.sku_timing(plan.timing, job.recipe.sku),
        requests_per_conc=attempt.requests_per_conc,
        seed=attempt.seed,
        staging=staging,
    )
    return replay.measure(setup, clock=world.clock)


def _refusal(measured: Measurement, job: Job) -> MeasureError | None:
    """What is wrong with a job whose points are kept and not all to be trusted."""
    refused = [point for point in measured.points if point.status == "refused"]
    missing = sorted(set(job.recipe.conc) - {point.conc for point in measured.points})
    if not refused and not missing:
        return None
    said = [f"c{point.conc} {reason}" for point in refused for reason in point.reasons]
    said += [f"c{conc} was not measured any more" for conc in missing]
    return MeasureError(
        f"{len(refused)} of {len(job.recipe.conc)} points refused: {'; '.join(said)}", where=job.id
    )


def _attempt(world: World, wish: Run, plan: Plan, job: Job) -> Attempt:
    client = job.recipe.client
    return Attempt(
        plan=plan,
        job=job,
        run_id=wish.run_id,
        attempt=wish.attempt,
        requests_per_conc=min(QUICK, client.requests_per_conc) if wish.quick else client.requests_per_conc,
        seed=client.seed if wish.seed is None else wish.seed,
        started_at=world.clock.now().isoformat(timespec="seconds"),
    )


def _run_all(world: World, wish: Run, plan: Plan) -> list[Path]:
    """Children, the longest job first, as many at once as there are workers; all end with this process."""
    with scratch(wish.out, f".logs-{wish.run_id}-") as logs, _crew(world, wish, plan, logs) as crew:
        at_once = (
            min(wish.workers, plan.cluster.racks) if plan.cluster.launcher else wish.workers
        )  # live deployments share the place
        waiting = sorted(plan.jobs, key=lambda job: -sum(job.recipe.conc))
        while waiting or crew.running:
            while waiting and len(crew.running) < at_once:
                crew.start(waiting.pop(0))
            crew.look()
            world.clock.sleep(0.2)
    if crew.failed:
        names, codes = ", ".join(sorted(crew.failed)), set(crew.failed.values())
        error = PipelineError(
            f"{len(crew.failed)} of {len(plan.jobs)} jobs failed: {names}",
            where=str(wish.out),
            hint="error.json or the refused points in each folder say why",
        )
        error.exit_code = codes.pop() if len(codes) == 1 else LaunchError.exit_code
        raise error
    return sorted(crew.done)


@contextmanager
def _crew(world: World, wish: Run, plan: Plan, logs: Path) -> Iterator[_Crew]:
    """At the end all that still run leave at once, and what those left that had to be killed goes as well."""
    crew = _Crew(world, wish, plan, logs)
    try:
        yield crew
    finally:
        end_all(
            list(crew.running.values()),
            grace_s=LEAVING_S + (plan.cluster.local.stop_s if plan.cluster.local else 0),
        )
        with suppress(OSError, PipelineError):  # it is found by the next sweep
            collect.sweep(wish.out, wish.run_id)


@dataclass(slots=True)
class _Crew:
    """Children at work: one process a job, the same command that a matrix leg runs."""

    world: World
    wish: Run
    plan: Plan
    logs: Path
    running: dict[str, Child] = field(default_factory=dict)
    done: list[Path] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.world.clock.monotonic()

    def start(self, job: Job) -> None:
        wish = self.wish
        from pipeline.launch.base import JOB, RUN

        argv = [
            "env",
            f"{RUN}={wish.run_id}",
            f"{JOB}={job.id}",
            sys.executable,
            "-m",
            "pipeline",
        ]  # a sweep finds it when we are gone
        argv += ["run", str(wish.plan), "--job", job.id, "--out", str(wish.out)]
        argv += [
            "--run-id",
            wish.run_id,
            "--attempt",
            str(wish.attempt),
            *(["--quick"] if wish.quick else []),
        ]
        argv += ["--seed", str(wish.seed)] if wish.seed is not None else []
        with held():
            self.running[job.id] = self.world.shell.spawn(argv, log=self.log(job.id))

    def look(self) -> None:
        """Take leave of children that ended and show where things stand."""
        for name, child in list(self.running.items()):
            code = child.poll()
            if code is not None:
                del self.running[name]
                self.leave(name, code)
        if self.world.is_terminal and self.running:
            self.world.say(f"\r\x1b[K{self.standing()} · {' '.join(sorted(self.running))}"[:160], end="")

    def leave(self, name: str, code: int) -> None:
        folder = self.wish.out / collect.folder_name(self.wish.run_id, self.wish.attempt, name)
        if code == 0:
            self.done.append(folder)
        else:
            self.failed[name] = code if code > 0 else LaunchError.exit_code
            self.keep_death(name, code, folder)
        clear = "\r\x1b[K" if self.world.is_terminal else ""
        self.world.say(f"{clear}{self.standing()} · {'ok    ' if code == 0 else 'FAILED'} {name}")

    def standing(self) -> str:
        ended = len(self.done) + len(self.failed)
        return f"[{self.world.clock.monotonic() - self.began:5.0f} s] {ended}/{len(self.plan.jobs)}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def keep_death(self, name: str, code: int, folder: Path) -> None:
        """A child that could not say itself why it ended is given a failure by its parent."""
        tail = self.log(name).read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        self.world.say(tail)
        job = self.plan.job(name)
        if job is None:
            return
        cause = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        error = LaunchError(
            f"the measuring process was {cause}" if code < 0 else f"the measuring process {cause}",
            where=name,
            hint=tail[-500:],
        )
        with sole(collect.workplace(self.wish.out, self.wish.run_id, self.wish.attempt, name)) as is_ours:
            if is_ours and not folder.exists():
                record = provenance.record(self.world, _attempt(self.world, self.wish, self.plan, job), error)
                collect.collect(provenance.failure(error), record, self.logs, self.wish.out)
