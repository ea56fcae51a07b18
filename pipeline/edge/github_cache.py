"""Responses of GitHub by URL, with their ETags: a request for an unchanged document does not count against the rate limit."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.edge import files
from pipeline.edge.http import Response
from pipeline.errors import FileError

KEPT_HEADERS = ("etag", "link")


@dataclass(slots=True)
class Cache:
    """A cache in memory, or in files below ``folder``; a file that cannot be read or written is ignored."""

    folder: Path | None = None
    _stored: dict[str, Response] = field(default_factory=dict, init=False)

    def get(self, url: str) -> Response | None:
        """Return the last response for this URL, or None."""
        if url in self._stored or self.folder is None:
            return self._stored.get(url)
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(self._file(self.folder, url).read_text(encoding="utf-8"))
            if saved["url"] == url and saved["headers"]["etag"]:
                return Response(200, saved["headers"], saved["body"].encode())
        return None

    def put(self, url: str, response: Response) -> None:
        """Store a complete response that has an ETag."""
        if response.status != 200 or "etag" not in response.headers:
            return
        kept = Response(
            200,
            {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            response.body,
        )
        if self.folder is None:
            self._stored[url] = kept
            return
        with suppress(FileError, UnicodeDecodeError):
            saved = {"url": url, "headers": dict(kept.headers), "body": kept.body.decode()}
            files.write(self._file(self.folder, url), json.dumps(saved))

    @staticmethod
    def _file(folder: Path, url: str) -> Path:
        return folder / f"{files.sha256(url.encode())[:32]}.json"
