"""Real processes: a deployment comes up, is noticed when it breaks, and leaves nothing, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pipeline.edge import network, processes
from pipeline.edge.clients import Clients
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import Response, SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import FailureKind, LaunchError
from pipeline.launch import local, ready
from pipeline.launch.base import ATTEMPT, JOB, PROCESS, RUN
from pipeline.schema.endpoint import Cause, describe
from tests.fakes.launch_specs import GB200, GB300, cluster, spec

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300  # this machine may be ten times slower than an idle one
MEANS = Clients(Shell(), SystemHttp(), SystemClock())
SITE = {"ready_s": PATIENCE_S}


class OtherShell(Shell):
    """Starts another command in place of one process."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name, self.argv = name, argv

    def spawn(self, argv, *, log, cwd=None, env=None):
        started = [*argv[: argv.index("-m") - 1], *self.argv] if log.stem == self.name else argv
        return super().spawn(started, log=log, cwd=cwd, env=env)


@pytest.fixture
def run_id(request) -> str:
    return f"t{os.getpid()}.{abs(hash(request.node.name)) % 10**4}"


@pytest.fixture(autouse=True)
def nothing_is_left(run_id, monkeypatch, tmp_path):
    """No process, and no file among the temporary ones, whoever made it: they lie in a folder of the test's own, with a short path."""
    del tmp_path  # made before, elsewhere
    with tempfile.TemporaryDirectory(prefix="") as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield
        assert processes.marked({RUN: run_id}) == []
        assert list(Path(temporary).iterdir()) == []


def deployed(run_id, logs, *, clients=MEANS, **site):
    return local.deployed(
        spec(run_id=run_id, decode={"workers": 1}), cluster(**SITE | site), clients=clients, logs=logs
    )


def complete(endpoint, tokens: int) -> dict:
    prompt = {
        "model": endpoint.served_name,
        "prompt": "license " * 50,
        "max_tokens": tokens,
        "ignore_eos": True,
    }
    header = {"content-type": "application/json"}
    answer = MEANS.http.request(
        "POST",
        f"{endpoint.url}/v1/completions",
        headers=header,
        body=json.dumps(prompt).encode(),
        timeout_s=120,
    )
    assert answer.status == 200
    return json.loads(answer.body)


def wait_for(what) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_deployment_answers_through_prefill_and_decode_and_its_time_is_scaled(run_id, tmp_path):
    with deployed(run_id, tmp_path, time_scale=10.0) as endpoint:
        assert [one.name for one in endpoint.instances] == ["prefill-0", "decode-0"]
        assert endpoint.changes() == []
        before = [ready.served(one.metrics_url, MEANS.http) for one in endpoint.instances]
        start = time.monotonic()
        assert complete(endpoint, 20)["usage"]["completion_tokens"] == 20
        assert time.monotonic() - start > 19 * 0.01307 * 10  # steps of a TP4 decode worker, tenfold
        assert [ready.served(one.metrics_url, MEANS.http) for one in endpoint.instances] == [
            count + 1 for count in before
        ]
        assert {one.settings[PROCESS] for one in processes.marked({RUN: run_id})} == {
            "frontend",
            "prefill-0",
            "decode-0",
        }
    assert {path.name for path in tmp_path.iterdir()} == {"frontend.log", "prefill-0.log", "decode-0.log"}


def test_ranks_of_a_tray_share_a_process_and_each_of_them_is_a_scheduler(run_id, tmp_path):
    wanted = spec(GB200, run_id=run_id, decode={"workers": 1, "tp": 1, "dp": 8, "ep": 8})
    with local.deployed(wanted, cluster(**SITE), clients=MEANS, logs=tmp_path) as endpoint:
        assert [one.name for one in endpoint.instances] == [
            "prefill-0-0",
            "prefill-0-1",
            "decode-0-0",
            "decode-0-1",
        ]
        for _ in range(8):
            complete(endpoint, 2)
        for decode in endpoint.instances[2:]:
            metrics = MEANS.http.request("GET", decode.metrics_url, timeout_s=30).body.decode()
            assert set(re.findall(r'num_requests_running\{engine="(\d)"', metrics)) == set("0123")


