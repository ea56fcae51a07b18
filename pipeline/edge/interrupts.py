"""Signals that ask this process to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held() -> Iterator[None]:
    """Hold the signals back to the end of the block, for example while a child process is started and registered."""
    deferred: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: deferred.append(number)) for number in INTERRUPTS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in deferred:
            signal.raise_signal(late)
