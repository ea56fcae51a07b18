"""Other programs, the only module that uses ``subprocess``. Commands are argument lists; each gets its own process group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pipeline.edge.files import file_errors
from pipeline.errors import PipelineError

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended: exit code (negative = signal) and output as text."""

    code: int
    stdout: str
    stderr: str


class Child:
    """A running program and its process group; the end of the ``with`` block ends them all."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._code: int | None = None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs; the first call after its end kills the rest of the group."""
        if self._code is None:
            self._code = self._process.poll()
            if self._code is not None:
                _signal_group(self.pid, signal.SIGKILL)
        return self._code

    def ask(self) -> None:
        """Send SIGTERM to the group and return at once."""
        if self.poll() is None:
            _signal_group(self.pid, signal.SIGTERM)

    def end(self, *, grace_s: float = 10.0) -> int:
        """End the group: SIGTERM, then SIGKILL if the program still runs after ``grace_s``. Return the exit code."""
        if (code := self.poll()) is not None:
            return code
        _signal_group(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        while (code := self.poll()) is None:
            _signal_group(self.pid, signal.SIGKILL)
            time.sleep(POLL_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def end_all(children: Sequence[Child], *, grace_s: float) -> None:
    """End several groups at once: SIGTERM to each, then SIGKILL to those that still run after ``grace_s``."""
    for child in children:
        child.ask()
    deadline = time.monotonic() + grace_s
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for child in children:
        child.end(grace_s=0)


class Shell:
    """Runs programs of this machine. ``env`` is the whole environment of a program; None = that of this process."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program to its end; raise PipelineError when it is not installed or takes longer than ``timeout_s``."""
        process = _start(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                raise PipelineError(
                    f"{argv[0]} did not end within {timeout_s:g} s", where=" ".join(argv)
                ) from error
            finally:
                _signal_group(process.pid, signal.SIGKILL)
        return Completed(process.returncode, _text(stdout), _text(stderr))

    def spawn(
        self, argv: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program and return at once; its stdout and stderr are appended to ``log``."""
        with file_errors("write", log):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                return Child(_start(argv, cwd=cwd, env=env, stdout=output, stderr=output))


def _start(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise PipelineError(f"no such folder to run {argv[0]} in", where=str(cwd)) from error
        raise PipelineError(
            f"{argv[0]} is not installed", where=" ".join(argv), hint="install it, or put it on PATH"
        ) from error
    except OSError as error:
        raise PipelineError(f"{argv[0]} cannot be started: {error.strerror}", where=" ".join(argv)) from error


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(
        ProcessLookupError, PermissionError
    ):  # it has ended; macOS reports EPERM for a group of zombies
        os.killpg(group, number)


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")
