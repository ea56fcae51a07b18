"""Folders for what is not whole yet: they go with the process that works in them, or with the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import PipelineError

LOCK = "lock"
REMOVALS = 3  # of one folder: whoever was just opening it makes its lock in there once more


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below ``parent``, gone at the end; those of this prefix whose process was killed go first.

    Whoever works in one holds the lock of its file ``lock``, which the kernel takes back however the process ends. PipelineError when
    there is no folder to be had.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, prefix)
        folder, lock = _claimed(parent, prefix)
    except OSError as error:
        raise _cannot_be_made(parent, error) from error
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed now the next one tries again


@contextlib.contextmanager
def sole(folder: Path) -> Iterator[bool]:
    """A folder of just this name, empty but for its lock and gone at the end; False, and nothing done, while another process works in it.

    What a killed process left of that name goes first. Without locks on the filesystem it is somebody's as long as it is there.
    PipelineError when there is no folder to be had.
    """
    try:
        lock = _taken(folder)
    except OSError as error:
        raise _cannot_be_made(folder.parent, error) from error
    if lock is None:
        yield False
        return
    with lock:
        try:
            yield True
        finally:
            tomb = half(folder)
            with contextlib.suppress(OSError):
                folder.rename(tomb)  # at once, so that whoever takes the name next loses nothing to us
                for _ in range(REMOVALS):
                    shutil.rmtree(tomb, ignore_errors=True)


def half(folder: Path) -> Path:
    """A new name beside a folder's own, for what is not whole yet, or no longer."""
    return folder.with_name(f"{folder.name}~{secrets.token_hex(4)}")


def _cannot_be_made(parent: Path, error: OSError) -> PipelineError:
    return PipelineError(
        f"cannot be made: {error.strerror}", where=str(parent), hint="is the disk full or read-only?"
    )


def _taken(folder: Path) -> IO[bytes] | None:
    while True:
        try:
            folder.mkdir(mode=0o700)
            is_new = True
        except FileExistsError:
            is_new = False
        with (
            contextlib.suppress(FileNotFoundError),
            contextlib.ExitStack() as stack,
        ):  # it has gone, or is going
            if not _is_own(folder):
                raise PipelineError(
                    "not a folder of ours, though it has the name of one", where=str(folder), hint="remove it"
                )
            lock = stack.enter_context((folder / LOCK).open("ab"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError:
                if not is_new:
                    return None
            if _is_lock_of(folder, lock):
                _clear(folder)
                stack.pop_all()
                return lock


def _is_own(folder: Path) -> bool:
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()


def _sweep(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(
            OSError
        ):  # somebody works in it, or it has gone; without locks on this filesystem nobody can tell
            if not _is_own(folder):
                continue  # a stranger's, in a folder for everybody's temporary files
            with (folder / LOCK).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_lock_of(folder, lock):
                    shutil.rmtree(folder, ignore_errors=True)


def _claimed(parent: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    """A new folder and its lock. Who sweeps between the two takes it for left behind: then there is another."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            lock = stack.enter_context((folder / LOCK).open("ab"))
            with contextlib.suppress(OSError):  # no locks on this filesystem: then nobody sweeps here either
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_lock_of(folder, lock):
                stack.pop_all()
                return folder, lock


def _is_lock_of(folder: Path, lock: IO[bytes]) -> bool:
    """Not that of a folder that was swept while we waited for it; FileNotFoundError when there is none."""
    return os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat())
