"""A zip into a folder: its paths, kinds and sizes are checked first, and its sizes again while it is written."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Final

from pipeline.errors import ArtifactError, FileError

MOST_FILES: Final = 10_000
MOST_BYTES: Final = 4 << 30  # of one artifact, unpacked
MOST_RATIO: Final = 200  # deflate packs repeated JSON 20 to 60 times; 1,032 is what it can do at most
FREE_BYTES: Final = 16 << 20  # so much may unpack from next to nothing
CHUNK: Final = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*(/[A-Za-z0-9_][A-Za-z0-9_.+=-]*)*/?")


def unpack(packed: Path, folder: Path, *, where: str) -> None:
    """Into ``folder``, which must be new; ArtifactError, with nothing kept outside of it, when the zip is torn or not to be trusted."""
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = archive.infolist()
            _refuse_oddities(entries, packed.stat().st_size, where)
            folder.mkdir(parents=True)
            for entry in entries:
                _write(archive, entry, folder / entry.filename, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"not a whole zip: {error}", where=where, hint="torn or foreign; fetch it again"
        ) from error
    except OSError as error:
        raise FileError.from_os_error(error, "write", error.filename or folder) from error


def _refuse_oddities(entries: list[zipfile.ZipInfo], packed_bytes: int, where: str) -> None:
    hint = "nothing was unpacked; the artifact is foreign"
    if len(entries) > MOST_FILES:
        raise ArtifactError(
            f"{len(entries)} files, more than the {MOST_FILES} that are taken", where=where, hint=hint
        )
    seen: set[str] = set()
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ArtifactError(f"{entry.filename!r} is a link or a device", where=where, hint=hint)
        if not NAME.fullmatch(entry.filename) or entry.filename.rstrip("/").lower() in seen:
            raise ArtifactError(f"path is not taken: {entry.filename!r}", where=where, hint=hint)
        seen.add(entry.filename.rstrip("/").lower())
    size = sum(entry.file_size for entry in entries)
    if size > min(MOST_BYTES, max(FREE_BYTES, packed_bytes * MOST_RATIO)):
        raise ArtifactError(f"a bomb: {size} bytes in {packed_bytes}", where=where, hint=hint)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, where: str) -> None:
    """Never more than what the entry announces: an announcement can be forged, a count cannot."""
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
                    f"{entry.filename!r} is longer than it says", where=where, hint="the artifact is foreign"
                )
            file.write(chunk)
