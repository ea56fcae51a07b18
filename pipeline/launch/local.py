"""Launcher of one machine: real Dynamo processes with simulated engines, in a network of their own; Linux with util-linux and coreutils."""

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
from pipeline.edge.shell import Child, end_all
from pipeline.errors import LaunchError, PipelineError
from pipeline.launch import machine, mocker, ready
from pipeline.launch.base import ATTEMPT, JOB, PROCESS, RUN, Clients, LaunchSpec
from pipeline.launch.describe import Command, describe
from pipeline.schema.catalogue import Cluster, LocalSite
from pipeline.schema.endpoint import Endpoint, Instance, scratch_prefix
from pipeline.schema.recipe import ROLES, Role

TAIL = 12  # lines of a log in an error
LIMIT_REACHED = 124  # exit code of coreutils' timeout
KILLED = (-9, 137)


def manifest(spec: LaunchSpec, cluster: Cluster) -> str:
    """Table of all processes, as they start where nobody else uses the first ports of the range."""
    site, layout = _site(cluster), place(spec.job.recipe, spec.sku.gpus_per_tray)
    where = mocker.MockerSettings("python", PurePath("STATE"), site.first_port, site.time_scale)
    table = describe(mocker.commands(spec, layout, where))
    prefix = " ".join(_prefix(_marks(spec, "NAME"), site))
    skipped = sum(one.headless for one in layout.processes)
    return (
        f"# {spec.job.id}, run {spec.run_id} attempt {spec.attempt}, on cluster {cluster.id}: simulated engines\n"
        f"# isolation {site.isolation}, wall-clock limit {site.time_s} s, ready within {site.ready_s} s, time scale {site.time_scale:g}\n"
        f"# {skipped} headless engine processes are part of another one here\n"
        f"# each process NAME: {prefix}\n"
        f"# STATE = {_state_name(spec)} in the folder for temporary files\n" + table
    )


@contextmanager
def deployed(spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path) -> Iterator[Endpoint]:
    """Frontend and workers, from the first process to the last log line."""
    site, layout = _site(cluster), place(spec.job.recipe, spec.sku.gpus_per_tray)
    versions = machine.versions()
    machine.refuse_model(spec, cluster)
    machine.refuse_temporary(spec, Path(tempfile.gettempdir()))
    machine.refuse_size(len(layout.processes) - sum(one.headless for one in layout.processes), site)
    began = clients.clock.monotonic()
    is_over = partial(_is_over, clients, began, site)
    with ExitStack() as up:
        if site.isolation == "network-namespace":
            up.enter_context(network.loopback_only())
        state = up.enter_context(_state(spec))
        first_port = network.free_block(site.first_port, site.last_port, len(layout.processes) + 1)
        where = mocker.MockerSettings(sys.executable, state, first_port, site.time_scale)
        mocker.write_tables(spec, where)
        running = up.enter_context(_started_processes(spec, site))
        commands = mocker.commands(spec, layout, where)
        argvs = {
            one.name: (*_prefix({**_marks(spec, one.name), **one.env}, site), *one.argv) for one in commands
        }
        for name, argv in argvs.items():
            running[name] = clients.shell.spawn(argv, log=logs / f"{name}.log", cwd=state)
        started = clients.clock.monotonic()
        expected = _expected(spec, layout, commands, first_port)
        exited = partial(_exited, running, logs, is_over)
        watch = ready.Watch(clients.http, clients.clock, exited, site.ready_s)
        first = ready.wait(expected, watch)
        yield Endpoint(
            url=expected.url,
            served_name=expected.served_name,
            tokenizer=spec.model_path,
            instances=_instances(commands),
            logs=logs,
            frontend_log=logs / "frontend.log",
            beside=lambda argv: [*_prefix(_marks(spec, "client"), site), *argv],
            alive=lambda: _changes_or_exits(exited, partial(_changed, first, expected.url, clients)),
            versions=versions,
            stages_s={"start": started - began, "ready": clients.clock.monotonic() - started},
            commands=argvs,
        )


