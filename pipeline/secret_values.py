"""The values of secrets in the environment, and texts without them.

Whatever form a log gives to a secret, its value is the same.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import BinaryIO, Final
from urllib.parse import quote

REDACTED: Final = "(redacted)"
SHORTEST: Final = 8  # characters of a value; shorter ones are words of any text
NAMES: Final = re.compile(
    r"TOKEN(?!I[SZ])|SECRET|PASSW|PASS[_-]?PHRASE|CREDENTIAL|BEARER|COOKIE|SIGNATURE|AUTH(?!OR(?!I[SZ]))"
    r"|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|ACCOUNT)[_-]?KEY|WEBHOOK|LICEN[CS]E|PGPASS|CONNECTION[_-]?STRING"
    r"|(?<![A-Z])(?:N?KEYS?|PASS|PWD?|PW|CREDS?|JWT|PAT|SAS|DSN|OTP|PIN|SALT|AWS|AZURE|HEADERS)(?![A-Z])",
    re.IGNORECASE,
)
PUBLIC: Final = re.compile(  # no secrets, although their names have such words
    r"PWD|OLDPWD|.*_(REGION|PROFILE|SOCK|FILE|DIR|PATH|TYPE|ENABLED)|SSH_AUTH_SOCK|GITHUB_TOKEN_PERMISSIONS",
    re.IGNORECASE,
)
CHUNK: Final = 1 << 20


def of(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of all variables whose names say that they are secret, in the forms that texts have.

    As they are, in JSON, in an address and in base64; of several lines, each line.

    >>> of({"HF_TOKEN": "hf_abcdefgh", "PATH": "/usr/bin:/bin", "PWD": "/home/worker"})
    ('aGZfYWJjZGVmZ2g=', 'hf_abcdefgh')
    """
    found: set[str] = set()
    for name, value in variables.items():
        if not NAMES.search(name) or PUBLIC.fullmatch(name):
            continue
        for part in (value.strip(), *map(str.strip, value.splitlines())):
            if len(part) >= SHORTEST and part not in REDACTED:
                packed = base64.b64encode(part.encode("utf-8", "surrogateescape")).decode()
                found |= {part, json.dumps(part)[1:-1], quote(part, safe="", errors="replace"), packed}
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def without(text: str, values: tuple[str, ...]) -> str:
    """Return a text with each of these values redacted."""
    return (
        _pattern(values).sub(REDACTED.encode(), _bytes(text)).decode("utf-8", "surrogateescape")
        if values
        else text
    )


def pieces(source: BinaryIO, values: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the content of a stream with each of these values redacted, also across the ends of the pieces."""
    replace = _replacing(values)
    keep = max((len(_bytes(value)) for value in values), default=1) - 1
    held = b""
    while chunk := source.read(CHUNK):
        held = replace(held + chunk)
        ready = len(held) - keep
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    yield replace(held)


def _replacing(values: tuple[str, ...]) -> Callable[[bytes], bytes]:
    if not values:
        return lambda text: text
    pattern = _pattern(values)
    return lambda text: pattern.sub(REDACTED.encode(), text)


@lru_cache(maxsize=8)
def _pattern(values: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(re.escape(_bytes(value)) for value in values))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
