"""What a file may hold: bytes, levels and values, so that a check of a stranger's files ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

import yaml

from pipeline.errors import Problem

MAX_BYTES: Final = 1 << 20  # of one YAML file or table
MAX_LEVELS: Final = 32
MAX_VALUES: Final = 100_000  # keys and values of one file
MAX_MERGED: Final = 5_000  # keys and values of one recipe with all that it inherits; a real one has about 150
MAX_LAYERS: Final = 100  # files that one recipe is merged from
MAX_EXTENDS: Final = 16  # partials that extend one another
MAX_FILES: Final = 5_000  # YAML files below recipes/
MAX_FINDINGS: Final = 200  # of one file
MAX_FINDINGS_IN_ALL: Final = 2_000


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is not read, with the reason: it is a problem and never absent."""

    why: str


@dataclass(frozen=True, slots=True)
class Excess:
    """The place of the first value beyond a limit of the file, counted from 1."""

    line: int
    col: int
    what: str


def excess(text: str, loader: Any) -> Excess | None:
    """Return the first value beyond the limits of levels and values, or None; raise yaml.YAMLError.

    The events are read one by one: libyaml's composer recurses, and ends the process on deep input.
    """
    levels = values = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        values += isinstance(event, yaml.NodeEvent)
        if levels > MAX_LEVELS or values > MAX_VALUES:
            unit = f"{MAX_LEVELS} levels" if levels > MAX_LEVELS else f"{MAX_VALUES} keys and values"
            mark = event.start_mark
            return Excess(
                *((mark.line + 1, mark.column + 1) if mark else (1, 1)), f"the file has more than {unit}"
            )
    return None


def cut(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first problems of each file and of all, in order, with counts of those left out."""
    by_file = groupby(sorted(set(problems)), key=lambda problem: problem.path)
    kept = [problem for _, group in by_file for problem in counted(list(group), MAX_FINDINGS)]
    return counted(kept, MAX_FINDINGS_IN_ALL)


def counted(problems: list[Problem], most: int, *, total: int | None = None) -> list[Problem]:
    """Return the first ``most`` problems and one that counts the others, of ``total`` if it is stated.

    A list of one more than ``most`` is returned whole: it may be the result of an earlier call.
    """
    total = len(problems) if total is None else total
    if total <= most + 1 and len(problems) <= most + 1:
        return problems
    last = problems[most - 1]
    what = f"… and {total - most} more problems"  # sorts after the last one
    return [*problems[:most], replace(last, what=what, hint="correct the first ones")]
