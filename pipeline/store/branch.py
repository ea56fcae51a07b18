"""Sync of an append-only directory with a branch of a git remote, safe when others push at the same time."""

from __future__ import annotations

import filecmp
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.edge import files, git
from pipeline.edge.clock import Clock
from pipeline.edge.scratch import scratch
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, PipelineError

STORED: Final = ("points", "tombstones")  # directories of a history; their files never change
TRIES: Final = 12
LONGEST_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Derived:
    """One more append-only directory ``source``, and ``files`` that ``rebuild(directory)`` derives from it."""

    source: str
    files: tuple[str, ...]
    rebuild: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of a remote; ``repository`` is any checkout that knows the remote, ``message`` is that of new commits."""

    repository: Path
    remote: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Synced:
    """Paths that were pulled from the branch and paths that were pushed to it."""

    pulled: tuple[str, ...]
    pushed: tuple[str, ...]


def sync(directory: Path, branch: Branch, derived: Derived, *, shell: Shell, clock: Clock) -> Synced:
    """Pull the files that ``directory`` lacks and push those that the branch lacks; both then hold all of them.

    Raise ArtifactError, and push nothing, when both have a file of one name with different content: neither is overwritten.
    """
    git.check_branch_name(shell, branch.repository, branch.name)
    if branch.remote.startswith("-"):
        hint = "name a remote or an address"
        raise PipelineError("a remote cannot begin with a dash", where=branch.remote, hint=hint)
    growing = (*STORED, derived.source)
    with (
        scratch(Path(tempfile.gettempdir()), "rackbench-sync-") as folder,
        git.Worktree(shell, branch.repository, folder / "tree") as tree,
    ):
        pulled: set[str] = set()
        for attempt in range(TRIES):
            tree.reset_to(branch.remote, branch.name)
            pulled |= set(copy_missing(tree.folder, directory, growing))
            pushed = copy_missing(directory, tree.folder, growing)
            if (tree.folder / derived.source).is_dir():
                derived.rebuild(directory)
                for name in derived.files:
                    files.copy(directory / name, tree.folder / name)
            if not tree.commit(branch.message) or tree.push(branch.remote, branch.name):
                return Synced(tuple(sorted(pulled)), tuple(pushed))
            clock.sleep(min(LONGEST_WAIT_S, 0.2 * 2**attempt) * (0.5 + secrets.randbelow(1000) / 1000))
    raise PipelineError(
        f"another push came first {TRIES} times",
        where=f"{git.without_credentials(branch.remote)} {branch.name}",
        hint="nothing is lost; run the same command again",
    )


def copy_missing(source: Path, target: Path, growing: tuple[str, ...]) -> list[str]:
    """Copy the files of the ``growing`` directories that ``target`` lacks; raise ArtifactError when one differs, and copy none."""
    names = [path.relative_to(source).as_posix() for path in _files(source, growing)]
    for name in names:
        if (target / name).exists() and not filecmp.cmp(source / name, target / name, shallow=False):
            hint = "files here are only ever added: move yours away, sync, and ingest or publish again; what is known is then skipped"
            raise ArtifactError("has other content on the branch", where=name, hint=hint)
    missing = [name for name in names if not (target / name).exists()]
    for name in missing:
        files.copy(source / name, target / name)
    return missing


def _files(folder: Path, growing: tuple[str, ...]) -> Iterator[Path]:
    for name in growing:
        if (folder / name).is_symlink():
            hint = "remove it: a history is a folder of its own"
            raise ArtifactError("a symbolic link in place of a folder", where=name, hint=hint)
        for path in sorted((folder / name).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                yield path
