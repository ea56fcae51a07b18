"""Launcher of one machine: real Dynamo processes with simulated engines in a network namespace.

Needs Linux, util-linux and coreutils.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePath

from pipeline.deployment.layout import Layout, instances, place
from pipeline.edge import network, processes
from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.edge.files import file_errors
from pipeline.edge.place import Here
from pipeline.edge.scratch import is_own
from pipeline.edge.shell import Child, end_all
from pipeline.errors import FileError, LaunchError
from pipeline.launch import machine, mocker, ready
from pipeline.launch.base import ATTEMPT, JOB, PROCESS, RUN, LaunchSpec
from pipeline.launch.describe import Command, describe
from pipeline.schema.cluster import Cluster, LocalSite
from pipeline.schema.endpoint import Cause, DeploymentChange, Instance, scratch_prefix
from pipeline.schema.event import JobStatus
from pipeline.schema.recipe import ROLES

TAIL = 12  # lines of a log in an error
TIMED_OUT = 124  # exit code of coreutils' timeout
KILLED = (-9, 137)


def manifest(spec: LaunchSpec, cluster: Cluster) -> str:
    """Return a table of all processes, with the first ports of the range."""
    site, layout = _site(cluster), place(spec.job.recipe, spec.sku.gpus_per_tray)
    settings = mocker.MockerSettings("python", PurePath("STATE"), site.first_port, site.time_scale)
    table = describe(mocker.commands(spec, layout, settings))
    prefix = " ".join(_prefix(_marks(spec, "NAME"), site))
    skipped = sum(one.headless for one in layout.processes)
    return (
        f"# {spec.job.id}, run {spec.run_id} attempt {spec.attempt}, on cluster {cluster.id}: simulated engines\n"
        f"# isolation {site.isolation}, wall-clock limit {site.time_s} s,"
        f" ready within {site.ready_s} s, time scale {site.time_scale:g}\n"
        f"# {skipped} headless engine processes are part of another one here\n"
        f"# each process NAME: {prefix}\n"
        f"# STATE = {_state_name(spec)} in the folder for temporary files\n" + table
    )


@contextmanager
def deployed(spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path) -> Iterator[Endpoint]:
    """Start frontend and workers, yield their endpoint, and stop all of them."""
    site, layout = _site(cluster), place(spec.job.recipe, spec.sku.gpus_per_tray)
    versions = machine.versions()
    machine.refuse_model(spec, cluster)
    machine.refuse_temporary(spec, Path(tempfile.gettempdir()))
    machine.refuse_size(len(layout.processes) - sum(one.headless for one in layout.processes), site)
    began = clients.clock.monotonic()
    with ExitStack() as stack:
        if site.isolation == "network-namespace":
            stack.enter_context(network.loopback_only())
        state = stack.enter_context(_state(spec))
        first_port = network.free_block(site.first_port, site.last_port, len(layout.processes) + 1)
        settings = mocker.MockerSettings(sys.executable, state, first_port, site.time_scale)
        mocker.write_tables(spec, settings)
        running = stack.enter_context(_running_processes(spec, site))
        commands = mocker.commands(spec, layout, settings)
        argvs = _argvs(spec, site, commands)
        for name, argv in argvs.items():
            running[name] = clients.shell.spawn(argv, log=logs / f"{name}.log", cwd=state)
        started = clients.clock.monotonic()
        expected = _expected(spec, layout, commands, first_port)
        exits = partial(_exits, running, logs, partial(_limit_reached, clients, began, site))
        ids = ready.wait(expected, ready.Watch(clients.http, clients.clock, exits, site.ready_s))
        yield Endpoint(
            url=expected.url,
            served_name=expected.served_name,
            tokenizer=spec.model_path,
            instances=_instances(commands),
            place=Here(clients.http, lambda argv: [*_prefix(_marks(spec, "client"), site), *argv]),
            frontend_log=logs / "frontend.log",
            changes=partial(_changes, exits, partial(ready.changes, ids, expected.url, clients.http)),
            versions=versions,
            stages_s={"start": started - began, "ready": clients.clock.monotonic() - started},
            commands=argvs,
        )


def status(run_id: str, cluster: Cluster, *, clients: Clients) -> list[JobStatus]:
    """Return the jobs of a run that have processes on this machine."""
    del cluster, clients
    marks = {
        (one.settings.get(JOB, ""), one.settings.get(ATTEMPT, "1")) for one in processes.marked({RUN: run_id})
    }
    return [
        JobStatus(job=job, attempt=int(attempt), stage="unknown", state="", what="has processes")
        for job, attempt in sorted(marks)
        if job
    ]


def sweep(run_id: str, cluster: Cluster, *, clients: Clients, job: str | None = None) -> list[str]:
    """End the processes marked with the run, or with one job of it, and remove its temporary folders.

    Return one line for each.
    """
    del clients
    lines = machine.end_run(run_id, job, grace_s=cluster.site.teardown_s)
    with file_errors("remove"):
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{scratch_prefix(run_id, job)}*")):
            if not is_own(folder):
                lines.append(f"left {folder}: it is not a folder of this user")
                continue
            shutil.rmtree(folder)
            lines.append(f"removed {folder}")
    return lines


def _site(cluster: Cluster) -> LocalSite:
    """Return the parameters of this launcher; LaunchError names fields that are missing."""
    missing = ["site"] if not isinstance(cluster.site, LocalSite) else list(cluster.needs())
    if not isinstance(cluster.site, LocalSite) or missing:
        raise LaunchError(
            f"launcher local needs {', '.join(missing)}",
            where=f"cluster {cluster.id}",
            hint="add it to the cluster document",
        )
    return cluster.site


def _marks(spec: LaunchSpec, process: str) -> dict[str, str]:
    """Return the variables by which a sweep recognises a process of this deployment."""
    return {RUN: spec.run_id, JOB: spec.job.id, ATTEMPT: str(spec.attempt), PROCESS: process}


def _prefix(settings: dict[str, str], site: LocalSite) -> list[str]:
    """Return the start of a command line: environment, wall-clock limit, SIGKILL when the parent dies."""
    on_parent_death = ["setpriv", "--pdeathsig", "KILL"]
    limit = ["timeout", f"--kill-after={site.stop_s}", str(site.time_s)]
    variables = [f"{name}={value}" for name, value in settings.items()]
    return ["env", *variables, *on_parent_death, *limit, *on_parent_death]


def _argvs(spec: LaunchSpec, site: LocalSite, commands: Sequence[Command]) -> dict[str, tuple[str, ...]]:
    return {one.name: (*_prefix({**_marks(spec, one.name), **one.env}, site), *one.argv) for one in commands}


def _state_name(spec: LaunchSpec) -> str:
    return f"{scratch_prefix(spec.run_id, spec.job.id)}{spec.attempt}-{spec.job.id}"


@contextmanager
def _state(spec: LaunchSpec) -> Iterator[Path]:
    """Make a folder that a sweep finds by the run id and that only its owner can read."""
    folder = Path(tempfile.gettempdir()) / _state_name(spec)
    try:
        folder.mkdir(mode=0o700)
        (folder / "discovery").mkdir()
    except FileExistsError as error:
        hint = (
            "it is still running, or was killed: "
            f"python -m pipeline sweep --run-id {spec.run_id} --cluster NAME"
        )
        raise LaunchError(
            "this run has a deployment of this recipe already", where=str(folder), hint=hint
        ) from error
    except OSError as error:
        raise FileError.from_os_error(error, "create", folder) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a concurrent sweep may have removed it


@contextmanager
def _running_processes(spec: LaunchSpec, site: LocalSite) -> Iterator[dict[str, Child]]:
    """Yield a dict for processes by name, and stop these at the end.

    Processes outside of their process groups are found by their marks.
    """
    running: dict[str, Child] = {}
    try:
        yield running
    finally:
        end_all(list(running.values()), grace_s=site.stop_s)
        marks = _marks(spec, "")
        del marks[PROCESS]
        processes.end(marks, grace_s=0)


def _expected(
    spec: LaunchSpec, layout: Layout, commands: Sequence[Command], first_port: int
) -> ready.Expected:
    return ready.Expected(
        url=f"http://{mocker.HOST}:{first_port}",
        served_name=spec.llm.served_name,
        instances=instances(layout),
        prefill_metrics=tuple(_metrics(one) for one in commands if one.role == "prefill"),
    )


def _metrics(command: Command) -> str:
    return f"http://{mocker.HOST}:{command.env['DYN_SYSTEM_PORT']}/metrics"


def _instances(commands: Sequence[Command]) -> tuple[Instance, ...]:
    return tuple(
        Instance(one.name, role, _metrics(one)) for role in ROLES for one in commands if one.role == role
    )


def _limit_reached(clients: Clients, began: float, site: LocalSite) -> bool:
    return clients.clock.monotonic() - began >= site.time_s


def _exits(
    running: dict[str, Child], logs: Path, limit_reached: Callable[[], bool]
) -> list[DeploymentChange]:
    """Return the processes that have ended, each with its last output."""
    codes = {name: code for name, child in running.items() if (code := child.poll()) is not None}
    return [
        _exit(name, code, logs / f"{name}.log", limit_reached=limit_reached()) for name, code in codes.items()
    ]


def _exit(name: str, code: int, log: Path, *, limit_reached: bool) -> DeploymentChange:
    cause = Cause.KILLED if code < 0 else Cause.EXITED
    # `timeout` kills a process that does not stop in time and then dies of the same signal.
    if code == TIMED_OUT or (code in KILLED and limit_reached):
        cause = Cause.TIME_LIMIT
    lines = log.read_text("utf-8", errors="replace").splitlines()[-TAIL:] if log.is_file() else []
    return DeploymentChange(cause, name, code, log, tuple(lines))


def _changes(
    exits: Callable[[], list[DeploymentChange]], instance_changes: Callable[[], list[DeploymentChange]]
) -> list[DeploymentChange]:
    """Return the processes that have ended or, without any, the changes of the instances.

    An exit is reported instead of its consequences: an instance that left, or a frontend that does not
    answer.
    """
    return exits() or ((found := instance_changes()) and (exits() or found))
