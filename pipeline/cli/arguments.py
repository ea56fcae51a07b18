"""What the verbs of the command line share: how a verb is added, and the types of arguments."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pipeline.flow.context import Context

Verb = Callable[[argparse.Namespace, Context], int]
Value = TypeVar("Value")
GATE = 20
LINT = 21  # findings in published tables
EVENTS = ("nightly", "pull-request", "dispatch")
WIDTH = 78  # of an example and a description, so that they fit 80 columns
WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\S+")


def program() -> str:
    """Return how this program was started: ``rackbench``, or ``python -m pipeline``."""
    name = Path(sys.argv[0]).stem
    return name if name == "rackbench" else "python -m pipeline"


def wrapped(command: str) -> str:
    r"""Return a command on lines that fit the terminal and can be copied whole: all but the last end in a backslash.

    >>> print(wrapped("python -m pipeline plan --select '*gb300*' --cluster a-long-name --out a/long/path/plan.json"))
      python -m pipeline plan --select '*gb300*' --cluster a-long-name \
          --out a/long/path/plan.json
    """
    parts: list[str] = []
    for word in WORD.findall(command):  # an option stays on one line with its value
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines = ["  "]
    for part in parts:
        if len(lines[-1]) + len(part) + 3 > WIDTH:
            lines.append("      ")
        lines[-1] += part if lines[-1].isspace() else f" {part}"
    return " \\\n".join(lines)


class Verbs:
    """Adds verbs, each with an example in its help; ``groups`` has the summaries by title and verb."""

    def __init__(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self.subparsers = subparsers
        self.groups: dict[str, dict[str, str]] = {}

    def group(self, title: str) -> Verbs:
        """List the verbs that are added from now on under a title."""
        self.groups.setdefault(title, {})
        return self

    def overview(self) -> str:
        """Return all verbs by group, one line each."""
        lines = []
        for title, summaries in self.groups.items():
            lines += ["", f"{title}:", *(f"  {name:<11}{summary}" for name, summary in summaries.items())]
        return "\n".join(lines[1:])

    def add(
        self, name: str, verb: Verb, summary: str, example: str, *, needs_recipes: bool = True
    ) -> argparse.ArgumentParser:
        """Add a verb with one line of summary and the arguments of an example; return the parser of its arguments."""
        list(self.groups.values())[-1][name] = summary
        added = self.subparsers.add_parser(
            name,
            description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}.", WIDTH),
            epilog=f"example:\n{wrapped(f'{program()} {name} {example}')}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument(
            "--recipes",
            type=Path,
            metavar="DIR",
            help="recipes folder (default: the one around the current folder)",
        )
        added.set_defaults(verb=verb, needs_recipes=needs_recipes)
        return added


def add_run(added: argparse.ArgumentParser, env: Mapping[str, str], *, otherwise: str) -> None:
    """Add ``--run-id`` and ``--attempt``, which GitHub Actions knows."""
    added.add_argument(
        "--run-id",
        type=run_id,
        default=env.get("GITHUB_RUN_ID") or None,
        metavar="RUN",
        help=f"id of the run (default: GitHub's, {otherwise})",
    )
    added.add_argument(
        "--attempt",
        type=number(1),
        default=env.get("GITHUB_RUN_ATTEMPT") or "1",
        metavar="N",
        help="attempt of the run (default: GitHub's, else 1)",
    )


def add_selection(added: argparse.ArgumentParser) -> None:
    """Add the arguments that select the jobs of a plan."""
    added.add_argument("--event", choices=EVENTS, default="dispatch", help="what started the run")
    added.add_argument("--select", default="*", metavar="GLOB", help="recipe ids (default: all)")
    added.add_argument(
        "--since", metavar="REV", help="only recipes that measure something else than at this git revision"
    )
    added.add_argument(
        "--skip-measured", metavar="URL", help="leave out what this history has measured already"
    )


def expecting(what: str, parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return a type of argument that refuses what ``parse`` cannot read and says what is expected."""

    def checked(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from error

    return checked


def number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a type of argument: a whole number within limits."""
    limits = f"a whole number of {low} or more" if high is None else f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    return expecting(limits, parse)


def nonempty(text: str) -> str:
    """Return a text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a text is needed, not blanks")
    return text


def _run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*", text):
        raise ValueError
    return text


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError
    return value


run_id = expecting("a run id (letters, digits, dot, dash and underscore)", _run_id)
share = expecting("a share from 0 to below 1", _share)
