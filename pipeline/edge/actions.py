"""GitHub's workflow commands. The runner reads them from either stream; stderr leaves stdout to data."""

from __future__ import annotations

import sys

from pipeline.errors import Problem


def annotate(problem: Problem) -> None:
    """Show a problem at its line of the pull request."""
    print(annotation(problem), file=sys.stderr, flush=True)


def annotation(problem: Problem) -> str:
    r"""The workflow command of one problem.

    >>> annotation(Problem("recipes/a,b.yaml", 3, 7, "no such flag: 100%", "did you mean\nthis?", "warning"))
    '::warning file=recipes/a%2Cb.yaml,line=3,col=7::no such flag: 100%25 — did you mean%0Athis?'
    """
    advice = f" — {problem.hint}" if problem.hint else ""
    place = f"file={_property(problem.path)},line={problem.line},col={problem.col}"
    return f"::{problem.severity} {place}::{_data(problem.what + advice)}"


def notice(severity: str, text: str) -> None:
    """Show a message on the page of the run; outside of Actions it is a line like any other."""
    print(f"::{severity}::{_data(text)}", file=sys.stderr, flush=True)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
