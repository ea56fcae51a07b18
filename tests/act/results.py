"""GitHub's results service on loopback, as far as the artifact client speaks to it: Twirp calls, block blobs, and the REST list of a run.

It answers like the real one where clients can tell: names are unique per attempt, an artifact exists once its hash has been checked,
blocks may arrive in any order, a torn upload is nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

SERVICE = "/twirp/github.actions.results.api.v1.ArtifactService/"
CREATED = "2026-11-25T01:00:00Z"
Answer = tuple[int, Any]


@dataclass(slots=True)
class Artifact:
    """A name in an attempt of a run, and its bytes once they are whole."""

    id: int
    run: str
    attempt: int
    name: str
    blocks: dict[str, bytes] = field(default_factory=dict)
    content: bytes = b""
    is_final: bool = False

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


@dataclass(slots=True)
class Results:
    """What is stored; ``attempt`` is that of the run in progress, ``refuse`` gives an error for the name of an artifact."""

    url: str = ""
    attempt: int = 1
    artifacts: list[Artifact] = field(default_factory=list)
    refuse: Callable[[str], bool] = lambda _name: False
    lock: Lock = field(default_factory=Lock)
    made: int = 1000

    def of_run(self, run: str) -> list[Artifact]:
        """Finished artifacts of all attempts of a run."""
        return [one for one in self.artifacts if one.run == run and one.is_final]

    def call(self, method: str, asked: dict[str, Any]) -> Answer:
        with self.lock:
            return {
                "CreateArtifact": self._create,
                "FinalizeArtifact": self._finalize,
                "ListArtifacts": self._list,
                "GetSignedArtifactURL": self._sign,
                "DeleteArtifact": self._delete,
            }[method](asked)

    def _create(self, asked: dict[str, Any]) -> Answer:
        run, name = asked["workflow_run_backend_id"], asked["name"]
        if self.refuse(name):
            return 403, {"code": "permission_denied", "msg": "refused by the test"}
        if any((one.run, one.attempt, one.name) == (run, self.attempt, name) for one in self.artifacts):
            return 409, {
                "code": "already_exists",
                "msg": f"an artifact with this name already exists on the workflow run: {name}",
            }
        self.made += 1  # numbers grow, and none is given twice: of one name the client takes the highest
        made = Artifact(self.made, run, self.attempt, name)
        self.artifacts.append(made)
        return 200, {"ok": True, "signed_upload_url": self._blob(made)}

    def _finalize(self, asked: dict[str, Any]) -> Answer:
        found = self._newest(asked, is_final=False)
        if found is None:
            return 404, {"code": "not_found", "msg": "no such upload"}
        stated = (asked.get("hash") or found.digest, int(asked.get("size", 0)))
        if stated != (found.digest, len(found.content)):
            return 400, {"code": "invalid_argument", "msg": "hash or size is not that of the blob"}
        found.is_final = True
        return 200, {"ok": True, "artifact_id": str(found.id)}

    def _list(self, asked: dict[str, Any]) -> Answer:
        name, number = asked.get("name_filter"), asked.get("id_filter")
        found = [
            {
                "workflow_run_backend_id": one.run,
                "workflow_job_run_backend_id": one.run,
                "database_id": str(one.id),
                "name": one.name,
                "size": str(len(one.content)),
                "created_at": CREATED,
                "digest": one.digest,
            }
            for one in self.of_run(asked["workflow_run_backend_id"])
            if name in (None, one.name) and number in (None, str(one.id))
        ]
        return 200, {"artifacts": found}

    def _sign(self, asked: dict[str, Any]) -> Answer:
        found = self._newest(asked, is_final=True)
        return (
            (200, {"signed_url": self._blob(found)})
            if found
            else (404, {"code": "not_found", "msg": "no such artifact"})
        )

    def _delete(self, asked: dict[str, Any]) -> Answer:
        found = self._newest(asked, is_final=True)
        if found is None:
            return 404, {"code": "not_found", "msg": "no such artifact"}
        self.artifacts.remove(found)
        return 200, {"ok": True, "artifact_id": str(found.id)}

    def _newest(self, asked: dict[str, Any], *, is_final: bool) -> Artifact | None:
        wanted = (asked["workflow_run_backend_id"], asked["name"], is_final)
        return next(
            (one for one in reversed(self.artifacts) if (one.run, one.name, one.is_final) == wanted), None
        )

    def _blob(self, artifact: Artifact) -> str:
        return f"{self.url}/blob/{artifact.id}?sig=abc%3D"

    def blob(self, number: int) -> Artifact | None:
        return next((one for one in self.artifacts if one.id == number), None)

    def put(self, number: int, query: dict[str, list[str]], body: bytes) -> int:
        """A block, the list of blocks, or a whole blob."""
        artifact = self.blob(number)
        if artifact is None or artifact.is_final:
            return 404
        kind = query.get("comp", [""])[0]
        if kind == "block":
            artifact.blocks[query["blockid"][0]] = body
        elif kind == "blocklist":
            wanted = re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)</", body.decode())
            if missing := [one for one in wanted if one not in artifact.blocks]:
                raise KeyError(missing)
            artifact.content = b"".join(artifact.blocks[one] for one in wanted)
        else:
            artifact.content = body
        return 201

    def rest(self, run: str, query: dict[str, list[str]]) -> dict[str, Any]:
        """A page of GitHub's list of a run's artifacts."""
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        found = [one for one in self.of_run(run) if query.get("name", [one.name])[0] == one.name]
        rows = [
            {
                "id": one.id,
                "node_id": f"A{one.id}",
                "name": one.name,
                "size_in_bytes": len(one.content),
                "digest": one.digest,
                "url": f"{self.url}/artifacts/{one.id}",
                "archive_download_url": f"{self.url}/artifacts/{one.id}/zip",
                "expired": False,
                "created_at": CREATED,
                "updated_at": CREATED,
                "expires_at": "2027-02-25T01:00:00Z",
            }
            for one in found
        ]
        return {"total_count": len(rows), "artifacts": rows[(page - 1) * size : page * size]}

    def zip_address(self, number: int) -> str | None:
        found = self.blob(number)
        return self._blob(found) if found and found.is_final else None


Outside = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def serve(outside: Outside) -> Iterator[Results]:
    """The service on a free loopback port; ``outside`` answers every other request, as GitHub's REST API would."""
    results = Results()

    class Handler(_Handler):
        service, beyond = results, staticmethod(outside)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    results.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield results
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Results
    beyond: Outside

    def log_message(self, format: str, *words: Any) -> None:  # noqa: A002  # the name is http.server's
        """Nothing: failures show in the client."""

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        body, query = self._body(), parse_qs(url.query)
        if url.path.startswith(SERVICE):
            if not self.headers.get("Authorization", "").startswith("Bearer "):
                return self._json(401, {"code": "unauthenticated", "msg": "no token"})
            return self._json(*self.service.call(url.path.removeprefix(SERVICE), json.loads(body)))
        if blob := re.fullmatch(r"/blob/(\d+)", url.path):
            return self._blob(int(blob[1]), query, body)
        if run := re.fullmatch(r"/repos/[^/]+/[^/]+/actions/runs/(\d+)/artifacts", url.path):
            return self._json(200, self.service.rest(run[1], query))
        if packed := re.fullmatch(r"/repos/[^/]+/[^/]+/actions/artifacts/(\d+)/zip", url.path):
            address = self.service.zip_address(int(packed[1]))
            return (
                self._send(302, {"Location": address}, b"")
                if address
                else self._json(404, {"message": "Not Found"})
            )
        status, headers, content = self.beyond(self.command, self.path, dict(self.headers), body)
        return self._send(status, headers, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  # the names are http.server's

    def _blob(self, number: int, query: dict[str, list[str]], body: bytes) -> None:
        if self.command == "PUT":
            with self.service.lock:
                status = self.service.put(number, query, body)
            return self._send(
                status,
                {
                    "ETag": '"1"',
                    "x-ms-request-id": "1",
                    "x-ms-version": "2024-11-04",
                    "Last-Modified": self.date_time_string(),
                },
                b"",
            )
        found = self.service.blob(number)
        content = found.content if found and found.is_final else None
        return (
            self._send(200, {"Content-Type": "application/zip"}, content)
            if content is not None
            else self._send(404, {}, b"")
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, status: int, document: Any) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _send(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
