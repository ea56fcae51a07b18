"""Text of unknown authors in one line of limited length, without control characters or commands to a runner."""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 300  # characters of one value in a message
LONG: Final = 2000  # characters of a whole message
ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # of colours and positions
    r"|\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?|\x1b[@-Z\\^_]?"
)
CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")
INVISIBLE: Final = re.compile(r"[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
RUNNER_COMMAND: Final = re.compile(r"##(?=\[)|\A(\s*):(?=:)")
ELLIPSIS: Final = "…"


def one_line(text: str, most: int = MOST) -> str:
    r"""Return a text in one line of at most ``most`` characters, safe for headlines, logs and pages.

    What a terminal or the runner of GitHub Actions would obey is broken; bytes that are no text are written out.

    >>> one_line("\x1b[31mred\x1b[0m\n::error::a ##[add-mask]b")
    'red ::error::a ## [add-mask]b'
    >>> one_line("::error::a"), one_line("a\udcffb"), one_line("abcdef", 4)
    (': :error::a', 'a\\udcffb', 'abc…')
    """
    clean = CONTROLS.sub(" ", ESCAPES.sub("", text[: 8 * most + 64]))
    return safe_line(" ".join(clean.split()), most)


def lines(text: str, *, most: int = LONG, count: int = 2_500) -> str:
    r"""Return a text of several lines, each safe as ``one_line`` gives it but with its blanks; at most ``count``.

    >>> lines("a  b\r\n  ::error::x\x07\n\n", most=12)
    'a  b\n  : :error:…\n\n'
    """
    found = text.split("\n", count)
    kept = [safe_line(line.rstrip("\r"), most) for line in found[:count]]
    return "\n".join([*kept, "… more lines"] if len(found) > count else kept)


def safe_line(line: str, most: int = LONG) -> str:
    """Return a text in one line with its blanks, without control characters and commands, cut to a length."""
    line = INVISIBLE.sub("", CONTROLS.sub(" ", ESCAPES.sub("", line[: 8 * most + 64])))
    line = RUNNER_COMMAND.sub(_broken, line.encode("utf-8", "backslashreplace").decode("utf-8"))
    return line if len(line) <= most else line[: most - 1].rstrip() + ELLIPSIS


def _broken(found: re.Match[str]) -> str:
    return "## " if found[0].startswith("##") else f"{found[1]}: "
