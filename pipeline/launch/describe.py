"""All commands of a deployment on one page, without loss.

Settings that the workers of a role share are listed once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH = 125
LAST_NUMBER = re.compile(r"((?:.*\D)?)(\d+)(\D*)")
LEGEND = """\
# Braces hold one value for each process of a worker: {0..3} counts up, a*4 repeats a four times, {..}x2 repeats the list twice.
# Where workers differ, argv shows `--option ...` and each worker lists its own value below.
"""
Settings = dict[str, str]


@dataclass(frozen=True, slots=True)
class Command:
    """One process: argument list and environment; ``role`` is nats, etcd, frontend, prefill or decode."""

    name: str
    role: str
    tray: str
    argv: tuple[str, ...]
    env: dict[str, str]


def describe(commands: Iterable[Command]) -> str:
    """Return the text of all commands, without loss."""
    lines: list[str] = []
    for role, group in groupby(commands, key=lambda command: command.role):
        members = list(group)
        if members[0].name == role:
            lines += [line for one in members for line in _service(one)]
        else:
            lines += ["", *_role(role, members), ""]
    return LEGEND + "\n" + "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def settings(one: Command) -> Settings:
    """Return every option (``--name``) and variable (``NAME=``) of a process with its value."""
    return {**_options(one), **_environment(one)}


def braces(values: Sequence[str]) -> str:
    """Return the values of all processes of a worker as one word.

    >>> braces(["0", "1", "2", "3"] * 2), braces(["n1", "n1", "n2", "n2"]), braces(["", "--headless"]), braces(["a0.b", "a1.b", "a2.b"])
    ('{0..3}x2', '{n1*2,n2*2}', '{,--headless}', 'a{0..2}.b')
    """
    if len(set(values)) == 1:
        return values[0]
    if counted := _counted(values):
        return counted
    for period in range(2, len(values) // 2 + 1):
        head = list(values[:period])
        if head * (len(values) // period) == list(values):
            return f"{braces(head)}x{len(values) // period}"
    runs = [(f'"{value}"' if "," in value else value, len(list(same))) for value, same in groupby(values)]
    return "{" + ",".join(value if times == 1 else f"{value}*{times}" for value, times in runs) + "}"


def _counted(values: Sequence[str]) -> str:
    """Return ``a-{0..3}.json`` for three or more values that count up in the same text; empty for others."""
    found = [one for value in values if (one := LAST_NUMBER.fullmatch(value))]
    numbers, around = [int(one[2]) for one in found], {(one[1], one[3]) for one in found}
    if (
        len(values) < 3
        or len(found) < len(values)
        or len(around) > 1
        or numbers != list(range(numbers[0], numbers[0] + len(values)))
    ):
        return ""
    ((head, tail),) = around
    return f"{head}{{{numbers[0]}..{numbers[-1]}}}{tail}"


def _service(one: Command) -> Iterator[str]:
    items = [*_environment(one).items(), *_options(one).items()]
    yield from _wrapped(f"{one.name} on {one.tray}:", [_word(name, value) for name, value in items])


def _role(role: str, members: list[Command]) -> Iterator[str]:
    """Yield the settings that all workers of a role share, then those of each worker."""
    workers = [list(group) for _, group in groupby(members, key=_worker)]
    arguments = _by_worker([[_options(one) for one in processes] for processes in workers])
    variables = _by_worker([[_environment(one) for one in processes] for processes in workers])
    total = f"{len(members)} process{'es' * (len(members) > 1)}"
    yield f"{role}: {len(workers)} worker{'s' * (len(workers) > 1)}, {total}"
    yield from _wrapped(
        "  argv:", [words[0] if _is_shared(words) else f"{name} ..." for name, words in arguments.items()]
    )
    yield from _wrapped("  env: ", [words[0] for words in variables.values() if _is_shared(words)])
    for index, processes in enumerate(workers):
        own = [
            words[index]
            for part in (arguments, variables)
            for words in part.values()
            if not _is_shared(words)
        ]
        worker = _worker(processes[0])
        name = (
            worker
            if len(processes) == 1
            else f"{worker}-{braces([one.name.removeprefix(worker + '-') for one in processes])}"
        )
        yield from _wrapped(
            f"  {name} on {braces([one.tray for one in processes])}:", [word for word in own if word]
        )


def _worker(one: Command) -> str:
    """Return ``prefill-0`` for ``prefill-0-3``."""
    return "-".join(one.name.split("-")[:2])


def _options(one: Command) -> Settings:
    """Return arguments by option, in order; the program has the empty name.

    A repeated option keeps all its values.
    """
    found: Settings = {"": ""}
    name = ""
    for argument in one.argv:
        if argument.startswith("--"):
            found[argument] = f"{found[argument]} {argument}" if argument in found else ""
            name = argument
        else:
            found[name] = f"{found[name]} {shlex.quote(argument)}".strip()
    return found


def _environment(one: Command) -> Settings:
    return {f"{name}=": shlex.quote(value) for name, value in sorted(one.env.items())}


def _by_worker(workers: list[list[Settings]]) -> dict[str, list[str]]:
    """Return the words of each name at each worker, in the order of the process that has most names."""
    fullest_first = sorted((one for processes in workers for one in processes), key=len, reverse=True)
    names = dict.fromkeys(name for one in fullest_first for name in one)
    return {
        name: [_several(name, [one.get(name) for one in processes]) for processes in workers]
        for name in names
    }


def _is_shared(words: list[str]) -> bool:
    return len(set(words)) == 1


def _several(name: str, values: list[str | None]) -> str:
    """Return an option or variable of all processes of one worker; empty where none has it."""
    if any(value is None for value in values):
        return braces(["" if value is None else _word(name, value) for value in values])
    return _word(name, braces([value for value in values if value is not None]))


def _word(name: str, value: str) -> str:
    return f"{name}{value}" if name.endswith("=") or not name else f"{name} {value}".strip()


def _wrapped(head: str, words: Sequence[str]) -> Iterator[str]:
    """Yield words after a head, in lines of at most ``WIDTH`` unless one word is longer."""
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    line = head if words else head.removesuffix(":")
    for word in words:
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = indent + word
        else:
            line = f"{line} {word}"
    yield line
