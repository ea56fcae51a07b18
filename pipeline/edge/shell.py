"""Other programs, the only module that uses ``subprocess``. Commands are argument lists.

Each gets its own process group.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pipeline.edge import processes
from pipeline.edge.files import file_errors
from pipeline.errors import PipelineError

POLL_S = 0.05
GRACE_S = 5.0  # for a program that answers lines


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
        """Return the exit code, or None while the program runs.

        The first call after its end kills the rest of the group.
        """
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
        """End the group: SIGTERM, then SIGKILL if the program still runs after ``grace_s``.

        Return the exit code.
        """
        if (code := self.poll()) is not None:
            return code
        _signal_group(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        deadline = time.monotonic() + processes.KILL_S
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise PipelineError(processes.unkillable([self.pid]), hint=processes.STUCK)
            _signal_group(self.pid, signal.SIGKILL)
            time.sleep(POLL_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Dialogue:
    """A running program that answers one line for each line that it reads; the end of the ``with`` block ends it."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._process, self._stdin, self._stdout, self._read = process, stdin, stdout, b""

    def ask(self, line: bytes, *, timeout_s: float) -> bytes | None:
        """Send a line and return the answer; None where the program has ended or does not answer in time."""
        try:
            self._stdin.write(line + b"\n")
            self._stdin.flush()
        except OSError:
            return None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            if not (part := self._part(deadline - time.monotonic())):
                return None
            self._read += part
        answer, _, self._read = self._read.partition(b"\n")
        return answer

    def _part(self, timeout_s: float) -> bytes:
        output = self._stdout.fileno()
        ready, _, _ = select.select([output], [], [], max(0.0, timeout_s))
        return os.read(output, 1 << 16) if ready else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError), self._process:
            self._stdin.close()  # it has nothing more to answer
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=GRACE_S)
                _signal_group(self._process.pid, number)


def end_all(children: Sequence[Child], *, grace_s: float) -> None:
    """End several groups at once: SIGTERM to each, then SIGKILL to those that still run after ``grace_s``."""
    for child in children:
        child.ask()
    deadline = time.monotonic() + grace_s
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    errors: list[PipelineError] = []
    for child in children:
        try:
            child.end(grace_s=0)
        except PipelineError as error:
            errors.append(error)  # the others end all the same
    if errors:
        raise errors[0]


class Shell:
    """Runs programs of this machine. ``env`` is the whole environment of a program.

    None = that of this process.
    """

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program to its end.

        Raise PipelineError when it is not installed or takes longer than ``timeout_s``.
        """
        process = _start(
            argv, cwd=cwd, env=env, streams=(subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
        )
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
                return Child(_start(argv, cwd=cwd, env=env, streams=(subprocess.DEVNULL, output, output)))

    def talk(self, argv: Sequence[str], *, log: Path) -> Dialogue:
        """Start a program that answers lines; its stderr is appended to ``log``."""
        with file_errors("write", log):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                pipe = subprocess.PIPE
                process = _start(argv, cwd=None, env=None, streams=(pipe, pipe, output))
        if process.stdin is None or process.stdout is None:
            raise PipelineError(f"{argv[0]} was started without pipes", where=" ".join(argv))
        return Dialogue(process, process.stdin, process.stdout)


def _start(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    streams: tuple[int | IO[bytes], int | IO[bytes], int | IO[bytes]],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
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
