"""Progress: plain lines where there is no terminal, a bar within the width where there is one."""

from __future__ import annotations

import io
import re
import sys

import pytest

from pipeline.edge.terminal import ProgressBar, StepReport
from tests.fakes.clock import FakeClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


class Closed(Terminal):
    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def steps(*, is_terminal: bool) -> list[str]:
    lines: list[str] = []
    with StepReport(3, log=lines.append, clock=FakeClock(), is_terminal=is_terminal) as report:
        report.show(["b", "a"])
        report.ended("a", has_failed=False)
        report.ended("b", has_failed=True)
    return lines


def test_without_a_terminal_each_step_has_a_line():
    assert steps(is_terminal=False) == ["[    0 s] 1/3 · ok     a", "[    0 s] 2/3 · FAILED b"]


def test_on_a_terminal_only_failures_have_a_line_and_the_counts_come_last(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert steps(is_terminal=True) == ["[    0 s] 2/3 · FAILED b", "[    0 s] 2/3 · 1 ok, 1 failed"]


@pytest.mark.parametrize("width", [40, 80])
def test_the_bar_is_cut_to_the_width_of_the_terminal(monkeypatch, width):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar(72, is_terminal=True) as bar:
        bar.show(7, "[job] " + "x" * 200)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "7/72 [job] x" in plain
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= width


def test_without_a_terminal_nothing_is_drawn(monkeypatch, capsys):
    with ProgressBar(2, is_terminal=False) as bar:
        bar.show(1, "a")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_was_closed_stops_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Closed())
    with ProgressBar(2, is_terminal=True) as bar:
        bar.show(1, "a")
