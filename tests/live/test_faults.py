"""Whole runs in which something real breaks: the verdict, the exit code, nothing left behind, and earlier results as they were."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline import collect
from pipeline.edge import network, processes
from pipeline.launch.base import PROCESS, RUN
from pipeline.schema.endpoint import scratch_prefix
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import ResultFolder
from tests.fakes import results
from tests.fakes.launch_specs import GB300

ROOT = Path(__file__).parents[2]
PATIENCE_S = 400  # this machine may be ten times slower than an idle one
CONC, PER_CONC = 16, 8


class Place:
    """A folder with a plan of one job and an earlier result; runs in it carry ``run_id``."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder, self.run_id, self.results = folder, run_id, folder / "results"
        self.plan = folder / "plan.json"
        self.earlier = results.folder(self.results)
        self.before = {path: path.read_bytes() for path in self.earlier.rglob("*") if path.is_file()}
        self.child: subprocess.Popen[str] | None = None

    def pipeline(self, *words: str | Path, code: int = 0) -> str:
        argv = [sys.executable, "-m", "pipeline", *map(str, words)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == code, done.stderr
        return done.stdout

    def make_plan(self, *concs: int, osl: int = 64, per_conc: int = PER_CONC, **site: Any) -> None:
        """The GB300 smoke recipe at one concurrency or these; ``site`` changes the cluster."""
        self.pipeline("plan", "--cluster", "local-live", "--select", GB300, "--out", self.plan)
        plan = json.loads(self.plan.read_text())
        recipe = plan["jobs"][0]["recipe"]
        recipe["conc"], recipe["workload"]["osl"] = list(concs or (CONC,)), osl
        recipe["client"] |= {"requests_per_conc": per_conc, "warmup_per_conc": 1}
        plan["cluster"]["site"] |= {"ready_s": PATIENCE_S, **site}
        changed = Recipe.model_validate_json(json.dumps(recipe))
        plan["jobs"][0]["deployment_digest"] = changed.deployment_digest
        self.plan.write_text(json.dumps(plan))

    def start(self, *before: str) -> None:
        argv = [
            *before,
            sys.executable,
            "-m",
            "pipeline",
            "run",
            str(self.plan),
            "--job",
            GB300,
            "--out",
            str(self.results),
        ]
        argv += ["--run-id", self.run_id, "--recipes", str(ROOT / "recipes")]
        with (self.folder / "stderr").open("w") as stderr:
            self.child = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, text=True)

    def until(self, is_true: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_true():
            assert self.child is not None
            assert self.child.poll() is None, self.stderr()
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)

    def end(self) -> int:
        assert self.child is not None
        return self.child.wait(timeout=PATIENCE_S)

    def under_load(self) -> None:
        """Until every place of the measured loop has had an answer, so that streams run on all workers."""
        self.until(
            lambda: any(
                f"Phase c{CONC} (profiling) started" in text for text in self.texts("client/logs/aiperf.log")
            )
        )
        answered = self.answered()
        self.until(lambda: self.answered() >= answered + CONC)

    def answered(self) -> int:
        return sum(text.count("request completed") for text in self.texts("logs/frontend.log"))

    def texts(self, pattern: str) -> list[str]:
        """Files in the folder that the run works in."""
        return [
            path.read_text(errors="replace")
            for path in self.results.glob(f".bench-{self.run_id}-*/{pattern}")
        ]

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> None:
        found = [one.pid for one in processes.marked({RUN: self.run_id, PROCESS: process})]
        assert found, f"no {process}"
        for pid in found:
            with suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, number)

    def result(self) -> ResultFolder:
        return collect.read(self.results / collect.folder_name(self.run_id, 1, GB300))

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


@pytest.fixture
def place(tmp_path, request) -> Iterator[Place]:
    """Afterwards no process, no folder and no unfinished result is left, and the earlier result is what it was."""
    made = Place(tmp_path, f"f{os.getpid()}.{abs(hash(request.node.name)) % 10**6}")
    yield made
    if made.child is not None and made.child.poll() is None:
        made.child.kill()
        made.child.wait()
        pytest.fail("the run did not end by itself")
    assert processes.marked({RUN: made.run_id}) == []
    assert list(Path(tempfile.gettempdir()).glob(f"{scratch_prefix(made.run_id)}*")) == []
    assert [path.name for path in made.results.iterdir() if path.name.startswith(".")] == []
    assert {path: path.read_bytes() for path in made.before} == made.before


def test_a_decode_worker_killed_under_load_refuses_the_point_and_every_lost_stream_is_counted(place):
    place.make_plan()
    place.start()
    place.under_load()
    place.kill("decode-0")
    assert place.end() == 6
    (point,) = place.result().points
    assert point.status == "invalid"
    cut = re.search(
        r"truncated-streams: (\d+) of 128 .* the frontend lost (\d+) streams", "; ".join(point.reasons)
    )
    assert cut, point.reasons
    folder = place.results / place.result().folder
    log = gzip.decompress((folder / "raw/logs/frontend.log.gz").read_bytes())
    assert int(cut[1]) == int(cut[2]) == log.count(b"Cannot recreate stream") > 0
    assert point.reasons[0] == "deployment-changed: decode-0 was killed by signal 9"
    assert "migrations" not in "; ".join(point.reasons)
    assert "1 of 1 points invalid" in place.stderr()
    page = rendered(place)
    assert "1 invalid" in page.splitlines()[0]
    assert "truncated-streams" in page


