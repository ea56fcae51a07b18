"""GitHub's REST API: one request at a time, within the rate limits; the token is sent to the API host only.

Rules: docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from pipeline import __version__
from pipeline.edge.clock import Clock
from pipeline.edge.github_cache import Cache
from pipeline.edge.http import ConnectionLostError, HttpDownloads, Response
from pipeline.errors import GitHubError

API: Final = "https://api.github.com"
MAX_ATTEMPTS: Final = 6
WRITE_INTERVAL_S: Final = 1.0
LIMIT_WAIT_S: Final = 60.0  # GitHub's minimum when a rate limit has no time
TIMEOUT_S: Final = 60.0
REDIRECT_STATUSES: Final = frozenset({301, 302, 307, 308})
WRITE_STATUSES: Final = frozenset({200, 201, 202, 204})
NEXT_LINK = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    body: bytes | None = None
    etag: str = ""

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def is_safe_to_repeat(self) -> bool:
        return self.method != "POST"


@dataclass(slots=True)
class GitHub:
    """A client of the API; without a ``token`` GitHub allows 60 requests an hour.

    Waits of 5 s and more are logged; a rate limit that ends later than ``max_wait_s`` is an error.
    """

    http: HttpDownloads
    clock: Clock
    token: str = field(repr=False)
    api: str = API
    max_wait_s: float = 3700.0  # a rate limit is reset after an hour
    cache: Cache = field(default_factory=Cache)
    log: Callable[[str], None] = lambda _line: None
    _last_write: float | None = field(default=None, init=False)

    def get(self, path: str, **query: str | int) -> Any:
        """Return the document at ``path``; raise GitHubError with status, URL and request id when there is none."""
        return self._document(self._read(self._url(path, query)), path)

    def pages(self, path: str, key: str = "", **query: str | int) -> Iterator[dict[str, Any]]:
        """Yield every item of every page; ``key`` names the list in a page that is a mapping."""
        url: str | None = self._url(path, {"per_page": 100, **query})
        while url:
            response = self._read(url)
            page = self._document(response, path)
            items = page.get(key) if isinstance(page, dict) else page
            if not isinstance(items, list):
                raise GitHubError(f"the page has no list {key!r}", where=f"GET {url}", status=response.status)
            yield from items
            url = self._next(response, url)

    def write(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Send a document, if any, and return the response. A POST that may have succeeded (5xx, no response) is not repeated."""
        request = _Request(
            method, self._url(path, {}), json.dumps(document).encode() if document is not None else None
        )
        return self._document(self._send(request, accepted=WRITE_STATUSES), path)

    def download(self, path: str, to: Path, *, max_bytes: int) -> None:
        """Download what ``path`` redirects to into a file; that host does not get the token."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            response = self._send(_Request("GET", self._url(path, {})), accepted=REDIRECT_STATUSES)
            address = urljoin(f"{self.api}/", response.headers.get("location", ""))
            try:
                downloaded = self.http.download(address, to, max_bytes=max_bytes, timeout_s=TIMEOUT_S)
            except ConnectionLostError as error:
                downloaded = Response(0, {}, error.what.encode())
            if downloaded.status == 200:
                return
            if attempt == MAX_ATTEMPTS or (
                400 <= downloaded.status < 500 and downloaded.status not in {403, 404, 408, 429}
            ):
                raise _error("GET", address.partition("?")[0], downloaded)
            self._wait(2.0**attempt, "the download is not ready")
        raise AssertionError  # the last attempt returns or raises

    def _url(self, path: str, query: Mapping[str, str | int]) -> str:
        arguments = f"?{urlencode(query)}" if query else ""
        return f"{self.api.rstrip('/')}/{path.lstrip('/')}{arguments}"

    def _next(self, response: Response, url: str) -> str | None:
        found = NEXT_LINK.search(response.headers.get("link", ""))
        following = urljoin(url, found[1]) if found else None
        if following and _origin(following) != _origin(self.api):
            raise GitHubError(
                "the next page is on another host, which must not get the token", where=f"GET {url}"
            )
        return following

    def _read(self, url: str) -> Response:
        """GET; a response that is unchanged since the last request (304) comes from the cache."""
        known = self.cache.get(url)
        request = _Request("GET", url, etag=known.headers["etag"] if known else "")
        response = self._send(request, accepted=REDIRECT_STATUSES | {200, 304})
        if response.status == 304 and known:
            return known
        if response.status in REDIRECT_STATUSES:  # a renamed repository
            target = urljoin(url, response.headers.get("location", ""))
            if _origin(target) != _origin(self.api):
                raise GitHubError(
                    "redirected to another host, which must not get the token",
                    where=f"GET {url}",
                    status=response.status,
                )
            response = self._send(_Request("GET", target), accepted=frozenset({200}))
        self.cache.put(url, response)
        return response

    def _send(self, request: _Request, *, accepted: frozenset[int]) -> Response:
        """The first response with an accepted status; GitHubError after ``MAX_ATTEMPTS``, or when another attempt cannot help."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if request.is_write:
                self._wait_between_writes()
            response = self._once(request)
            if response.status in accepted:
                return response
            failure = _error(request.method, request.url, response)
            limited = _limited_for(response, self.clock.now().timestamp(), attempt)
            is_broken = response.status == 0 or response.status >= 500
            if attempt == MAX_ATTEMPTS or (limited is None and not (is_broken and request.is_safe_to_repeat)):
                raise failure
            if limited is None:
                self._wait(2.0 ** (attempt - 1), f"GitHub responds with {response.status or 'nothing'}")
            else:
                self._wait(limited, "GitHub's rate limit", failure=failure)
        raise AssertionError  # the last attempt returns or raises

    def _once(self, request: _Request) -> Response:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": f"rackbench/{__version__}",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            **({"Content-Type": "application/json"} if request.body is not None else {}),
            **({"If-None-Match": request.etag} if request.etag else {}),
        }
        try:
            return self.http.request(
                request.method, request.url, headers=headers, body=request.body, timeout_s=TIMEOUT_S
            )
        except ConnectionLostError as error:
            return Response(0, {}, error.what.encode())

    def _wait_between_writes(self) -> None:
        """Wait until a second has passed since the last write."""
        now = self.clock.monotonic()
        if self._last_write is not None and now - self._last_write < WRITE_INTERVAL_S:
            self.clock.sleep(WRITE_INTERVAL_S - (now - self._last_write))
        self._last_write = self.clock.monotonic()

    def _wait(self, seconds: float, why: str, *, failure: GitHubError | None = None) -> None:
        if seconds > self.max_wait_s and failure:
            failure.hint = f"{failure.hint}; the limit ends in {seconds / 60:.0f} min: run the same command again then, it resumes"
            raise failure
        if seconds >= 5:
            self.log(f"waiting {seconds:.0f} s: {why}")
        self.clock.sleep(seconds)

    @staticmethod
    def _document(response: Response, path: str) -> Any:
        if not response.body:
            return None
        try:
            return json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise GitHubError(
                f"not JSON: {error}", where=path, hint=_request_id(response), status=response.status
            ) from error


