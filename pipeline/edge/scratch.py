"""Folders for unfinished work: removed at the end, or by the next process when their owner was killed.

The owner of a folder holds the lock of the file ``lock`` in it, which the kernel releases when the process ends. The lock files are
inside the folders, so a folder can be removed or renamed while another process waits for its lock: after each lock the file is compared
with the one that has the name now. ``filelock.FileLock`` creates folders that are missing and does not compare, hence
``filelock.lock_descriptor``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from filelock import lock_descriptor

from pipeline.edge.files import file_errors, temporary_beside
from pipeline.errors import PipelineError

LOCK: Final = "lock"
LOCK_POLL_S: Final = 0.01
REMOVALS: Final = 3  # attempts to remove one folder: another process may create its lock file in it meanwhile


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder below ``parent`` that is removed at the end; raise FileError when it cannot be created.

    First removes the folders with this prefix whose process has ended.
    """
    with file_errors("create", parent):
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent, prefix)
        folder, lock = _create(parent, prefix)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the next process removes what is left


@contextlib.contextmanager
def sole(folder: Path) -> Iterator[bool]:
    """Create a folder of this name for one process and remove it at the end; yield False when another process has it.

    First removes the content that a killed process left in it. On a filesystem without locks a folder that exists counts as in use.
    Raise FileError when the folder cannot be created.
    """
    with file_errors("create", folder):
        lock = _acquire(folder)
    if lock is None:
        yield False
        return
    with lock:
        try:
            yield True
        finally:
            renamed = temporary_beside(folder)
            with contextlib.suppress(OSError):
                folder.rename(renamed)  # from now on another process can have the name
                for _ in range(REMOVALS):
                    shutil.rmtree(renamed, ignore_errors=True)


def _acquire(folder: Path) -> IO[bytes] | None:
    """Create or take over a folder; return its lock, or None when it is in use."""
    while True:
        try:
            folder.mkdir(mode=0o700)
            is_new = True
        except FileExistsError:
            is_new = False
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:  # removed by its owner
            if not is_own(folder):
                raise PipelineError(
                    "not a folder of this user, but it has the name of one",
                    where=str(folder),
                    hint="remove it",
                )
            lock = stack.enter_context((folder / LOCK).open("ab"))
            try:
                if not lock_descriptor(lock.fileno(), blocking=False):
                    return None
            except OSError:  # a filesystem without locks
                if not is_new:
                    return None
            if _is_current(folder, lock):
                _clear(folder)
                stack.pop_all()
                return lock


def _create(parent: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    """Return a new folder and its lock.

    Another one when a process removes it as abandoned before it is locked.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            lock = stack.enter_context((folder / LOCK).open("ab"))
            with contextlib.suppress(
                OSError
            ):  # on a filesystem without locks nothing is removed as abandoned
                lock_descriptor(lock.fileno(), poll_interval=LOCK_POLL_S)
            if _is_current(folder, lock):
                stack.pop_all()
                return folder, lock


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders that no process has locked.

    Without locks on this filesystem none, because it is unknown which.
    """
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # removed meanwhile, or no locks
            if not is_own(folder):
                continue  # in a shared folder for temporary files
            with (folder / LOCK).open("ab") as lock:
                if lock_descriptor(lock.fileno(), blocking=False) and _is_current(folder, lock):
                    shutil.rmtree(folder, ignore_errors=True)


def is_own(folder: Path) -> bool:
    """Return whether this is a folder, and no link, of the user of this process; FileNotFoundError without one."""
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()


def _is_current(folder: Path, lock: IO[bytes]) -> bool:
    """Whether the lock is of the file that has the name now; FileNotFoundError when there is none."""
    return os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat())


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
