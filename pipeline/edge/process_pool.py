"""Programs in processes of their own: so many at a time, each with a log, all of them ended with the pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pipeline.edge.clock import Clock
from pipeline.edge.interrupts import held
from pipeline.edge.shell import Child, Shell, end_all

POLL_S: Final = 0.2
LOG_TAIL: Final = 2000  # characters


@dataclass(frozen=True, slots=True)
class Task:
    """One program; ``marks`` go into its environment, so that a later sweep finds it (``edge.processes``)."""

    name: str
    argv: tuple[str, ...]
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exit:
    """A program that has ended: its exit code (negative = signal) and the end of its log."""

    name: str
    code: int
    last_output: str


@dataclass(slots=True)
class ProcessPool:
    """Tasks that wait, in order, and children that run, ``size`` at most; logs are ``logs``/NAME.log.

    Leaving the ``with`` ends the children that still run: together they get ``grace_s`` to leave.
    """

    waiting: list[Task]
    size: int
    logs: Path
    grace_s: float
    shell: Shell
    clock: Clock
    running: dict[str, Child] = field(default_factory=dict)

    def exits(self) -> Iterator[list[Exit]]:
        """Start and watch the children until none is left; yield those that ended, often an empty list, at every poll."""
        while self.waiting or self.running:
            while self.waiting and len(self.running) < self.size:
                self._start(self.waiting.pop(0))
            yield [self._remove(name, code) for name, code in self._codes().items() if code is not None]
            self.clock.sleep(POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_all(list(self.running.values()), grace_s=self.grace_s)

    def _start(self, task: Task) -> None:
        argv = ["env", *(f"{name}={value}" for name, value in task.marks.items()), *task.argv]
        with held():
            self.running[task.name] = self.shell.spawn(argv, log=self._log(task.name))

    def _codes(self) -> dict[str, int | None]:
        return {name: child.poll() for name, child in self.running.items()}

    def _remove(self, name: str, code: int) -> Exit:
        del self.running[name]
        log = self._log(name).read_text(encoding="utf-8", errors="replace")
        return Exit(name, code, log[-LOG_TAIL:].strip())

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


@contextmanager
def worker_processes(count: int, *, calls_per_process: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh Python processes for functions of this program."""
    context = get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, max_tasks_per_child=calls_per_process) as pool:
        yield pool
