"""GitHub's REST API: one request at a time, patient with its limits, and the token goes nowhere else.

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
from pipeline.edge.http import Answer, ConnectionLostError, HttpDownloads
from pipeline.errors import GitHubError

API: Final = "https://api.github.com"
TRIES: Final = 6
WRITE_GAP_S: Final = 1.0
LIMIT_WAIT_S: Final = 60.0  # GitHub's minimum when it limits without saying for how long
TIMEOUT_S: Final = 60.0
REDIRECTS: Final = frozenset({301, 302, 307, 308})
WRITTEN: Final = frozenset({200, 201, 202, 204})
NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


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
    """``token`` may be empty: then GitHub answers 60 times an hour. ``say`` is told of every long wait, ``patience_s`` bounds one."""

    http: HttpDownloads
    clock: Clock
    token: str = field(repr=False)
    api: str = API
    patience_s: float = 3700.0  # the hour after which a rate limit is reset, and a little
    cache: Cache = field(default_factory=Cache)
    say: Callable[[str], None] = lambda _line: None
    _last_write: float | None = field(default=None, init=False)

    def get(self, path: str, **query: str | int) -> Any:
        """The document at ``path``; GitHubError with status, URL and request id when there is none."""
        return self._document(self._read(self._url(path, query)), path)

    def pages(self, path: str, key: str = "", **query: str | int) -> Iterator[dict[str, Any]]:
        """Every item of every page; ``key`` names the list in a page that is a mapping."""
        url: str | None = self._url(path, {"per_page": 100, **query})
        while url:
            answer = self._read(url)
            page = self._document(answer, path)
            items = page.get(key) if isinstance(page, dict) else page
            if not isinstance(items, list):
                raise GitHubError(f"a page without a list {key!r}", where=f"GET {url}", status=answer.status)
            yield from items
            url = self._next(answer, url)

    def write(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Send a document, if any. A POST that may or may not have been done (5xx, no answer) is not repeated: look, then write again."""
        request = _Request(
            method, self._url(path, {}), json.dumps(document).encode() if document is not None else None
        )
        return self._document(self._send(request, taken=WRITTEN), path)

    def download(self, path: str, to: Path, *, most_bytes: int) -> None:
        """What ``path`` redirects to, into a file; the short-lived address is used at once, and gets no token."""
        for attempt in range(1, TRIES + 1):
            answer = self._send(_Request("GET", self._url(path, {})), taken=REDIRECTS)
            address = urljoin(f"{self.api}/", answer.headers.get("location", ""))
            try:
                came = self.http.download(address, to, most_bytes=most_bytes, timeout_s=TIMEOUT_S)
            except ConnectionLostError as error:
                came = Answer(0, {}, error.what.encode())
            if came.status == 200:
                return
            if attempt == TRIES or (400 <= came.status < 500 and came.status not in {403, 404, 408, 429}):
                raise _refused("GET", address.partition("?")[0], came)
            self._wait(2.0**attempt, "the blob host is not ready")
        raise AssertionError  # the last try returns or raises

    def _url(self, path: str, query: Mapping[str, str | int]) -> str:
        words = f"?{urlencode(query)}" if query else ""
        return f"{self.api.rstrip('/')}/{path.lstrip('/')}{words}"

    def _next(self, answer: Answer, url: str) -> str | None:
        found = NEXT.search(answer.headers.get("link", ""))
        following = urljoin(url, found[1]) if found else None
        if following and _origin(following) != _origin(self.api):
            raise GitHubError(
                "the next page is on another host, which is not given the token", where=f"GET {url}"
            )
        return following

    def _read(self, url: str) -> Answer:
        """GET; what is unchanged since last time costs no rate (304)."""
        known = self.cache.get(url)
        request = _Request("GET", url, etag=known.headers["etag"] if known else "")
        answer = self._send(request, taken=REDIRECTS | {200, 304})
        if answer.status == 304 and known:
            return known
        if answer.status in REDIRECTS:  # a renamed repository
            target = urljoin(url, answer.headers.get("location", ""))
            if _origin(target) != _origin(self.api):
                raise GitHubError(
                    "redirected to another host, which is not given the token",
                    where=f"GET {url}",
                    status=answer.status,
                )
            answer = self._send(_Request("GET", target), taken=frozenset({200}))
        self.cache.put(url, answer)
        return answer

    def _send(self, request: _Request, *, taken: frozenset[int]) -> Answer:
        """The answer to the first try that was taken, after as many as it needs."""
        for attempt in range(1, TRIES + 1):
            if request.is_write:
                self._keep_gap()
            answer = self._once(request)
            if answer.status in taken:
                return answer
            refusal = _refused(request.method, request.url, answer)
            limited = _limited_for(answer, self.clock.now().timestamp(), attempt)
            is_broken = answer.status == 0 or answer.status >= 500
            if attempt == TRIES or (limited is None and not (is_broken and request.is_safe_to_repeat)):
                raise refusal
            if limited is None:
                self._wait(2.0 ** (attempt - 1), f"GitHub answers {answer.status or 'nothing'}")
            else:
                self._wait(limited, "GitHub's rate limit", refusal=refusal)
        raise AssertionError  # the last try returns or raises

    def _once(self, request: _Request) -> Answer:
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
            return Answer(0, {}, error.what.encode())

    def _keep_gap(self) -> None:
        """At least a second between two writes."""
        now = self.clock.monotonic()
        if self._last_write is not None and now - self._last_write < WRITE_GAP_S:
            self.clock.sleep(WRITE_GAP_S - (now - self._last_write))
        self._last_write = self.clock.monotonic()

    def _wait(self, seconds: float, why: str, *, refusal: GitHubError | None = None) -> None:
        if seconds > self.patience_s and refusal:
            refusal.hint = f"{refusal.hint}; the limit ends in {seconds / 60:.0f} min: run the same command then, it continues"
            raise refusal
        if seconds >= 5:
            self.say(f"waiting {seconds:.0f} s: {why}")
        self.clock.sleep(seconds)

    @staticmethod
    def _document(answer: Answer, path: str) -> Any:
        if not answer.body:
            return None
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise GitHubError(
                f"not JSON: {error}", where=path, hint=_request_id(answer), status=answer.status
            ) from error


