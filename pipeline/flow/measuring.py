"""run: plan.json in, one result folder a job out."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import collect
from pipeline.errors import InterruptedRunError, LaunchError, PipelineError, PlanError
from pipeline.flow.planning import read_plan
from pipeline.flow.world import World
from pipeline.load import nearest
from pipeline.schema import mocker
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import Failure, Host, JobRecord, Measurement, Origin, Provenance

if TYPE_CHECKING:
    from pipeline.edge.shell import Child

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
        raise PlanError(f"no job {wish.job!r} in the plan", where=str(wish.plan), hint=nearest(wish.job, [one.id for one in plan.jobs]))
    return [_run_one(world, wish, plan, job)]


def _run_one(world: World, wish: Run, plan: Plan, job: Job) -> Path:
    started = world.clock.now()
    with tempfile.TemporaryDirectory(prefix=f".{wish.run_id}-", dir=wish.out) as scratch:
        staging = Path(scratch)
        outcome: Measurement | PipelineError
        try:
            outcome = _measure(world, wish, plan, job, staging)
        except InterruptedRunError:
            raise  # nobody's failure: it leaves nothing, as Ctrl-C does
        except PipelineError as error:
            outcome = error
        record = JobRecord(job=job, provenance=_provenance(world, wish, plan, job, started.isoformat(timespec="seconds"), outcome))
        content = outcome if isinstance(outcome, Measurement) else _failure(outcome)
        folder = collect.collect(content, record, staging, wish.out)
    if isinstance(outcome, PipelineError):
        outcome.hint = f"{outcome.hint}; kept in {folder}" if outcome.hint else f"kept in {folder}"
        raise outcome
    return folder


def _measure(world: World, wish: Run, plan: Plan, job: Job, staging: Path) -> Measurement:
    if plan.cluster.measure != "replay" or plan.timing is None:
        what = f"measure {plan.cluster.measure} with launcher {plan.cluster.launcher} is not built yet"
        raise LaunchError(what, where=f"cluster {plan.cluster.id}", hint="cluster laptop measures in virtual time")
    from pipeline.measure import replay

    setup = replay.Setup(
        job=job,
        sku=plan.skus[job.recipe.sku],
        timing=mocker.sku_timing(plan.timing, job.recipe.sku),
        requests_per_conc=_requests_per_conc(wish, job),
        seed=_seed(wish, job),
        staging=staging,
    )
    return replay.measure(setup, clock=world.clock)


def _requests_per_conc(wish: Run, job: Job) -> int:
    return min(QUICK, job.recipe.client.requests_per_conc) if wish.quick else job.recipe.client.requests_per_conc


def _seed(wish: Run, job: Job) -> int:
    return job.recipe.client.seed if wish.seed is None else wish.seed


def _provenance(world: World, wish: Run, plan: Plan, job: Job, started: str, outcome: Measurement | PipelineError) -> Provenance:  # noqa: PLR0913, PLR0917  # one call site
    from pipeline import __version__

    origin: Origin = "simulated" if plan.cluster.measure == "replay" or plan.cluster.engine_override == "mocker" else "measured"
    measured = outcome if isinstance(outcome, Measurement) else None
    return Provenance(
        run_id=wish.run_id,
        attempt=wish.attempt,
        plan_id=plan.plan_id,
        git_sha=plan.git_sha,
        git_dirty=plan.git_dirty,
        cluster=plan.cluster.id,
        origin=origin,
        measure=plan.cluster.measure,
        requests_per_conc=_requests_per_conc(wish, job),
        seed=_seed(wish, job),
        time_scale=plan.cluster.local.time_scale if plan.cluster.local else None,
        versions={"rackbench": __version__, **(measured.versions if measured else {})},
        host=Host(machine=platform.machine(), cpus=os.cpu_count() or 1, kernel=platform.release(), python=platform.python_version()),
        started_at=started,
        finished_at=world.clock.now().isoformat(timespec="seconds"),
        stages_s=measured.stages_s if measured else {},
    )


def _failure(error: PipelineError) -> Failure:
    return Failure(
        error=type(error).__name__,
        what=error.what,
        where=error.where,
        hint=error.hint,
        exit_code=error.exit_code,
        retryable=error.retryable,
    )


def _run_all(world: World, wish: Run, plan: Plan) -> list[Path]:
    """Children, the longest job first, as many at once as there are workers; all end with this process."""
    with tempfile.TemporaryDirectory(prefix=".logs-", dir=wish.out) as logs, ExitStack() as children:
        children.callback(_sweep, wish)  # called last, when every child has ended
        crew = _Crew(world, wish, plan, Path(logs), children)
        waiting = sorted(plan.jobs, key=lambda job: -sum(job.recipe.conc))
        while waiting or crew.running:
            while waiting and len(crew.running) < wish.workers:
                crew.start(waiting.pop(0))
            crew.look()
            world.clock.sleep(0.2)
    if crew.failed:
        names, codes = ", ".join(sorted(crew.failed)), set(crew.failed.values())
        error = PipelineError(
            f"{len(crew.failed)} of {len(plan.jobs)} jobs failed: {names}", where=str(wish.out), hint="error.json in each folder says why"
        )
        error.exit_code = codes.pop() if len(codes) == 1 else LaunchError.exit_code
        raise error
    return sorted(crew.done)


def _sweep(wish: Run) -> None:
    """Staging folders of children that had to be killed."""
    for leftover in wish.out.glob(f".{wish.run_id}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


@dataclass(slots=True)
class _Crew:
    """Children at work: one process a job, the same command that a matrix leg runs."""

    world: World
    wish: Run
    plan: Plan
    logs: Path
    children: ExitStack
    running: dict[str, Child] = field(default_factory=dict)
    done: list[Path] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.world.clock.monotonic()

    def start(self, job: Job) -> None:
        wish = self.wish
        from pipeline.launch.base import RUN

        argv = ["env", f"{RUN}={wish.run_id}", sys.executable, "-m", "pipeline"]  # a sweep finds it when we are gone
        argv += ["run", str(wish.plan), "--job", job.id, "--out", str(wish.out)]
        argv += ["--run-id", wish.run_id, "--attempt", str(wish.attempt), *(["--quick"] if wish.quick else [])]
        argv += ["--seed", str(wish.seed)] if wish.seed is not None else []
        child = self.world.shell.spawn(argv, log=self.log(job.id))
        self.children.callback(child.end)
        self.running[job.id] = child

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
        if folder.exists() or job is None:
            return
        cause = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        error = LaunchError(
            f"the measuring process was {cause}" if code < 0 else f"the measuring process {cause}", where=name, hint=tail[-500:]
        )
        started = self.world.clock.now().isoformat(timespec="seconds")
        record = JobRecord(job=job, provenance=_provenance(self.world, self.wish, self.plan, job, started, error))
        collect.collect(_failure(error), record, self.logs, self.wish.out)
