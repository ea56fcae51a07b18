"""What GitHub's runner reads: workflow commands, printed on stderr because stdout is for data, and the outputs of a step."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.edge import files
from pipeline.errors import Problem
from pipeline.plaintext import LONG, one_line

OUTPUT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def set_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append the outputs of a step to the file in ``$GITHUB_OUTPUT``.

    Raise FileError, or ValueError for an invalid name.
    """
    files.append(
        path, "".join(_output(name, value) for name, value in outputs.items()), label="$GITHUB_OUTPUT"
    )


def _output(name: str, value: str) -> str:
    """The line of one output; a value of several lines is enclosed in a random delimiter, which the value cannot contain."""
    if not OUTPUT_NAME.fullmatch(name):
        raise ValueError(f"not the name of a step output: {name!r}")
    if not re.search(r"[\r\n]", value):
        return f"{name}={value}\n"
    delimiter = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def annotate(problem: Problem) -> None:
    """Print the annotation of a problem; GitHub shows it at its line of the pull request."""
    print(annotation(problem), file=sys.stderr, flush=True)


def annotation(problem: Problem) -> str:
    r"""Return the workflow command for one problem.

    >>> annotation(Problem("recipes/a,b.yaml", 3, 7, "no such flag: 100%", "did you mean\nthis?", "warning"))
    '::warning file=recipes/a%2Cb.yaml,line=3,col=7::no such flag: 100%25 — did you mean this?'
    """
    place = f"file={_property(one_line(problem.path, LONG))},line={problem.line},col={problem.col}"
    return f"::{problem.severity} {place}::{_data(one_line(problem.message, LONG))}"


def notice(severity: str, text: str) -> None:
    """Print a message that GitHub shows on the page of the run."""
    print(f"::{severity}::{_data(one_line(text, LONG))}", file=sys.stderr, flush=True)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
