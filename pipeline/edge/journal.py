"""The events of a job, appended to files as they happen, so that they are there whatever happens next."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pipeline.edge import files
from pipeline.edge.clock import Clock
from pipeline.errors import FailureKind, FileError
from pipeline.schema.event import Event, Stage

NAME = "events.jsonl"


class Journal:
    """Files that get a line for each event; without a file, events are dropped."""

    def __init__(self, clock: Clock | None = None, *paths: Path) -> None:
        self._clock, self._paths = clock, list(paths)

    def also(self, path: Path) -> None:
        """Write what is written so far, and all that follows, to another file as well."""
        with suppress(OSError):
            path.write_bytes(b"".join(one.read_bytes() for one in self._paths[:1] if one.is_file()))
        self._paths.append(path)

    def add(
        self,
        stage: Stage,
        state: str = "",
        *,
        node: str = "",
        kind: FailureKind | None = None,
        what: str = "",
    ) -> None:
        """Append an event; a full disk does not end the job for it."""
        if self._clock is None:
            return
        time = self._clock.now().isoformat(timespec="milliseconds")
        line = Event(time=time, stage=stage, state=state, node=node, kind=kind, what=what)
        for path in self._paths:
            with suppress(FileError):
                files.append(path, line.model_dump_json(by_alias=True) + "\n", label="events")


def read(path: Path) -> list[Event]:
    """Return the events of a file; a line that is still being written is left out."""
    try:
        whole, _, _ = path.read_text("utf-8").rpartition("\n")
    except OSError:
        return []
    return [Event.from_json(line, where=str(path)) for line in whole.splitlines()]
