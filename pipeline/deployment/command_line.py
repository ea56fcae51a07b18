"""Command lines held to the options of the programs that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.schema.engine import Engine, EngineOption


@dataclass(frozen=True, slots=True)
class WrongArgument:
    """An argument that a program would refuse."""

    kind: Literal["unknown-option", "missing-value", "stray-value"]
    word: str


def wrong_arguments(argv: Sequence[str], *programs: Mapping[str, EngineOption]) -> tuple[WrongArgument, ...]:
    """Return the arguments after ``python3 -m MODULE`` that none of the programs takes.

    Values are counted as argparse does; whether each is valid is not looked at.
    """
    words = list(argv[argv.index("-m") + 2 :] if "-m" in argv else argv)
    found: list[WrongArgument] = []
    for option, values in grouped(words):
        known = next((one for one in (_option(program, option) for program in programs) if one), None)
        if known is None:
            found.append(WrongArgument("unknown-option", option))
        else:
            found += _wrong_values(option, values, known)
    return tuple(found)


def worker_arguments(argv: Sequence[str], dynamo: Engine | None, vllm: Engine) -> tuple[WrongArgument, ...]:
    """Return the arguments of ``dynamo.vllm`` that neither Dynamo's worker nor vLLM takes."""
    return wrong_arguments(argv, *([dynamo.options] if dynamo else []), vllm.options)


def grouped(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option with the words up to the next option; a negative number is a value."""
    option, values = "", list[str]()
    for word in words:
        if word.startswith("--"):
            if option:
                yield option, values
            option, _, inline = word[2:].partition("=")
            values = [inline] if inline else []
        else:
            values.append(word)
    if option:
        yield option, values


def _option(program: Mapping[str, EngineOption], word: str) -> EngineOption | None:
    for name in (word, word.removeprefix("no-")):
        option = program.get(name) or next((one for one in program.values() if name in one.aliases), None)
        if option is not None and (name == word or option.negatable):
            return option
    return None


def _wrong_values(option: str, values: list[str], known: EngineOption) -> Iterator[WrongArgument]:
    counts: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None), "None": (1, 1)}
    number = known.nargs
    least, most = (number, number) if isinstance(number, int) else counts[str(number)]
    if len(values) < least:
        yield WrongArgument("missing-value", option)
    for value in values[most:] if most is not None else []:
        yield WrongArgument("stray-value", value)
