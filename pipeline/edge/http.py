"""HTTP, the only module that uses ``requests``. One call is one request; the caller decides on retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests

from pipeline.errors import ArtifactError, FileError, PipelineError

CHUNK = 1 << 20
MAX_ERROR_BYTES = 64 << 10


class ConnectionLostError(PipelineError):
    """No response, or an incomplete one."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Response:
    """A response of any status; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """HTTP requests as the other packages use them."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
    ) -> Response:
        """Send one request and return its response, redirects included; raise ConnectionLostError when there is none."""
        ...


class HttpDownloads(Http, Protocol):
    """HTTP with downloads that are too large for memory."""

    def download(self, url: str, to: Path, *, max_bytes: int, timeout_s: float) -> Response:
        """Write the body of a GET with status 200 to the file ``to``; the request has no headers of ours, thus no token.

        Raise ArtifactError when the body is longer than ``max_bytes``, FileError when it cannot be written, ConnectionLostError when
        there is no response or an incomplete one.
        """
        ...


class HttpFactory(Protocol):
    """Makes a client when one is needed; ``through_proxy=False`` is for servers on this machine."""

    def __call__(self, *, through_proxy: bool = True) -> HttpDownloads:
        """Return a new client."""
        ...


class SystemHttp:
    """The network of this machine; ``through_proxy`` uses the proxy that the environment names."""

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
    ) -> Response:
        """Send one request and return its response, redirects included; raise ConnectionLostError when there is none."""
        try:
            response = self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=timeout_s,
                allow_redirects=False,
                auth=_keep_credentials,
            )
        except requests.RequestException as error:
            reason = getattr(error.args[0] if error.args else None, "reason", error)
            raise ConnectionLostError(f"no response: {reason}", where=f"{method} {url}") from error
        return Response(response.status_code, _lower(response.headers), response.content)

    def download(self, url: str, to: Path, *, max_bytes: int, timeout_s: float) -> Response:
        """Write the body of a GET with status 200 to the file ``to``, at most ``max_bytes``."""
        where = f"GET {url.partition('?')[0]}"  # the query is a signature
        try:
            with self._session.get(
                url, stream=True, timeout=timeout_s, allow_redirects=False, auth=_keep_credentials
            ) as response:
                if response.status_code != requests.codes.ok:
                    return Response(
                        response.status_code,
                        _lower(response.headers),
                        next(response.iter_content(MAX_ERROR_BYTES), b""),
                    )
                _save(response, to, max_bytes=max_bytes, where=where)
                return Response(response.status_code, _lower(response.headers), b"")
        except requests.RequestException as error:
            raise ConnectionLostError(
                f"no response, or an incomplete one: {type(error).__name__}", where=where
            ) from error


def _save(response: requests.Response, to: Path, *, max_bytes: int, where: str) -> None:
    announced = int(response.headers.get("content-length") or -1)
    if announced > max_bytes:
        raise ArtifactError(f"{announced} bytes, the limit is {max_bytes}", where=where)
    size = 0
    try:
        with to.open("wb") as file:
            for chunk in response.iter_content(CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise ArtifactError(f"more than the limit of {max_bytes} bytes", where=where)
                file.write(chunk)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise FileError.from_os_error(error, "write", to) from error


def _keep_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request unchanged: without an ``auth`` function, requests replaces our token with the credentials of a .netrc."""
    return request


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
