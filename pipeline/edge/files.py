"""Local files: written whole or not at all, through to the disk.

An OSError becomes a FileError where a function says so.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath, PurePosixPath

from pipeline.errors import ArtifactError, FileAction, FileError

NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP})  # some network filesystems cannot sync a folder


@contextlib.contextmanager
def file_errors(action: FileAction, path: str | PurePath | None = None, *, hint: str = "") -> Iterator[None]:
    """Raise FileError for an OSError of the block; ``path`` defaults to the path in the OSError."""
    try:
        yield
    except OSError as error:
        raise FileError.from_os_error(error, action, path, hint=hint) from error


def temporary_beside(path: Path) -> Path:
    """Return a new hidden name in the same folder; readers of folders skip names that begin with a dot."""
    return path.with_name(f".{path.name.removeprefix('.')}~{secrets.token_hex(4)}")


def read(path: Path) -> bytes:
    """Return the content of a file, or raise FileError, also for a pipe or device: it may never end."""
    with file_errors("read", path):
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise FileError(f"cannot read {path}: a pipe or device", hint="write it to a file first")
        return path.read_bytes()


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file from an unknown author.

    Raise ArtifactError for a link, a device or a larger file.
    """
    with file_errors("read", path):
        state = path.lstat() if os.path.lexists(path) else None
        if state is None or not stat.S_ISREG(state.st_mode) or state.st_size > max_bytes:
            raise ArtifactError(f"not a regular file of at most {max_bytes >> 20} MiB", where=str(path))
        return path.read_bytes()


def below(root: Path, *, is_read: Callable[[PurePosixPath], bool]) -> Iterator[tuple[str, Path]]:
    """Yield name and path of what ``is_read`` selects below a folder, of any kind, and of links to folders.

    Links are not followed. Bytes of a name that are no text are written out in the name.
    """
    for folder, folders, plain in os.walk(root):
        folders.sort()
        links = {name for name in folders if Path(folder, name).is_symlink()}
        for name in sorted({*plain, *folders}):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if name in links or is_read(PurePosixPath(relative)):
                yield relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), path


def why_unreadable(path: Path, max_bytes: int) -> str:
    """Return why a stranger's file is not read; empty for a regular file of at most this size."""
    with file_errors("read", path):
        state = path.lstat()
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe"}
    if not stat.S_ISREG(state.st_mode):
        return f"{kinds.get(stat.S_IFMT(state.st_mode), 'a device or socket')} and no regular file"
    if state.st_size > max_bytes:
        return f"the file has {state.st_size} bytes, more than {max_bytes >> 20} MiB"
    return ""


def write(path: Path, content: str | bytes) -> None:
    """Create or replace a file as a whole, and its folder where there is none; raise FileError."""
    with replacing(path) as temporary:
        temporary.write_bytes(_bytes(content))


def copy(source: Path, target: Path) -> None:
    """Create or replace ``target`` as a whole, and its folder where there is none; raise FileError."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name; the file that the block writes there is synced and renamed to ``path``. Raise FileError.

    When the block raises, ``path`` is unchanged.
    """
    with file_errors("write", path), _temporary(path) as temporary:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


@contextlib.contextmanager
def creating(path: Path, content: bytes, *, hint: str = "") -> Iterator[Callable[[], bool]]:
    """Write a file under a temporary name; the function that is yielded gives it its name. Raise FileError.

    The function returns False, and changes nothing, when ``path`` exists. Of two processes only one gets True.
    """
    with file_errors("write", path, hint=hint), _temporary(path) as temporary:
        temporary.write_bytes(content)
        sync(temporary)
        yield lambda: _claim(temporary, path, hint)


@contextlib.contextmanager
def new_folder(path: Path, *, hint: str = "") -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``path`` at the end; it is removed when the block raises.

    Raise FileError.
    """
    temporary = temporary_beside(path)
    with file_errors("write", path, hint=hint):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            temporary.rename(path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def append(path: Path, text: str, *, label: str) -> None:
    """Append to a file that other programs write too; raise FileError with ``label`` before the path."""
    with file_errors("write", f"{label} {path}"), path.open("ab") as file:
        file.write(text.encode())


def write_synced(path: Path, content: str | bytes) -> str:
    """Write a file of a folder that is not complete yet, through to the disk, and return its SHA-256.

    Raise OSError.
    """
    path.write_bytes(_bytes(content))
    sync(path)
    return sha256(_bytes(content))


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk; raise OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
    finally:
        os.close(handle)


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; raise OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _claim(temporary: Path, path: Path, hint: str) -> bool:
    with file_errors("write", path, hint=hint):
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        sync(path.parent)
    return True


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
