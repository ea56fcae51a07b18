"""Folders for what is not whole yet: they go with the process that works in them, or with the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import PipelineError

LOCK = "lock"


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
        raise PipelineError(f"cannot be made: {error.strerror}", where=str(parent), hint="is the disk full or read-only?") from error
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed now the next one tries again


def _sweep(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # somebody works in it, or it has gone; without locks on this filesystem nobody can tell
            state = folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
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