def _limited_for(response: Response, now: float, attempt: int) -> float | None:
    """Seconds until a rate limit ends (retry-after, else the reset, else doubled from a minute), or None when there is no limit."""
    if response.status not in {403, 429}:
        return None
    headers = response.headers
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(1.0, float(headers["x-ratelimit-reset"]) - now + 1)
    if response.status == 429 or b"rate limit" in response.body.lower():
        return LIMIT_WAIT_S * 2.0 ** (attempt - 1)
    return None


def _error(method: str, url: str, response: Response) -> GitHubError:
    advice = {
        0: "check the network and GITHUB_API_URL",
        401: "the token is not valid; set GITHUB_TOKEN",
        403: "the token lacks a permission; see the permissions of the job",
        404: "wrong name, or the token has no access to it",
        410: "expired: GitHub no longer has it",
    }.get(response.status, "")
    what = f"{response.status} {_message(response)}" if response.status else _message(response)
    request_id = _request_id(response) if response.status else ""
    return GitHubError(
        what,
        where=f"{method} {url}",
        hint="; ".join(filter(None, (request_id, advice))),
        status=response.status,
    )


def _request_id(response: Response) -> str:
    return f"request id {response.headers.get('x-github-request-id', 'unknown')}"


def _message(response: Response) -> str:
    try:
        found = json.loads(response.body)
        message = found.get("message", "") if isinstance(found, dict) else ""
    except (ValueError, RecursionError):
        message = response.body[:200].decode("utf-8", errors="replace")
    return " ".join(str(message).split())[:300] or "no message"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
