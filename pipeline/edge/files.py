"""Local files: written whole or not at all, through to the disk. OSErrors become FileError."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ArtifactError, FileAction, FileError


@contextlib.contextmanager
def file_errors(action: FileAction, path: str | Path | None = None, *, hint: str = "") -> Iterator[None]:
    """Raise FileError for an OSError of the block; ``path`` defaults to the path in the OSError."""
    try:
        yield
    except OSError as error:
        raise FileError.from_os_error(error, action, path, hint=hint) from error


def temporary_beside(path: Path) -> Path:
    """Return a new hidden name in the same folder; readers of folders skip names that begin with a dot."""
    return path.with_name(f".{path.name.removeprefix('.')}~{secrets.token_hex(4)}")


def read(path: Path) -> bytes:
    """Return the content of a file."""
    with file_errors("read", path):
        return path.read_bytes()


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file from an unknown author; ArtifactError for a link, a device or a larger file."""
    with file_errors("read", path):
        state = path.lstat() if os.path.lexists(path) else None
        if state is None or not stat.S_ISREG(state.st_mode) or state.st_size > max_bytes:
            raise ArtifactError(f"not a regular file of at most {max_bytes >> 20} MiB", where=str(path))
        return path.read_bytes()


def make_folder(path: Path) -> None:
    """Create a folder and its parents where they are missing."""
    with file_errors("create", path):
        path.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Create or replace a file as a whole, through to the disk; creates the folder where it is missing."""
    with file_errors("write", path), _temporary(path) as temporary:
        write_synced(temporary, content)
        temporary.replace(path)
        sync(path.parent)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file to a name that it has completely or not at all; creates the folder where it is missing."""
    with file_errors("write", target), _temporary(target) as temporary:
        shutil.copyfile(source, temporary)
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)


def claim(temporary: Path, target: Path) -> bool:
    """Give a complete file its name by a hard link; return False, and change nothing, when the name is taken. Raise OSError."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        return False
    sync(target.parent)
    return True


def append(path: Path, text: str, *, label: str = "") -> None:
    """Append to a file that others write too, in one write; ``label`` names it in an error."""
    with file_errors("write", label or path), path.open("ab") as file:
        file.write(text.encode())


def write_synced(path: Path, content: str | bytes) -> None:
    """Write a file through to the disk, under its own name. Raise OSError."""
    with path.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Force a file or folder to the disk. Raise OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raise OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``, which no longer exists at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
