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
    text = text[: 8 * most + 64]
    text = INVISIBLE.sub("", CONTROLS.sub(" ", ESCAPES.sub("", text)))
    text = " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())
    text = RUNNER_COMMAND.sub(_broken, text)
    return text if len(text) <= most else text[: most - 1].rstrip() + ELLIPSIS


def lines(text: str, *, most: int = LONG, count: int = 200) -> str:
    """Return a text of several lines, each as ``one_line`` gives it, and at most ``count`` of them."""
    found = text.splitlines()
    kept = [one_line(line, most) for line in found[:count]]
    return "\n".join([*kept, f"… {len(found) - count} more lines"] if len(found) > count else kept)


def _broken(found: re.Match[str]) -> str:
    return "## " if found[0].startswith("##") else f"{found[1]}: "
