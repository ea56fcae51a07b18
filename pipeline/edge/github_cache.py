"""What GitHub said before, by URL, with its ETag: asking again costs no rate where nothing changed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.edge import files
from pipeline.edge.http import Answer
from pipeline.errors import FileError

KEPT = ("etag", "link")


@dataclass(slots=True)
class Cache:
    """In memory, and below ``folder`` where one is named. A file that cannot be read or written is as good as none."""

    folder: Path | None = None
    _known: dict[str, Answer] = field(default_factory=dict, init=False)

    def get(self, url: str) -> Answer | None:
        """The answer that this URL had last."""
        if url in self._known or self.folder is None:
            return self._known.get(url)
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(self._file(self.folder, url).read_text(encoding="utf-8"))
            if saved["url"] == url and saved["headers"]["etag"]:
                return Answer(200, saved["headers"], saved["body"].encode())
        return None

    def put(self, url: str, answer: Answer) -> None:
        """Remember a whole answer that has an ETag."""
        if answer.status != 200 or "etag" not in answer.headers:
            return
        kept = Answer(
            200, {name: answer.headers[name] for name in KEPT if name in answer.headers}, answer.body
        )
        if self.folder is None:
            self._known[url] = kept
            return
        with suppress(FileError, UnicodeDecodeError):
            saved = {"url": url, "headers": dict(kept.headers), "body": kept.body.decode()}
            files.write(self._file(self.folder, url), json.dumps(saved))

    @staticmethod
    def _file(folder: Path, url: str) -> Path:
        return folder / f"{files.sha256(url.encode())[:32]}.json"
