"""The words of the command line that verbs share: how a verb is added, and what an argument may be."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from pipeline.flow.context import Context

Verb = Callable[[argparse.Namespace, Context], int]
GATE = 20
LINT = 21  # findings in published tables


class Verbs:
    """Adds verbs, each with an example in its help."""

    def __init__(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self.subparsers = subparsers

    def add(
        self, name: str, verb: Verb, promise: str, example: str, *, needs_recipes: bool = True
    ) -> argparse.ArgumentParser:
        """A verb with what it promises and an example of its words; gives the parser that takes its arguments."""
        added = self.subparsers.add_parser(
            name,
            help=promise,
            description=promise[0].upper() + promise[1:] + ".",
            epilog=f"example: python -m pipeline {name} {example}",
        )
        added.add_argument(
            "--recipes",
            type=Path,
            metavar="DIR",
            help="recipes folder (default: the one around the current folder)",
        )
        added.set_defaults(verb=verb, needs_recipes=needs_recipes)
        return added


def number(low: int, high: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    parse.__name__ = (
        f"number of {low} or more" if high is None else f"number from {low} to {high}"
    )  # argparse: invalid NAME value
    return parse


def words(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*", text):
        raise ValueError
    return text


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError
    return value
