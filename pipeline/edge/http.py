"""Other machines: the only door to ``requests``. One call is one request; who retries, and when, is the caller's rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests

from pipeline.errors import ArtifactError, FileError, PipelineError

CHUNK = 1 << 20
MOST_OF_AN_ERROR = 64 << 10


class ConnectionLostError(PipelineError):
    """There was no answer, or it broke off."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """What a room needs of the network."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """One request, redirects not followed; ConnectionLostError when there was no answer."""
        ...


class HttpDownloads(Http, Protocol):
    """A network that can also bring what is too large for memory."""

    def download(self, url: str, to: Path, *, most_bytes: int, timeout_s: float) -> Answer:
        """GET without any header of ours; a body of status 200 goes to the file ``to``, never more than ``most_bytes`` of it.

        ArtifactError when there is more; ConnectionLostError when there was no answer, or less than was announced.
        """
        ...


class HttpFactory(Protocol):
    """Makes a client when one is needed; ``through_proxy=False`` is for servers on this machine."""

    def __call__(self, *, through_proxy: bool = True) -> HttpDownloads:
        """Return a new client."""
        ...


class SystemHttp:
    """The machine's own network; ``through_proxy`` as its environment says, or not, for what runs on this machine itself."""

    def __init__(self, *, through_proxy: bool = True) -> None:
        self._session = requests.Session()
        self._session.trust_env = through_proxy

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """One request, redirects not followed; ConnectionLostError when there was no answer."""
        try:
            found = self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=timeout_s,
                allow_redirects=False,
                auth=_as_it_is,
            )
        except requests.RequestException as error:
            reason = getattr(error.args[0] if error.args else None, "reason", error)
            raise ConnectionLostError(f"no answer: {reason}", where=f"{method} {url}") from error
        return Answer(found.status_code, _lower(found.headers), found.content)

    def download(self, url: str, to: Path, *, most_bytes: int, timeout_s: float) -> Answer:
        """GET without any header of ours; a body of status 200 goes to the file ``to``, never more than ``most_bytes`` of it."""
        where = f"GET {url.partition('?')[0]}"  # what follows is a signature
        try:
            with self._session.get(
                url, stream=True, timeout=timeout_s, allow_redirects=False, auth=_as_it_is
            ) as found:
                if found.status_code != requests.codes.ok:
                    return Answer(
                        found.status_code,
                        _lower(found.headers),
                        next(found.iter_content(MOST_OF_AN_ERROR), b""),
                    )
                _save(found, to, most_bytes=most_bytes, where=where)
                return Answer(found.status_code, _lower(found.headers), b"")
        except requests.RequestException as error:
            raise ConnectionLostError(
                f"it broke off, or there was none: {type(error).__name__}", where=where
            ) from error


def _save(found: requests.Response, to: Path, *, most_bytes: int, where: str) -> None:
    announced = int(found.headers.get("content-length") or -1)
    if announced > most_bytes:
        raise ArtifactError(f"{announced} bytes, more than the {most_bytes} that are taken", where=where)
    size = 0
    try:
        with to.open("wb") as file:
            for chunk in found.iter_content(CHUNK):
                size += len(chunk)
                if size > most_bytes:
                    raise ArtifactError(f"more than the {most_bytes} bytes that are taken", where=where)
                file.write(chunk)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise FileError.from_os_error(error, "write", to) from error


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No other credentials than those in our own headers: without this, requests puts a .netrc's in their place."""
    return request


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
