"""Unpack a zip: paths, types and sizes are checked before, and the sizes again while files are written."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import ArtifactError, FileError
from pipeline.plaintext import one_line

MAX_FILES: Final = 10_000
MAX_UNPACKED_BYTES: Final = 4 << 30
MAX_RATIO: Final = 200  # deflate reaches 20 to 60 with repeated JSON, 1,032 at most
UNCHECKED_BYTES: Final = 16 << 20  # the ratio of a smaller zip is not checked
MAX_NAME, MAX_PART = 1_000, 200  # characters of a path, and of a name in it
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CHUNK: Final = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*(/[A-Za-z0-9_][A-Za-z0-9_.+=-]*)*/?")


def unpack(packed: Path, folder: Path, *, where: str) -> None:
    """Unpack into ``folder``, which must not exist.

    Raise ArtifactError when the zip is torn or foreign, FileError when writing fails.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = archive.infolist()
            _refuse_oddities(entries, packed.stat().st_size, where)
            folder.mkdir(parents=True)
            for entry in entries:
                _write(archive, entry, folder / entry.filename, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"not a complete zip: {error}", where=where, hint="torn or foreign; fetch it again"
        ) from error
    except OSError as error:
        raise FileError.from_os_error(error, "write", error.filename or folder) from error


def _refuse_oddities(entries: list[zipfile.ZipInfo], packed_bytes: int, where: str) -> None:
    hint = "nothing was unpacked; the artifact is foreign"
    if len(entries) > MAX_FILES:
        raise ArtifactError(f"{len(entries)} files; the limit is {MAX_FILES}", where=where, hint=hint)
    seen: set[str] = set()
    plain: set[str] = set()
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ArtifactError(f"{one_line(entry.filename)!r} is a link or a device", where=where, hint=hint)
        name = entry.filename.rstrip("/").lower()
        if not NAME.fullmatch(entry.filename) or name in seen or len(name) > MAX_NAME:
            raise ArtifactError(f"invalid path: {one_line(entry.filename)!r}", where=where, hint=hint)
        if max(map(len, name.split("/"))) > MAX_PART or entry.compress_type not in METHODS:
            what = f"{one_line(entry.filename, 80)!r} has too long a name, or is not stored or deflated"
            raise ArtifactError(what, where=where, hint=hint)
        seen.add(name)
        if not entry.is_dir():
            plain.add(name)
    for name in seen:
        if any(str(parent) in plain for parent in PurePosixPath(name).parents):
            raise ArtifactError(f"{name!r} is below a file", where=where, hint=hint)
    size = sum(entry.file_size for entry in entries)
    if size > min(MAX_UNPACKED_BYTES, max(UNCHECKED_BYTES, packed_bytes * MAX_RATIO)):
        raise ArtifactError(f"{size} bytes in a zip of {packed_bytes}", where=where, hint=hint)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, where: str) -> None:
    """Write at most as many bytes as the entry states: the stated size can be forged."""
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise ArtifactError(
                    f"{entry.filename!r} is longer than the zip states",
                    where=where,
                    hint="the artifact is foreign",
                )
            file.write(chunk)
