"""Small random changes of texts, JSON values and bytes: what people and hostile files get wrong."""

from __future__ import annotations

import json
import random
import re
from typing import Any

SCALARS: tuple[Any, ...] = (
    *(0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.5, 1e308, 5e-324, 1e-300, True, False, None),
    *("", " ", "x", "null", "NaN", "inf", "-inf", "2_0", "٣", "1e400", "0x10", "9" * 400, "a" * 20_000),
    *("\x1b[31mred", "::error::a", "##[add-mask]a", "a\nb", "a\u2028b", "\x00", "\udcff", "é", "\u202e"),
    *(
        "<script>",
        "| a |",
        "<!-- -->",
        "[a](javascript:b)",
        "@everyone",
        "${{ a }}",
        "../../etc",
        "/dev/zero",
    ),
    *("2026-13-45", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "a/b", "a" * 300),
)
FRAGMENTS = (
    *("\t", "- ", "? ", ": ", "!!python/object:os.system a", "&a [*a]", "*a", "<<: *a", "{", "}", "[" * 600),
    *('"', "'", "#", "|", ">", "%YAML 2.0\n---\n", "---\n", "...\n", "\ufeff", "\r", ",", ";", "--", "/*"),
)
WORD = re.compile(r"[^\s,:{}\[\]\"']+")


def scalar(chance: random.Random) -> Any:
    """Return an odd value."""
    return chance.choice(SCALARS)


def text(chance: random.Random, whole: str) -> str:
    """Return a text with one to three small changes."""
    for _ in range(chance.randint(1, 3)):
        whole = chance.choice((_word, _word, _line, _fragment, _cut))(chance, whole)
    return whole


def _word(chance: random.Random, whole: str) -> str:
    """Replace a word by an odd value, or by another word of the text."""
    words = list(WORD.finditer(whole))
    if not words:
        return whole
    at, new = chance.choice(words), str(scalar(chance))
    if chance.random() < 0.3:
        new = chance.choice(words)[0]
    return whole[: at.start()] + new + whole[at.end() :]


def _line(chance: random.Random, whole: str) -> str:
    """Remove, repeat, move or indent a line."""
    lines = whole.split("\n")
    one = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randint(0, len(lines)), " " * chance.choice((0, 0, 2, 3)) + one)
    return "\n".join(lines)


def _fragment(chance: random.Random, whole: str) -> str:
    at = chance.randint(0, len(whole))
    return whole[:at] + chance.choice(FRAGMENTS) + whole[at:]


def _cut(chance: random.Random, whole: str) -> str:
    start, end = sorted((chance.randint(0, len(whole)), chance.randint(0, len(whole))))
    return whole[:start] + whole[end:] if end - start < 200 else whole


def value(chance: random.Random, whole: Any) -> Any:
    """Return a copy of a JSON value with one to three places removed, replaced, repeated or wrapped."""
    copy = json.loads(json.dumps(whole))
    for _ in range(chance.randint(1, 3)):
        _change(chance, copy)
    return copy


def _change(chance: random.Random, whole: Any) -> None:
    place = whole
    while isinstance(place, dict | list) and place:
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
            place = inner
            continue
        kind = chance.random()
        if kind < 0.15:
            del place[key]
        elif kind < 0.25:
            place[key] = [inner, inner]
        elif kind < 0.35 and isinstance(inner, int | float) and abs(inner) < 1e200:
            place[key] = inner * chance.choice((-1, 0, 1000, 0.001, 1e30))
        elif kind < 0.4 and isinstance(place, dict):
            place[str(scalar(chance))] = inner
        else:
            place[key] = scalar(chance)
        return


def content(chance: random.Random, whole: bytes) -> bytes:
    """Return bytes of which some are changed, removed or repeated."""
    changed = bytearray(whole)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            del changed[at : at + chance.randint(1, 40)]
        elif kind == 2:
            changed[at:at] = changed[at : at + chance.randint(1, 40)]
        else:
            changed[at : at + 4] = chance.randbytes(4)
        changed = changed or bytearray(b"\0")
    return bytes(changed)
