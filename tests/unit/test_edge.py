from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
import time
from contextlib import nullcontext, suppress
from datetime import UTC
from pathlib import Path

import pytest

from pipeline.edge import interrupts, network, processes
from pipeline.edge.actions import annotate, annotation
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell, end_all
from pipeline.errors import FileError, LaunchError, PipelineError, Problem
from tests.fakes.github import serve

PY = sys.executable
# A parent that starts a grandchild in its own group, writes both pids, and waits.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1] + ".tmp", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
time.sleep(float(sys.argv[2]))
"""
DEAF = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def is_running(pid: int) -> bool:
    """Zombies do not count: nobody may be there to take leave of an orphan."""
    with suppress(OSError):
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(what) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids_in(path: Path) -> list[int]:
    wait_for(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def test_a_program_gives_its_exit_code_and_both_outputs(tmp_path):
    done = Shell().run(
        [PY, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"],
        timeout_s=30,
        cwd=tmp_path,
    )
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_output_that_is_not_utf8_is_still_text():
    assert (
        Shell().run([PY, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"], timeout_s=30).stdout
        == "\ufffd"
    )


def test_the_environment_given_is_the_whole_environment():
    script = "import os; print(os.environ.get('A'), os.environ.get('HOME'))"
    assert Shell().run([PY, "-c", script], timeout_s=30, env={"A": "1"}).stdout == "1 None\n"


def test_a_missing_program_is_named():
    with pytest.raises(PipelineError, match="no-such-program is not installed") as caught:
        Shell().run(["no-such-program", "--help"], timeout_s=5)
    assert "PATH" in caught.value.hint


def test_a_missing_folder_is_not_mistaken_for_a_missing_program(tmp_path):
    with pytest.raises(PipelineError, match="no such folder"):
        Shell().run([PY, "-V"], timeout_s=5, cwd=tmp_path / "gone")


def test_a_file_that_cannot_be_executed_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(PipelineError, match="cannot be started"):
        Shell().run([str(tmp_path / "data")], timeout_s=5)


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path):
    pids = tmp_path / "pids"
    with pytest.raises(PipelineError, match=r"did not end within 1.5 s"):
        Shell().run(
            ["sh", "-c", 'sleep 60 & echo "$$ $!" > "$1.tmp"; mv "$1.tmp" "$1"; wait', "sh", str(pids)],
            timeout_s=1.5,
        )
    wait_for(lambda: not any(is_running(pid) for pid in pids_in(pids)))


def test_an_interrupt_waits_until_a_child_is_on_the_list():
    heard: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("heard"))
    try:
        with interrupts.held():
            signal.raise_signal(signal.SIGTERM)
            heard.append("listed")
        assert heard == ["listed", "heard"]
        signal.raise_signal(signal.SIGTERM)
        assert heard == ["listed", "heard", "heard"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_child_appends_both_outputs_to_its_log_and_is_polled(tmp_path):
    log = tmp_path / "logs" / "child.log"
    with Shell().spawn(
        [PY, "-c", "import sys; print('out', flush=True); print('err', file=sys.stderr)"], log=log
    ) as child:
        wait_for(lambda: child.poll() is not None)
    assert child.poll() == 0
    assert log.read_text() == "out\nerr\n"


def test_ending_a_child_ends_everything_that_it_started(tmp_path):
    child = Shell().spawn([PY, "-c", FAMILY, str(tmp_path / "pids"), "60"], log=tmp_path / "log")
    parent, grandchild = pids_in(tmp_path / "pids")
    assert child.pid == parent
    assert child.poll() is None
    assert child.end() == -15
    wait_for(lambda: not is_running(parent) and not is_running(grandchild))
    assert child.end() == -15


def test_a_child_that_leaves_by_itself_leaves_nothing_behind(tmp_path):
    with Shell().spawn([PY, "-c", FAMILY, str(tmp_path / "pids"), "0"], log=tmp_path / "log") as child:
        _, grandchild = pids_in(tmp_path / "pids")
        wait_for(lambda: child.poll() == 0)
        wait_for(lambda: not is_running(grandchild))


def test_a_child_that_does_not_hear_sigterm_is_killed_after_its_grace(tmp_path):
    child = Shell().spawn([PY, "-c", DEAF], log=tmp_path / "log")
    wait_for(lambda: (tmp_path / "log").read_text() == "up\n")
    assert child.end(grace_s=0.2) == -9


def test_several_children_are_asked_together_and_the_deaf_ones_killed_after_one_grace(tmp_path):
    children = [Shell().spawn([PY, "-c", DEAF], log=tmp_path / f"log{n}") for n in range(3)]
    children.append(
        Shell().spawn(
            [PY, "-c", "import time; print('up', flush=True); time.sleep(60)"], log=tmp_path / "log3"
        )
    )
    for number in range(4):
        wait_for(lambda log=tmp_path / f"log{number}": log.read_text() == "up\n")
    end_all(children, grace_s=0.3)
    assert [child.poll() for child in children] == [-9, -9, -9, -15]


@pytest.mark.skipif(
    not processes.PROC.is_dir(), reason="marks are read from Linux's /proc, and so is launcher local Linux's"
)
def test_processes_with_a_mark_are_found_and_ended_whoever_started_them(tmp_path):
    mine = f"m{os.getpid()}"
    started = f"[sys.executable, '-c', {DEAF!r}], stdout=open(sys.argv[1], 'w'), stderr=-2, start_new_session=True"  # -2: where stdout goes
    script = (
        f"import os, subprocess, sys; subprocess.Popen({started}, env={{**os.environ, 'MARK': '{mine}'}})"
    )
    Shell().run(
        ["env", "MARK=m2", "OTHER=1", PY, "-c", script, str(tmp_path / "log")], timeout_s=30
    )  # what it started is an orphan now
    wait_for(lambda: (tmp_path / "log").read_text() == "up\n")
    (orphan,) = processes.marked({"MARK": mine, "OTHER": "1"})
    assert processes.marked({"MARK": mine, "OTHER": "2"}) == []
    assert processes.end({"MARK": mine}, grace_s=0.2) == [orphan]
    assert processes.marked({"MARK": mine}) == []


@pytest.mark.parametrize(
    ("files", "cores", "free_mb"),
    [
        ({}, 3, 64_000),  # no control groups, or none that limits
        ({"cpu.max": "max 100000", "memory.max": "max"}, 3, 64_000),
        ({"pods/one/cpu.max": "150000 100000"}, 1, 64_000),
        ({"pods/one/cpu.max": "50000 100000"}, 1, 64_000),  # half a core is not none
        ({"pods/cpu.max": "200000 100000", "pods/one/cpu.max": "max 100000"}, 2, 64_000),
        ({"pods/one/memory.max": "9000000000", "pods/memory.max": "4000000000"}, 3, 2_500),
        ({"pods/one/memory.max": "1000000000"}, 3, 0),
    ],
)
def test_what_new_processes_can_have_is_what_the_control_groups_leave(
    tmp_path, monkeypatch, files, cores, free_mb
):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/old\n0::/pods/one\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   62500000 kB\n")
    for name, text in files.items():
        group = (tmp_path / "groups" / name).parent
        group.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{text}\n")
        (group / "memory.current").write_text("2000000000\n")
        (group / "memory.stat").write_text(
            "anon 1500000000\ninactive_file 400000000\nactive_file 100000000\n"
        )
    monkeypatch.setattr(processes, "PROC", tmp_path / "proc")
    monkeypatch.setattr(processes, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert (processes.cores(), processes.memory_free_mb()) == (cores, free_mb)
    (tmp_path / "proc/self/cgroup").unlink()
    assert (processes.cores(), processes.memory_free_mb()) == (3, 64_000)


def test_a_block_of_free_ports_begins_behind_the_last_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        first = network.free_block(taken, 65535, 2)
        assert first > taken
        with pytest.raises(LaunchError, match="no 2 free ports in a row"):
            network.free_block(taken, taken + 1, 2)


@pytest.mark.parametrize("is_up", [True, False])
def test_a_loopback_that_is_up_needs_no_right_to_set_it_up(monkeypatch, is_up):
    def flags_or_refusal(_socket: object, request: int, _argument: bytes) -> bytes:
        if request == network.SIOCSIFFLAGS:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return struct.pack("16sh14x", b"lo", network.IFF_UP if is_up else 0)

    monkeypatch.setattr(network.fcntl, "ioctl", flags_or_refusal)
    with (
        nullcontext()
        if is_up
        else pytest.raises(
            LaunchError, match="interface lo is down and cannot be set up: Operation not permitted"
        )
    ):
        network._up(network.LOOPBACK)


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*file/log: "):
        Shell().spawn([PY, "-V"], log=tmp_path / "file" / "log")


def test_the_time_of_day_is_utc_and_says_so():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before + 0.01


def test_an_annotation_escapes_what_the_runner_would_read_as_its_own():
    problem = Problem("a:b,c%.yaml", 3, 7, "50% of\r\nit: a, b", "try::this")
    assert annotation(problem) == "::error file=a%3Ab%2Cc%25.yaml,line=3,col=7::50%25 of it: a, b — try::this"


def test_an_annotation_goes_to_stderr_so_that_json_on_stdout_survives(capsys):
    annotate(Problem("a.yaml", 1, 2, "what", severity="warning"))
    assert capsys.readouterr() == ("", "::warning file=a.yaml,line=1,col=2::what\n")


def test_what_runs_on_this_machine_is_not_asked_through_a_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serve() as fake:
        assert (
            SystemHttp(through_proxy=False).request("GET", f"{fake.url}/rate_limit", timeout_s=30).status
            < 500
        )
        with pytest.raises(PipelineError, match="no response"):
            SystemHttp().request("GET", f"{fake.url}/rate_limit", timeout_s=30)
