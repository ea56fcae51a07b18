"""Processes of this machine that have given variables in their environment.

Cores and memory that this process may use.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError

POLL_S = 0.02
KILL_S = 30.0  # a process in state D, as in a driver that hangs, ignores SIGKILL
STUCK = "the machine has to be looked at, or restarted; what it holds is not free"
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Running:
    """A process and the environment that it was started with."""

    pid: int
    settings: dict[str, str]


def marked(marks: dict[str, str]) -> list[Running]:
    """Return the other processes whose environment has all of ``marks``, except those of other users."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            settings = _settings((folder / "environ").read_bytes())
            if marks.items() <= settings.items() and int(folder.name) != os.getpid():
                found.append(Running(int(folder.name), settings))
    return sorted(found, key=lambda one: one.pid)


def end(marks: dict[str, str], *, grace_s: float) -> list[Running]:
    """End all processes with ``marks``: SIGTERM, after ``grace_s`` SIGKILL until none is left.

    Return those that ran; PipelineError names those that SIGKILL does not end within ``KILL_S``.
    """
    ended = {one.pid: one for one in _signal(marks, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while marked(marks) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    deadline = time.monotonic() + KILL_S
    while left := _signal(marks, signal.SIGKILL):
        if time.monotonic() > deadline:
            raise PipelineError(unkillable([one.pid for one in left]), hint=STUCK)
        ended |= {one.pid: one for one in left}
        time.sleep(POLL_S)
    return list(ended.values())


def unkillable(pids: Iterable[int]) -> str:
    """Return what is left of processes that SIGKILL did not end, each with its state."""
    shown = ", ".join(f"{pid} (state {_state(pid)})" for pid in pids)
    return f"SIGKILL does not end process {shown} within {KILL_S:g} s"


def _state(pid: int) -> str:
    """Return the state letter of a process as ``ps`` prints it; ``?`` where it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "?"


def cores() -> int:
    """Return the whole cores that this process may use, by its affinity and by the limits of its control groups."""
    granted = (_cores_granted(folder) for folder in _control_groups())
    return max(1, min([len(os.sched_getaffinity(0)), *(int(one) for one in granted if one is not None)]))


def memory_free_mb() -> int:
    """Return the memory in MB that new processes can use without swapping and below the limits of the control groups."""
    lines = (PROC / "meminfo").read_text("ascii").splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    left = (_memory_left(folder) for folder in _control_groups())
    return max(0, min([available, *(one for one in left if one is not None)])) // 10**6


def _control_groups() -> list[Path]:
    """The folders of the control groups (cgroup v2) of this process, the innermost first.

    None without cgroup v2.
    """
    with suppress(OSError):
        for line in (PROC / "self/cgroup").read_text("utf-8").splitlines():
            if line.startswith("0::"):
                innermost = CGROUPS / line[len("0::/") :]
                return [
                    folder for folder in (innermost, *innermost.parents) if folder.is_relative_to(CGROUPS)
                ]
    return []


def _cores_granted(group: Path) -> float | None:
    words = _words(group / "cpu.max")  # quota and period, µs
    return int(words[0]) / int(words[1]) if words and words[0] != "max" else None


def _memory_left(group: Path) -> int | None:
    """Bytes up to the limit of the group; the page cache counts as free."""
    limit, used, stat = (_words(group / f"memory.{name}") for name in ("max", "current", "stat"))
    if not limit or limit == ["max"]:
        return None
    held = dict(zip(stat[::2], map(int, stat[1::2]), strict=True))
    return int(limit[0]) - int(used[0]) + held["inactive_file"] + held["active_file"]


def _words(path: Path) -> list[str]:
    """The words of a file of the kernel; none where it does not exist."""
    with suppress(OSError):
        return path.read_text("ascii").split()
    return []


def _settings(environment: bytes) -> dict[str, str]:
    pairs = (
        pair.partition("=") for pair in environment.decode("utf-8", errors="replace").split("\0") if pair
    )
    return {name: value for name, _, value in pairs}


def _signal(marks: dict[str, str], number: signal.Signals) -> list[Running]:
    found = marked(marks)
    for one in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one.pid, number)
    return found
