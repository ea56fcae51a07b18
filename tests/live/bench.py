"""Bringing deployments up and down, and whether anything of them stays: ``nox -s bench -- live``, or ``-- live 5`` for five in a row."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from pipeline.edge import network, processes
from pipeline.edge.clients import Clients
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.launch import local
from pipeline.launch.base import RUN
from tests.fakes import launch_specs
from tests.live import overhead

LAUNCHES = 50
RUN_ID = f"bench.{os.getpid()}"
LISTENS = "0A"  # in the kernel's socket tables


@dataclass(frozen=True)
class Traces:
    """What a deployment could leave."""

    processes: int
    children: int
    open_files: int
    ports: int
    temporary: int  # files and folders, whoever made them


def traces() -> Traces:
    """Of this run, as seen from the network that this thread is in."""
    gc.collect()  # connections that nobody holds any more
    tables = [Path("/proc/thread-self/net", name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    return Traces(
        processes=len(processes.marked({RUN: RUN_ID})),
        children=len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
        open_files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        ports=sum(line.split()[3] == LISTENS for table in tables for line in table),
        temporary=len(list(Path(tempfile.gettempdir()).iterdir())),
    )


def up_and_down(isolation: str, logs: Path) -> tuple[float, float]:
    """Seconds until one prefill and one decode worker answer, and until nothing of them is left."""
    clients, cluster = (
        Clients(Shell(), SystemHttp(), SystemClock()),
        launch_specs.cluster(isolation=isolation),
    )
    start = time.perf_counter()
    with local.deployed(
        launch_specs.spec(run_id=RUN_ID, decode={"workers": 1}), cluster, clients=clients, logs=logs
    ):
        ready = time.perf_counter()
    return ready - start, time.perf_counter() - ready


def show(name: str, seconds: list[float], bound: str) -> None:
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    print(f"{name:<34} {middle:8.2f} s [{low:.2f}, {high:.2f}]  n={len(seconds)}  {bound}", flush=True)


def in_a_row(launches: int) -> tuple[list[tuple[float, float]], Traces, Traces]:
    """Seconds of each, and what there was of them before and after."""
    with (
        tempfile.TemporaryDirectory() as folder,
        network.loopback_only(),
    ):  # so that every socket that we see is ours
        up_and_down("none", Path(folder))  # imports and their files are not a leak
        before = traces()
        # A network of its own for each, and every second one in ours: there a port that stays is seen.
        times = [
            up_and_down("none" if turn % 2 else "network-namespace", Path(folder)) for turn in range(launches)
        ]
        return times, before, traces()


@contextmanager
def own_temporary() -> Iterator[None]:
    """So that every temporary file that we see is ours, whoever made it."""
    with tempfile.TemporaryDirectory(prefix="") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", None)
        yield


def main(words: list[str]) -> None:
    launches = int(words[0]) if words else LAUNCHES
    with own_temporary():
        times, before, after = in_a_row(launches)
    show("ready, 1 prefill + 1 decode", [ready for ready, _ in times], "promised: 30 s on 2 idle cores")
    show("teardown", [down for _, down in times], "promised: 5 s")
    for row in overhead.main():
        show(*row)
    print(f"{launches} launches and teardowns: before {before}, after {after}")
    if any(now > then for now, then in zip(astuple(after), astuple(before), strict=True)):
        raise SystemExit("something stays behind")
