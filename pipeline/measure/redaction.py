"""Removal of secrets from what is stored: texts, environment variables and command lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

SENSITIVE = (
    r"(?:(?<!PER[_-])(?<!\bNO-)TOKEN(?!I[SZ]|S[A-Z])S?|SECRET|PASSW|PASS[_-]?PHRASE|(?<![A-Z])(?:PASS|PWD)(?![A-Z_-])"
    r"|(?<![A-Z])(?:PW|CREDS?)(?![A-Z])|CREDENTIAL|AUTH(?!OR(?!I[SZ]))|BEARER|HEADERS|COOKIE|SIGNATURE"
    r"|(?:API|ACCESS|PRIVATE)[_-]?KEY|(?<![A-Z])N?KEYS?(?![A-Z]))"
)  # not: bytes PER_TOKEN, a TOKENIZER, the reason NO-TOKENS, the host of an AUTHORITY
SECRET = re.compile(SENSITIVE, re.IGNORECASE)
TOKENS = {"TOKEN", "TOKENS"}
COUNT = re.compile(
    r"\d{1,9}(?:\.\d+)?[KMG]?|auto|none|null|true|false", re.IGNORECASE
)  # of tokens, which is not a secret
REDACTED = "(redacted)"
LONGEST_LINE = 1 << 20  # bytes of a line that is searched as one
PIECE = 2_000  # characters that are searched at once
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
USER_OPTIONS = ("-u", "--user", "--proxy-user")
USER = r"(?!\d+:\d+\b)[^\s:]+:\S+"  # user and password; not a user and a group in numbers
# In quotes, escaped or never closed; in brackets; or bare, between a header's name and the rest of a list.
GIVEN = (
    r"(?P<quote>\\*[\"'])(?:(?s:.*?)(?<!\\)(?P=quote)|.*)|\[[^\]]*\]?|\{[^}]*\}?"
    r"|(?:[\w-]+[=:]\s+)*(?:(?:bearer|basic|token)\s+)?[^\s,;&}\"'][^\s,;&}]*(?:,\s*[^\s,;&}=:]+(?![^\s,;&}]|\s*[=:]))*"
)
NAMED = re.compile(  # a field or an option; possessive, since logs have long words
    rf"(?<![\w-])(?=[\w-]*?{SENSITIVE})([\w-]++\\*[\"']?\s*[=:]\s*|(?=-)[\w-]++(?:[\"'],)?\s+(?![\"']?--))({GIVEN})",
    re.IGNORECASE,
)
# Users, queries and signatures in addresses, the value of an Authorization header, and known forms of tokens.
IN_VALUES = (
    (re.compile(r"//(?:[^\s/@\"']*:[^\s\"']*|[^\s/]+)@(?!sha\d+:)"), f"//{REDACTED}@"),
    (re.compile(r"(?<![\w/.:+-])[\w.+-]++:(?!//)[^\s\"',;]+@(?!sha\d+:)"), f"{REDACTED}@"),
    (re.compile(r"(://[^\s?]*\?)\S+"), rf"\1{REDACTED}"),
    (re.compile(rf"(?<!\S)({'|'.join(USER_OPTIONS)})([\s=]+){USER}"), rf"\1\2{REDACTED}"),
    (
        re.compile(r"\b(bearer|basic|token(?=\s+(?:\S{16}|(?=\S*\d)\S*[a-z])))\s+[^\s-]\S*", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (
        re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|nvapi-|sk-|glpat-|AKIA|AIza|xox[a-z]-)[\w-]{16,}"),
        REDACTED,
    ),
    (re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]*"), REDACTED),
)


def command(argv: Sequence[str]) -> tuple[str, ...]:
    """Return an argument list of the same length without secrets.

    Redacted are secrets in arguments, and the argument after an option whose name suggests one.
    """
    return tuple(_argument(before, one) for before, one in zip(("", *argv), argv, strict=False))


def redacted(name: str, text: str) -> str:
    """Return the value of a variable or option without secrets."""
    return REDACTED if _is_secret(name, text) else without_secrets(text)


def without_secrets(text: str) -> str:
    """Return a text without secrets, in time that grows linearly: a longer text is read in pieces.

    In JSON, values below a name that suggests a secret are redacted; in other texts, what looks like one.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
            shown = _redact_json(found)
        except (ValueError, RecursionError):
            pass
        else:
            return text if shown == found else json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    text = PRIVATE_KEY.sub(REDACTED, text)
    return "".join(map(_piece_without_secrets, _pieces(text)))


def log_without_secrets(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a log without secrets."""
    held = b""
    for piece in pieces:
        held += piece
        end = held.rfind(b"\n") + 1 or (len(held) if len(held) > LONGEST_LINE else 0)
        if end:
            yield _bytes_without_secrets(held[:end])
            held = held[end:]
    yield _bytes_without_secrets(held)


def _bytes_without_secrets(text: bytes) -> bytes:
    return without_secrets(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _piece_without_secrets(text: str) -> str:
    for secret, instead in IN_VALUES:
        text = secret.sub(instead, text)
    return NAMED.sub(_named, text)


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of at most ``PIECE`` characters, which end with a line or a word where there is one."""
    at = 0
    while len(text) - at > PIECE:
        end = max(text.rfind("\n", at, at + PIECE), text.rfind(" ", at + PIECE // 2, at + PIECE)) + 1
        end = end or at + PIECE
        yield text[at:end]
        at = end
    yield text[at:]


def _argument(before: str, argument: str) -> str:
    """Redact an argument: the value of the option before it, a name with its value, or any other word."""
    if (
        before.startswith("-")
        and "=" not in before
        and not argument.startswith("--")
        and _is_secret(before, argument)
    ):
        return REDACTED
    name, is_given, given = argument.partition("=")
    return (
        f"{name}={redacted(name, given)}"
        if is_given and re.fullmatch(r"[\w.-]+", name)
        else without_secrets(argument)
    )


def _is_secret(name: str, value: str) -> bool:
    """Decide by the name, unless it only mentions tokens and the value is a count.

    The value of a user option is a secret where it has a password.
    """
    if name in USER_OPTIONS:
        return re.fullmatch(USER, value) is not None
    words = {word.upper() for word in SECRET.findall(name)}
    return bool(words) and not (words <= TOKENS and COUNT.fullmatch(value))


def _named(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    return f"{name}{REDACTED}" if _is_secret(name, value.partition(",")[0]) else match[0]


def _redact_json(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            without_secrets(key): REDACTED if _is_secret(key, str(value)) else _redact_json(value)
            for key, value in found.items()
        }
    if isinstance(found, list):
        return (
            [*command(found)]
            if all(isinstance(value, str) for value in found)
            else [_redact_json(value) for value in found]
        )
    return without_secrets(found) if isinstance(found, str) else found