def test_nobody_outside_reaches_a_deployment(run_id, tmp_path):
    knock = "import socket, sys; sys.stdin.readline(); print(socket.socket().connect_ex(('127.0.0.1', int(sys.argv[1]))) == 0)"
    outside = [sys.executable, "-c", knock, "18000"]
    with subprocess.Popen(outside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as neighbour:
        with deployed(run_id, tmp_path) as endpoint:
            assert endpoint.url == "http://127.0.0.1:18000"
            inside = subprocess.run(outside, input="\n", capture_output=True, text=True, check=True)
            assert neighbour.communicate("\n")[0].strip() == "False"
        assert inside.stdout.strip() == "True"


def test_every_token_of_an_answer_has_text(run_id, tmp_path):
    """Else a client that takes its times at the text would see first and last token late and early."""
    with deployed(run_id, tmp_path) as endpoint:
        prompt = {
            "model": endpoint.served_name,
            "prompt": "license",
            "max_tokens": 64,
            "ignore_eos": True,
            "stream": True,
        }
        header = {"content-type": "application/json"}
        answer = MEANS.http.request(
            "POST",
            f"{endpoint.url}/v1/completions",
            headers=header,
            body=json.dumps(prompt).encode(),
            timeout_s=120,
        )
        events = [
            json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")
        ]
        assert len([choice for event in events for choice in event["choices"] if choice["text"]]) == 64


def test_another_attempt_of_the_same_job_is_left_alone(run_id, tmp_path):
    marks = {RUN: run_id, JOB: GB300, ATTEMPT: "2", PROCESS: "decode-0"}
    with Shell().spawn(
        ["env", *(f"{name}={value}" for name, value in marks.items()), "sleep", "600"], log=tmp_path / "log"
    ) as other:
        with deployed(run_id, tmp_path / "logs"):
            pass
        assert other.poll() is None


class Killing(SystemHttp):
    """Once it has a run, kills its frontend between the look at processes and the question to it."""

    run_id = ""

    def request(self, *words: object, **more: object) -> Response:
        for one in processes.marked({RUN: self.run_id, PROCESS: "frontend"}):
            os.kill(one.pid, signal.SIGKILL)
        wait_for(lambda: not processes.marked({RUN: self.run_id, PROCESS: "frontend"}))
        return super().request(*words, **more)


def test_a_frontend_that_dies_during_a_look_is_told_as_dead_and_not_as_silent(run_id, tmp_path):
    http = Killing()
    with deployed(run_id, tmp_path, clients=Clients(Shell(), http, SystemClock())) as endpoint:
        http.run_id = run_id
        change = endpoint.changes()[0]
        assert (change.cause, change.subject, change.signal) == (Cause.KILLED, "frontend", 9)


def test_a_worker_that_is_killed_is_named_at_once(run_id, tmp_path):
    with deployed(run_id, tmp_path) as endpoint:
        for one in processes.marked({RUN: run_id, PROCESS: "decode-0"}):
            with suppress(ProcessLookupError):  # it went with its parent
                os.kill(one.pid, signal.SIGKILL)
        wait_for(endpoint.changes)
        change = endpoint.changes()[0]
        assert (change.cause, change.subject, change.signal) == (Cause.KILLED, "decode-0", 9)


def test_a_worker_that_dies_before_it_is_ready_is_told_with_the_end_of_its_log(run_id, tmp_path):
    broken = Clients(
        OtherShell("decode-0", ["sh", "-c", "echo out of memory, perhaps; exit 3"]), MEANS.http, MEANS.clock
    )
    with (
        pytest.raises(LaunchError, match=r"(?s)decode-0 exited with 3.*out of memory, perhaps"),
        deployed(run_id, tmp_path, clients=broken),
    ):
        pass


def test_a_worker_that_never_registers_is_counted_as_missing(run_id, tmp_path):
    silent = Clients(OtherShell("decode-0", ["sleep", "1000"]), MEANS.http, MEANS.clock)
    with (
        pytest.raises(LaunchError, match=r"not ready after 15 s") as caught,
        deployed(run_id, tmp_path, clients=silent, ready_s=15),
    ):
        pass
    assert (caught.value.kind, caught.value.retryable) == (
        FailureKind.NEVER_READY,
        False,
    )  # perhaps the recipe's


def has_timed_out(endpoint) -> bool:
    return any((one.subject, one.cause) == ("frontend", Cause.TIME_LIMIT) for one in endpoint.changes())


def test_processes_end_by_themselves_at_their_wall_clock_limit_and_it_is_said(run_id, tmp_path):
    try:
        with deployed(run_id, tmp_path, time_s=15) as endpoint:
            wait_for(lambda: has_timed_out(endpoint))
            reason = describe(endpoint.changes()[0])
    except LaunchError as error:  # a busy machine: the limit came before it was ready
        reason = str(error)
    assert "reached its wall-clock limit" in reason


def test_an_error_of_whoever_measures_takes_everything_down(run_id, tmp_path):
    with pytest.raises(KeyError), deployed(run_id, tmp_path):
        raise KeyError


def test_a_client_that_was_forgotten_ends_with_the_deployment(run_id, tmp_path):
    with deployed(run_id, tmp_path) as endpoint:
        client = subprocess.Popen(endpoint.place.command(["sleep", "1000"]), start_new_session=True)
        wait_for(lambda: processes.marked({RUN: run_id, PROCESS: "client"}))
    assert client.wait(timeout=60) != 0


def test_a_taken_port_is_stepped_over_and_a_range_without_free_ports_is_refused(run_id, tmp_path):
    with network.loopback_only(), ExitStack() as sockets:
        taken = network.free_block(20000, 32000, 1)
        sockets.enter_context(socket.create_server(("127.0.0.1", taken)))
        with deployed(run_id, tmp_path, isolation="none", first_port=taken, last_port=32000) as endpoint:
            assert int(endpoint.url.rpartition(":")[2]) > taken
            assert endpoint.changes() == []
        with pytest.raises(LaunchError, match="no 3 free ports in a row") as caught:
            deployed(run_id, tmp_path, isolation="none", first_port=taken, last_port=taken + 2).__enter__()
        assert "site.first_port" in caught.value.hint


class Thief(Shell):
    """Takes the frontend's port just before the frontend does."""

    def __init__(self, sockets: ExitStack) -> None:
        self.sockets = sockets

    def spawn(self, argv, *, log, cwd=None, env=None):
        if log.stem == "frontend":
            self.sockets.enter_context(
                socket.create_server(("127.0.0.1", int(argv[argv.index("--http-port") + 1])))
            )
        return super().spawn(argv, log=log, cwd=cwd, env=env)


def test_a_port_that_is_lost_on_the_way_is_told_by_the_one_who_wanted_it(run_id, tmp_path):
    with ExitStack() as sockets:
        robbed = Clients(Thief(sockets), MEANS.http, MEANS.clock)
        with pytest.raises(LaunchError, match=r"(?s)frontend exited with 1.*port 18000 already in use"):
            deployed(run_id, tmp_path, clients=robbed).__enter__()


def test_a_run_cannot_bring_up_the_same_recipe_twice_at_once(run_id, tmp_path):
    with (
        deployed(run_id, tmp_path),
        pytest.raises(LaunchError, match="has a deployment of this recipe already") as caught,
    ):
        deployed(run_id, tmp_path).__enter__()
    assert f"sweep --run-id {run_id}" in caught.value.hint


PARENT = """
import sys, time
from tests.live.test_launch import deployed
from pathlib import Path
with deployed(sys.argv[1], Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(1000)
"""


def test_processes_of_a_parent_that_was_killed_end_by_themselves_and_a_sweep_finds_the_rest(run_id, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, run_id, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout.readline() == "up\n"
        parent.kill()
    wait_for(lambda: not processes.marked({RUN: run_id}))
    assert "removed" in sweep(run_id)
    assert sweep(run_id) == ""


def test_a_sweep_ends_what_carries_the_run_id_and_nothing_else(run_id):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
    argv = [sys.executable, "-c", deaf]
    with (
        subprocess.Popen(
            argv, env={**os.environ, RUN: run_id}, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as left,
        subprocess.Popen(
            argv, env={**os.environ, RUN: f"{run_id}0"}, stdout=subprocess.PIPE, text=True
        ) as stranger,
    ):
        assert (left.stdout.readline(), stranger.stdout.readline()) == ("up\n", "up\n")
        assert f"ended process {left.pid}" in sweep(run_id)
        assert left.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        stranger.kill()


def sweep(run_id: str) -> str:
    words = [sys.executable, "-m", "pipeline", "sweep", "--run-id", run_id, "--cluster", "local-live"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
