"""The place where a deployment runs: this machine, or one that is reached through a scheduler."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from pipeline.edge.http import Http


class Place(Protocol):
    """Files, servers and programs beside a frontend, as the pipeline reaches them from where it runs."""

    @property
    def http(self) -> Http:
        """Requests that are sent from there."""
        ...

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line, for this machine, that runs ``argv`` there; its exit code is passed on."""
        ...

    def path(self, folder: Path) -> Path:
        """Return where a folder of this machine is there."""
        ...

    def put(self, folder: Path) -> None:
        """Copy a folder of this machine to its path there; raise FileError."""
        ...

    def get(self, folder: Path) -> None:
        """Copy what has been added to the folder there to the one of this machine; raise FileError."""
        ...

    def size(self, path: Path) -> int:
        """Return the bytes of a file there; 0 where there is none."""
        ...

    def read(self, path: Path, *, start: int, size: int = -1) -> bytes | None:
        """Return ``size`` bytes of a file there from ``start`` on, -1 = all; None where it cannot be read."""
        ...

    def scratch(self, prefix: str) -> AbstractContextManager[dict[str, str]]:
        """Lend a folder there for temporary files, as the variables that name it to a program."""
        ...


class Files:
    """Files of a place that this machine sees below the same paths."""

    def size(self, path: Path) -> int:
        """Return the bytes of a file; 0 where there is none."""
        try:
            return path.stat().st_size
        except OSError:
            return 0

    def read(self, path: Path, *, start: int, size: int = -1) -> bytes | None:
        """Return ``size`` bytes of a file from ``start`` on, -1 = all; None where it cannot be read."""
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError:
            return None


class Here(Files):
    """The machine of the pipeline; ``beside`` adds to a command what every process of the deployment has."""

    def __init__(self, http: Http, beside: Callable[[Sequence[str]], list[str]]) -> None:
        self.http, self._beside = http, beside

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs ``argv`` with the marks and the limit of the deployment."""
        return self._beside(argv)

    def path(self, folder: Path) -> Path:
        """Return the folder itself."""
        return folder

    def put(self, folder: Path) -> None:
        """Keep the folder: it is there already."""

    def get(self, folder: Path) -> None:
        """Keep the folder: it is here already."""

    @contextmanager
    def scratch(self, prefix: str) -> Iterator[dict[str, str]]:
        """Lend a folder among the temporary ones of this machine."""
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield {"TMPDIR": folder}
