"""Runs on the test cluster. ``python -m tests.slurm.bed`` starts it around pytest: ``nox -s slurm``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline import collect
from pipeline.edge import processes
from pipeline.launch.base import PROCESS, RUN
from pipeline.schema.result import ResultFolder
from tests.fakes import results
from tests.slurm import bed, configuration, site
from tests.slurm.site import GB200, PATIENCE_S, ROOT


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout


class Run:
    """A run of one smoke recipe on one rack; an earlier result lies in its folder of results."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder, self.id, self.results = folder, run_id, folder / "results"
        self.plan, self.history = folder / "plan.json", folder / "history"
        self.recipes = folder / "recipes"
        self.job, self.cluster = GB200, "slurm-a"
        earlier = results.folder(self.results)
        self.before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
        self.child: subprocess.Popen[str] | None = None

    def pipeline(self, *words: str | Path, code: int = 0) -> str:
        argv = [sys.executable, "-m", "pipeline", *map(str, words)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == code, done.stderr
        return done.stdout

    def prepare(self, **changes: Any) -> None:
        """Write recipes and a plan; ``changes`` as of ``site.write_recipes``."""
        site.write_recipes(self.folder, **changes)
        self.make_plan()

    def make_plan(self) -> None:
        words = (
            "--cluster",
            self.cluster,
            "--select",
            self.job,
            "--recipes",
            self.recipes,
            "--out",
            self.plan,
        )
        self.pipeline("plan", *words)

    def start(self) -> None:
        argv = [sys.executable, "-m", "pipeline", "run", str(self.plan), "--job", self.job]
        argv += ["--out", str(self.results), "--run-id", self.id, "--recipes", str(self.recipes)]
        secret = {"RUNNER_SECRET": "of the runner"}
        with (self.folder / "stderr").open("w") as stderr:
            self.child = subprocess.Popen(
                argv,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                text=True,
                env={**os.environ, **secret},
            )

    def until(self, is_true: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_true():
            assert self.child is not None
            assert self.child.poll() is None, self.stderr()
            assert time.monotonic() < end, f"waited in vain; {output('squeue')} {self.stderr()}"
            time.sleep(0.1)

    def under_load(self) -> None:
        """Wait until the measured loop has begun and answers arrive."""
        self.until(lambda: "(profiling) started" in self.text("work/client/logs/aiperf.log"))
        answered = self.text("logs/frontend.log").count("request completed")
        self.until(lambda: self.text("logs/frontend.log").count("request completed") > answered + 2)

    def up(self) -> None:
        """Wait until all engines have started."""
        self.until(
            lambda: len(list(site.work_dir().glob(f"rackbench-{self.id}@*/state/decode-*.started"))) == 2
        )

    def text(self, pattern: str) -> str:
        """Files in the folder of the job on shared storage."""
        found = site.work_dir().glob(f"rackbench-{self.id}@*/{pattern}")
        return "".join(path.read_text(errors="replace") for path in found)

    def slurm_id(self) -> str:
        rows = [line.split("|") for line in output("squeue", "-h", "-o", "%i|%k").splitlines()]
        (found,) = [job for job, comment in rows if comment.startswith(f"rackbench:{self.id}:")]
        return found

    def tray(self, process: str) -> configuration.Node:
        """The node on which a process runs."""
        return configuration.Node(int(re.match(r"gb(\d+)", self.text(f"state/{process}.started"))[1]))

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill a process of the deployment, not the step around it."""
        found = [one.pid for one in processes.marked({RUN: self.id, PROCESS: process})]
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
        targets = [pid for pid, name in names.items() if name not in ("bash", "timeout", "sleep")]
        assert targets, names
        for pid in targets:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> int:
        assert self.child is not None
        return self.child.wait(timeout=PATIENCE_S)

    def result(self) -> ResultFolder:
        return collect.read(self.results / collect.folder_name(self.id, 1, self.job))

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


@pytest.fixture
def run_id(request) -> str:
    return f"s{abs(hash(request.node.name)) % 10**6}.{os.getpid()}"


@pytest.fixture
def run(tmp_path, run_id) -> Iterator[Run]:
    """Afterwards no job, process or folder of the run is left on any node, and the earlier result is what it was."""
    made = Run(tmp_path, run_id)
    yield made
    if made.child is not None and made.child.poll() is None:
        made.child.kill()
        made.child.wait()
        pytest.fail("the run did not end by itself")
    nothing_is_left(run_id)
    assert [path.name for path in made.results.iterdir() if path.name.startswith(".")] == []
    assert {path: path.read_bytes() for path in made.before} == made.before


def nothing_is_left(run_id: str) -> None:
    assert f"rackbench:{run_id}:" not in output("squeue", "-h", "-o", "%k")
    assert processes.marked({RUN: run_id}) == []
    assert list(site.work_dir().glob(f"rackbench-{run_id}@*")) == []
    assert list((bed.folder() / "tmp").glob(f"*/rackbench-{run_id}@*")) == []


@pytest.fixture(autouse=True)
def cluster_is_whole() -> Iterator[None]:
    """Each test begins and ends with every node idle, apart from jobs of others."""
    yield
    count = len(configuration.nodes(bed.racks()))
    bed.wait_idle(count)
    shutil.rmtree(site.work_dir(), ignore_errors=True)
