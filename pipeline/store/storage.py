"""Storage of a history: a folder of any filesystem of pyarrow or fsspec.

Files are written whole and never overwritten.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs as filesystems

from pipeline.edge import files
from pipeline.errors import ArtifactError, PipelineError

UNCHANGED = "history is unchanged; ingest again"
FLAT = frozenset({"s3", "gcs", "abfs"})  # object stores without folders


@dataclass(frozen=True, slots=True)
class Storage:
    """The root of a history; paths are relative to it. ``shown`` is its name without credentials."""

    fs: Any
    root: str
    shown: str

    @property
    def is_local(self) -> bool:
        """Whether a file name can be claimed without a race."""
        return isinstance(self.fs, filesystems.LocalFileSystem)

    def absolute(self, path: str) -> str:
        """Return a path in the form that the filesystem expects."""
        return f"{self.root}/{path}"

    def files(self, folder: str) -> list[str]:
        """Return the sorted paths of the files below ``folder``, without those that an interrupted writer left (leading dot)."""
        selector = filesystems.FileSelector(self.absolute(folder), recursive=True, allow_not_found=True)
        with files.file_errors("read", self._name(folder)):
            found = [
                info.path
                for info in self.fs.get_file_info(selector)
                if info.type == filesystems.FileType.File
            ]
        paths = (
            path.removeprefix("/").removeprefix(self.root.removeprefix("/")).removeprefix("/")
            for path in found
        )
        return sorted(path for path in paths if not any(part.startswith(".") for part in path.split("/")))

    def is_present(self) -> bool:
        """Return whether anything has this root: on an object store, whether any key begins with it."""
        with files.file_errors("read", self.shown):
            found = self.fs.get_file_info(self.root)
        return bool(found.type != filesystems.FileType.NotFound)

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        with (
            files.file_errors("read", self._name(path)),
            self.fs.open_input_stream(self.absolute(path)) as stream,
        ):
            content: bytes = stream.read()
        return content

    @contextlib.contextmanager
    def staged(self, path: str, content: bytes) -> Iterator[Callable[[], bool]]:
        """Write ``content`` to a temporary name and yield a function that moves it to ``path``; False if ``path`` exists.

        On an object store the function is one upload, which becomes visible when it is complete. Only a local filesystem
        detects two concurrent writers of one name.
        """
        if not self.is_local:
            yield lambda: self._upload(path, content)
            return
        with files.creating(Path(self.absolute(path)), content, hint=UNCHANGED) as create:
            yield create

    def _upload(self, path: str, content: bytes) -> bool:
        where = self.absolute(path)
        with files.file_errors("write", self._name(path), hint=UNCHANGED):
            if self.fs.get_file_info(where).type != filesystems.FileType.NotFound:
                return False
            if self.fs.type_name not in FLAT:
                self.fs.create_dir(where.rpartition("/")[0], recursive=True)
            with self.fs.open_output_stream(where) as stream:
                stream.write(content)
        return True

    def _name(self, path: str) -> str:
        return f"{self.shown.rstrip('/')}/{path}"


def at(url: str | Storage) -> Storage:
    """Return the storage of a path or URL: a filesystem of pyarrow, or of fsspec for any other scheme."""
    if isinstance(url, Storage):
        return url
    scheme, separator, _ = url.partition("://")
    if not separator:
        return Storage(filesystems.LocalFileSystem(), str(Path(url).absolute()).rstrip("/"), url)
    shown = re.sub(r"//[^/@]*@", "//", url.partition("?")[0])
    try:
        fs, root = filesystems.FileSystem.from_uri(url)
    except pa.ArrowInvalid:
        fs, root = _from_fsspec(url, scheme, shown)
    except OSError as error:
        raise ArtifactError(
            "history cannot be reached", where=shown, hint="check credentials, region and network"
        ) from error
    return Storage(fs, root.rstrip("/"), shown)


def _from_fsspec(url: str, scheme: str, shown: str) -> tuple[Any, str]:
    try:
        fs, root = import_module("fsspec.core").url_to_fs(url)
    except ImportError as error:
        hint = f"pip install 'rackbench[remote]' and the fsspec driver of {scheme}://, or use file://, s3:// or gs://"
        raise PipelineError(
            f"{scheme}:// needs the package {error.name or 'fsspec'}", where=shown, hint=hint
        ) from error
    except ValueError as error:
        raise PipelineError(
            f"not a storage URL: unknown scheme {scheme}://",
            where=shown,
            hint="use a path, file://, s3:// or gs://",
        ) from error
    return filesystems.PyFileSystem(filesystems.FSSpecHandler(fs)), root