def rendered(place: Place) -> str:
    """Ingest the result; return the report of this history as Markdown."""
    place.pipeline("ingest", place.results / place.result().folder, "--history", place.folder / "history")
    place.pipeline(
        "report",
        ROOT / "reports/smoke.yaml",
        "--history",
        place.folder / "history",
        "--out",
        place.folder / "report",
    )
    return (place.folder / "report" / "README.md").read_text()


def test_a_frontend_killed_under_load_refuses_the_point(place):
    place.make_plan()
    place.start()
    place.under_load()
    place.kill("frontend")
    assert place.end() == 6
    (point,) = place.result().points
    assert point.reasons[0].startswith("deployment-changed: frontend was killed by signal 9")
    assert point.completed < point.requests


def test_a_client_killed_under_load_refuses_the_point_and_only_this(place):
    place.make_plan(4, CONC, 8)
    place.start()
    place.under_load()
    place.kill("client")
    assert place.end() == 6
    before, point, after = place.result().points
    assert (before.status, before.reasons, before.completed) == ("extrapolated", (), 4 * PER_CONC)
    assert point.reasons[0] == "client-failed: killed by signal 9"
    assert point.requests == CONC * PER_CONC
    assert (after.conc, after.reasons, after.completed) == (8, (), 8 * PER_CONC)
    for run in ("client", "client-2"):
        lines = gzip.decompress(
            (place.results / place.result().folder / f"raw/{run}/records.jsonl.gz").read_bytes()
        ).splitlines(keepends=True)
        sent = [
            json.loads(line)["metadata"] for line in lines if line.endswith(b"\n")
        ]  # who is killed may be in the midst of one
        assert [one["phase_name"] for one in sent] == [
            one["conversation_id"].rpartition("-")[0] for one in sent
        ]  # each its own prompts


def test_a_terminated_run_takes_everything_down_and_keeps_nothing(place):
    place.make_plan()
    place.start()
    place.under_load()
    place.child.send_signal(signal.SIGTERM)
    assert place.end() == 130
    assert [path.name for path in place.results.iterdir()] == [place.earlier.name]


def test_what_a_killed_run_leaves_is_swept(place):
    place.make_plan()
    place.start()
    place.under_load()
    place.child.kill()
    place.end()
    place.pipeline("sweep", "--run-id", place.run_id, "--cluster", "local-live", "--out", place.results)
    assert [path.name for path in place.results.iterdir()] == [place.earlier.name]


def test_a_worker_that_never_registers_is_a_launch_error_that_the_recipe_may_have_caused(place):
    place.make_plan(ready_s=90)
    place.start()
    place.until(
        lambda: len(processes.marked({RUN: place.run_id, PROCESS: "decode-1"})) > 1
    )  # the worker, and who sees to its time
    place.kill("decode-1", signal.SIGSTOP)
    assert place.end() == 5
    failure = place.result().failure
    assert (failure.kind, failure.retryable) == ("never-ready", False)
    assert "not ready after 90 s" in failure.what
    assert "decode" in failure.what


def test_a_load_client_that_is_not_there_says_how_to_install_it(place):
    place.make_plan()
    plan = json.loads(place.plan.read_text())
    plan["cluster"]["client"] = "no-such-client"
    place.plan.write_text(json.dumps(plan))
    place.start()
    assert place.end() == 2
    assert "`nox -s client` installs it" in place.result().failure.hint


def test_ports_that_are_all_taken_are_a_launch_error(place):
    port = network.free_block(20000, 32000, 1)
    with socket.create_server(("127.0.0.1", port)):
        place.make_plan(isolation="none", first_port=port, last_port=port + 3)
        place.start()
        assert place.end() == 5
    assert "free ports in a row" in place.result().failure.what


def test_a_disk_that_fills_ends_in_a_message_and_leaves_nothing_half(place):
    """A file system of its own, large enough for the logs of a start and too small for what the client writes."""
    place.make_plan()
    small = place.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)], check=True)
    try:
        shutil.copytree(place.earlier, small / place.earlier.name)
        argv = [
            sys.executable,
            "-m",
            "pipeline",
            "run",
            str(place.plan),
            "--job",
            GB300,
            "--out",
            str(small),
            "--run-id",
            place.run_id,
        ]
        argv += ["--recipes", str(ROOT / "recipes")]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode in {6, 9}, done.stderr
        assert "error: " in done.stderr
        assert "this is a bug" not in done.stderr
        assert [path.name for path in small.iterdir() if path.name.startswith(".")] == []
        for folder in small.iterdir():
            assert collect.read(folder)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_an_engine_made_ten_times_slower_is_measured_and_is_another_series(place):
    """It is slow and not broken: the point stands, its keys keep it out of every comparison with the faster one."""
    found = []
    for scale in (4.0, 40.0):
        place.make_plan(1, osl=16, per_conc=6, time_scale=scale)
        place.start()
        assert place.end() == 0, place.stderr()
        found.append(place.result())
        place.run_id = f"{place.run_id}0"
    (fast,), (slow,) = (one.points for one in found)
    assert (fast.status, slow.status) == ("extrapolated", "extrapolated")
    assert slow.tpot_ms.p50 > 4 * fast.tpot_ms.p50
    assert found[0].record.series_key(1) != found[1].record.series_key(1)
    for one in found:
        place.pipeline("ingest", place.results / one.folder, "--history", place.folder / "history")
    place.pipeline(
        "report",
        ROOT / "reports/smoke.yaml",
        "--history",
        place.folder / "history",
        "--out",
        place.folder / "report",
    )
    told = (place.folder / "report" / "README.md").read_text().replace("\\", "")  # of Markdown
    assert "not comparable: provenance.time_scale 4.0 → 40.0" in told