def sweep(run_id: str, cluster: Cluster, *, clients: Clients, job: str | None = None) -> list[str]:
    """Processes that carry the mark of the run, or of one job of it, and its folders for temporary files."""
    del clients
    said = machine.end_run(run_id, job, grace_s=cluster.local.stop_s if cluster.local else 0)
    try:
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{scratch_prefix(run_id, job)}*")):
            shutil.rmtree(folder)
            said.append(f"removed {folder}")
    except OSError as error:
        raise LaunchError(f"cannot be removed: {error.strerror}", where=str(error.filename)) from error
    return said


def _site(cluster: Cluster) -> LocalSite:
    """The fields that this launcher needs; LaunchError names those that are missing."""
    missing = list(cluster.needs())
    if cluster.local is None or missing:
        raise LaunchError(
            f"launcher local needs {', '.join(missing)}",
            where=f"cluster {cluster.id}",
            hint="say it in the cluster document",
        )
    return cluster.local


def _marks(spec: LaunchSpec, process: str) -> dict[str, str]:
    """What tells a process of this deployment from all others, also when nobody is left who knows its id."""
    return {RUN: spec.run_id, JOB: spec.job.id, ATTEMPT: str(spec.attempt), PROCESS: process}


def _prefix(settings: dict[str, str], site: LocalSite) -> list[str]:
    """Words before a command: its environment, its wall-clock limit, and that it ends with whoever started it, even by SIGKILL."""
    last_breath = ["setpriv", "--pdeathsig", "KILL"]
    limit = ["timeout", f"--kill-after={site.stop_s}", str(site.time_s)]
    return [
        "env",
        *(f"{name}={value}" for name, value in settings.items()),
        *last_breath,
        *limit,
        *last_breath,
    ]


def _state_name(spec: LaunchSpec) -> str:
    return f"{scratch_prefix(spec.run_id, spec.job.id)}{spec.attempt}-{spec.job.id}"


@contextmanager
def _state(spec: LaunchSpec) -> Iterator[Path]:
    """A folder that a sweep finds by the run id; only the owner may look into it."""
    folder = Path(tempfile.gettempdir()) / _state_name(spec)
    try:
        folder.mkdir(mode=0o700)
        (folder / "discovery").mkdir()
    except FileExistsError as error:
        hint = (
            f"it runs already, or was killed: python -m pipeline sweep --run-id {spec.run_id} --cluster NAME"
        )
        raise LaunchError(
            "this run has a deployment of this recipe already", where=str(folder), hint=hint
        ) from error
    except OSError as error:
        raise LaunchError(f"cannot be made: {error.strerror}", where=str(folder)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what was measured counts, whoever swept it away meanwhile


@contextmanager
def _started_processes(spec: LaunchSpec, site: LocalSite) -> Iterator[dict[str, Child]]:
    """Processes by name. At the end all leave at once, and whoever has left its group or was not yet in the crew is found by its marks."""
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


def _is_over(clients: Clients, began: float, site: LocalSite) -> bool:
    return clients.clock.monotonic() - began >= site.time_s


def _exited(running: dict[str, Child], logs: Path, is_over: Callable[[], bool]) -> list[str]:
    """Processes that have ended, each with the last lines of its log."""
    codes = {name: code for name, child in running.items() if (code := child.poll()) is not None}
    return [_exit_reason(name, code, logs / f"{name}.log", is_over=is_over()) for name, code in codes.items()]


def _exit_reason(name: str, code: int, log: Path, *, is_over: bool) -> str:
    lines = log.read_text("utf-8", errors="replace").splitlines()[-TAIL:] if log.is_file() else []
    if code == LIMIT_REACHED or (
        code in KILLED and is_over
    ):  # whoever does not leave in time is killed, and its `timeout` with it
        cause = "reached its wall-clock limit"
    else:
        cause = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
    return f"{name} {cause}; the end of {log}:\n" + "\n".join(f"  {line}" for line in lines)


def _changes_or_exits(exited: Callable[[], list[str]], changed: Callable[[], list[str]]) -> list[str]:
    """Who has died meanwhile is told, and not what came of it: that the frontend does not answer, for one."""
    return exited() or ((found := changed()) and (exited() or found))


def _changed(first: dict[Role, frozenset[str]], url: str, clients: Clients) -> list[str]:
    """Instances that have gone or come since the deployment was ready."""
    try:
        now = ready.instances(url, clients.http)
    except PipelineError:
        return ["the frontend does not answer"]
    return [f"{role} instances are not those from the start" for role in ROLES if now[role] != first[role]]