def _limited_for(answer: Answer, now: float, attempt: int) -> float | None:
    """Seconds to wait for a limit to end, or None when it is none: retry-after, else the reset, else a minute and more each time."""
    if answer.status not in {403, 429}:
        return None
    headers = answer.headers
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(1.0, float(headers["x-ratelimit-reset"]) - now + 1)
    if answer.status == 429 or b"rate limit" in answer.body.lower():
        return LIMIT_WAIT_S * 2.0 ** (attempt - 1)
    return None


def _refused(method: str, url: str, answer: Answer) -> GitHubError:
    advice = {
        0: "is there a network, and is GITHUB_API_URL right?",
        401: "the token is not valid; set GITHUB_TOKEN",
        403: "the token may not do this; see the permissions of the job",
        404: "wrong name, or the token may not see it",
        410: "expired: GitHub no longer has it",
    }.get(answer.status, "")
    what = f"{answer.status} {_message(answer)}" if answer.status else _message(answer)
    request_id = _request_id(answer) if answer.status else ""
    return GitHubError(
        what,
        where=f"{method} {url}",
        hint="; ".join(filter(None, (request_id, advice))),
        status=answer.status,
    )


def _request_id(answer: Answer) -> str:
    return f"request id {answer.headers.get('x-github-request-id', 'unknown')}"


def _message(answer: Answer) -> str:
    try:
        found = json.loads(answer.body)
        message = found.get("message", "") if isinstance(found, dict) else ""
    except (ValueError, RecursionError):
        message = answer.body[:200].decode("utf-8", errors="replace")
    return " ".join(str(message).split())[:300] or "without a word"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
