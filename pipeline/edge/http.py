"""Other machines: the only door to ``requests``. One call is one request; who retries, and when, is the caller's rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import requests

from pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """What a room needs of the network."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, timeout_s: float
    ) -> Answer:
        """One request, redirects not followed; PipelineError when there was no answer."""
        ...


class SystemHttp:
    """The machine's own network."""

    def __init__(self) -> None:
        self._session = requests.Session()

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, timeout_s: float
    ) -> Answer:
        """One request, redirects not followed; PipelineError when there was no answer."""
        try:
            found = self._session.request(method, url, headers=headers, data=body, timeout=timeout_s, allow_redirects=False)
        except requests.RequestException as error:
            raise PipelineError(f"no answer: {error}", where=f"{method} {url}") from error
        return Answer(found.status_code, {name.lower(): value for name, value in found.headers.items()}, found.content)
