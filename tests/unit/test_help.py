"""The help of the command line fits 80 columns, and its examples can be copied whole."""

import argparse
import re
import shlex

import pytest

from pipeline import cli

PROGRAMS = (["python", "-m", "pipeline"], ["rackbench"])


def subcommands(parser):
    """The parsers of the verbs by name, those of their own verbs too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield name, verb
                yield from ((f"{name} {inner}", below) for inner, below in subcommands(verb))


VERBS = [name for name, _ in subcommands(cli.parser({}))]


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def examples(text):
    """The commands after ``example:``, each on its line; a backslash continues a line."""
    _, _, shown = text.partition("example:")
    joined = re.sub(r"\\\n\s*", "", shown)
    return [shlex.split(line) for line in joined.splitlines() if line.strip()]


def arguments(command):
    """The words after the program's name."""
    for program in PROGRAMS:
        if command[: len(program)] == program:
            return command[len(program) :]
    return pytest.fail(f"starts with none of {PROGRAMS}: {command}; was the line wrapped?")


def is_accepted(parser, words):
    try:
        parser.parse_args(words)
    except SystemExit:
        return False
    return True


def test_there_are_verbs_to_look_at():
    assert {"validate", "run", "report"} <= set(VERBS)


def test_the_help_fits_80_columns():
    assert [line for line in cli.parser({}).format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_fits_80_columns(name):
    text = dict(subcommands(cli.parser({})))[name].format_help()
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", VERBS)
def test_the_examples_of_a_verb_can_be_copied_whole(name):
    parser = cli.parser({})
    commands = examples(dict(subcommands(parser))[name].format_help())
    assert commands, f"the help of {name} has no line `example:`"
    for command in commands:
        words = arguments(command)
        assert words[: len(name.split())] == name.split()
        assert is_accepted(parser, words), f"not accepted: {shlex.join(command)}; was the line wrapped?"


def test_an_example_that_was_wrapped_is_found():
    wrapped = examples("example: python -m pipeline iso points.csv\n--at 16,20\n")
    with pytest.raises(pytest.fail.Exception, match="wrapped"):
        [arguments(command) for command in wrapped]


def test_an_example_may_be_continued_by_a_backslash():
    (command,) = examples("example:\n  python -m pipeline iso points.csv \\\n      --at 16,20\n")
    assert arguments(command) == ["iso", "points.csv", "--at", "16,20"]


def test_an_example_with_an_unknown_option_is_found():
    assert not is_accepted(cli.parser({}), ["iso", "points.csv", "--at", "16", "--colour"])
