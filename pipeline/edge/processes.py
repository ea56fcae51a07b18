"""Processes of this machine that carry a mark in their environment, whoever started them, and whether that one is still alive."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Running:
    """A process with the environment that it was started with."""

    pid: int
    settings: dict[str, str]


def marked(marks: dict[str, str]) -> list[Running]:
    """Processes but this one whose environment has all of ``marks``; those that have ended, or that we may not look at, are none."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            settings = _settings((folder / "environ").read_bytes())
            if marks.items() <= settings.items() and int(folder.name) != os.getpid():
                found.append(Running(int(folder.name), settings))
    return sorted(found, key=lambda one: one.pid)


def end(marks: dict[str, str], *, grace_s: float) -> list[Running]:
    """End all that carry ``marks``: SIGTERM, up to ``grace_s`` to leave, then SIGKILL until none is left; gives those that were there."""
    ended = {one.pid: one for one in _signal(marks, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while marked(marks) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    while left := _signal(marks, signal.SIGKILL):
        ended |= {one.pid: one for one in left}
        time.sleep(POLL_S)
    return list(ended.values())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def memory_free_mb() -> int:
    """Memory that new processes can have without swapping, MB."""
    lines = (PROC / "meminfo").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 // 10**6


def _settings(environment: bytes) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in environment.decode("utf-8", errors="replace").split("\0") if pair)
    return {name: value for name, _, value in pairs}


def _signal(marks: dict[str, str], number: signal.Signals) -> list[Running]:
    found = marked(marks)
    for one in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one.pid, number)
    return found
