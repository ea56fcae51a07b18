"""The terminal: a progress bar on stderr that fits its width, drawn by rich; nothing is drawn where there is no terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from pipeline.edge.clock import Clock


class ProgressBar:
    """How many of ``total`` steps are done, and what is under way; lines that go to ``sys.stderr`` meanwhile appear above it.

    It is drawn when asked, by no thread of its own, and removed at the end.
    """

    def __init__(self, total: int, *, is_terminal: bool) -> None:
        rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        columns = (
            TimeElapsedColumn(),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False, table_column=rest),
        )
        console = Console(file=_Stderr(), force_terminal=is_terminal)
        self._progress = Progress(
            *columns,
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
            redirect_stdout=False,  # data stays data
            disable=not is_terminal,
        )
        self._task = self._progress.add_task("", total=total)

    def show(self, done: int, under_way: str) -> None:
        """Draw the bar with ``done`` steps, cut to the width of the terminal."""
        self._progress.update(self._task, completed=done, description=under_way, refresh=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class StepReport:
    """A line for each step that ended. On a terminal only failures get one, above a bar, and the counts are logged at the end."""

    def __init__(self, total: int, *, log: Callable[[str], None], clock: Clock, is_terminal: bool) -> None:
        self._total, self._log, self._clock, self._is_terminal = total, log, clock, is_terminal
        self._bar = ProgressBar(total, is_terminal=is_terminal)
        self._began = clock.monotonic()
        self._ended = self._failed = 0

    def ended(self, name: str, *, has_failed: bool) -> None:
        """Count a step that ended."""
        self._ended += 1
        self._failed += has_failed
        if has_failed or not self._is_terminal:
            self._log(f"{self._progress()} · {'FAILED' if has_failed else 'ok    '} {name}")

    def show(self, under_way: Iterable[str]) -> None:
        """Draw the bar, with the names of the steps that are under way."""
        self._bar.show(self._ended, " ".join(sorted(under_way)))

    def _progress(self) -> str:
        return f"[{self._clock.monotonic() - self._began:5.0f} s] {self._ended}/{self._total}"

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
        if self._is_terminal:
            self._log(f"{self._progress()} · {self._ended - self._failed} ok, {self._failed} failed")


class _Stderr(io.StringIO):
    """Stderr as it was at the start; a terminal that was closed takes nothing more, which is no error of the run."""

    def __init__(self) -> None:
        super().__init__()
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()
