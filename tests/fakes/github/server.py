"""The two servers: the API, with tokens, pages, ETags, request ids and faults; and the host of the zips."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fakes.github.routes import answer
from tests.fakes.github.state import Fault, GitHubState, Seen, Stored


@contextlib.contextmanager
def serve(state: GitHubState | None = None) -> Iterator[GitHubState]:
    """Both servers on loopback, until the ``with`` is left."""
    state = state or GitHubState()
    api, blobs = _Server(_Api, state), _Server(_Blobs, state)
    state.url, state.blobs = api.url, blobs.url
    with api, blobs:
        yield state


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], state: GitHubState) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.state = state
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def seen(self) -> Seen:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Seen(
            self.command, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(raw) if raw else None
        )

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Api(_Handler):
    def handle_any(self) -> None:
        state, seen = self.server.state, self.seen()
        with state.lock:
            state.requests.append(seen)
            fault = _fault(state, seen)
            number = len(state.requests)
        headers = {"X-GitHub-Request-Id": f"TEST:{number}", "Content-Type": "application/json; charset=utf-8"}
        if fault and not fault.done:
            self.reply(fault.status, fault.body.encode(), {**headers, **fault.headers})
            return
        if seen.headers.get("authorization") != f"Bearer {state.token}":
            self.reply(401, b'{"message": "Bad credentials", "status": "401"}', headers)
            return
        status, document = answer(state, seen)
        if fault:
            self.reply(fault.status, fault.body.encode(), {**headers, **fault.headers})
        elif status == 302:
            self.reply(
                302, b"", {"X-GitHub-Request-Id": headers["X-GitHub-Request-Id"], "Location": document}
            )
        else:
            self.reply_document(status, document, headers, seen)

    do_GET = do_POST = do_PATCH = handle_any  # noqa: N815  # the names that http.server calls

    def reply_document(self, status: int, document: Any, headers: dict[str, str], seen: Seen) -> None:
        if status == 200 and seen.method == "GET":
            document, link = _page(self.server.state, document, seen)
            headers |= {"Link": link} if link else {}
        body = b"" if document is None else json.dumps(document).encode()
        if status == 200 and seen.method == "GET":
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
            if seen.headers.get("if-none-match") == headers["ETag"]:
                self.reply(
                    304, b"", {"ETag": headers["ETag"], "X-GitHub-Request-Id": headers["X-GitHub-Request-Id"]}
                )
                return
        self.reply(status, body, headers)


class _Blobs(_Handler):
    def do_GET(self) -> None:
        state, seen = self.server.state, self.seen()
        state.blob_requests.append(seen)
        found = state.artifacts.get(int(Path(seen.path).stem))
        if found is None or "authorization" in seen.headers or "sig" not in seen.query:
            self.reply(
                400, b"<Error>InvalidAuthenticationInfo</Error>", {}
            )  # as Azure answers a token that is not its own
        elif found.blob_status != 200:
            status, found.blob_status = found.blob_status, 200
            self.reply(status, b"<Error>AuthenticationFailed</Error>", {})
        else:
            self.send_zip(found)

    def send_zip(self, found: Stored) -> None:
        size = found.row["size_in_bytes"]
        if found.held:
            found.held.wait(600)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", "application/zip")
        self.end_headers()
        if found.torn:
            found.torn = False
            content = found.content if isinstance(found.content, bytes) else found.content.read_bytes()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.close_connection = True
        elif isinstance(found.content, bytes):
            self.wfile.write(found.content)
        else:
            with found.content.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)


def _fault(state: GitHubState, seen: Seen) -> Fault | None:
    for fault in state.faults:
        if fault.times > 0 and fault.method == seen.method and re.search(fault.path, seen.path):
            fault.times -= 1
            return fault
    return None


def _page(state: GitHubState, document: Any, seen: Seen) -> tuple[Any, str]:
    """One page of a list, and the Link to the next; GitHub gives 30 a page and never more than 100."""
    key = next(
        (
            key
            for key in ("artifacts", "check_runs", "workflow_runs")
            if isinstance(document, dict) and set(document) == {key}
        ),
        None,
    )
    rows = document[key] if key else document
    if not isinstance(rows, list):
        return document, ""
    size, page = min(100, int(seen.query.get("per_page", 30))), int(seen.query.get("page", 1))
    shown = rows[(page - 1) * size : page * size]
    last = max(1, -(-len(rows) // size))
    names = {"next": page + 1, "last": last} if page < last else {}
    link = ", ".join(
        f'<{state.url}{seen.path}?{urlencode({**seen.query, "page": at})}>; rel="{name}"'
        for name, at in names.items()
    )
    return ({"total_count": len(rows), key: shown} if key else shown), link
