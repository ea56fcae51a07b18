"""sync: a folder of files that are only ever added, kept the same as a branch of a git remote; safe when others push meanwhile."""

from __future__ import annotations

import filecmp
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pipeline.edge.scratch import scratch
from pipeline.edge.shell import Completed
from pipeline.errors import ArtifactError, PipelineError
from pipeline.flow.context import Context
from pipeline.publish import site

GROWING: Final = ("points", "tombstones", site.PAGES)  # folders whose files are never changed
TRIES: Final = 12
GIT_TIMEOUT_S: Final = 600.0
WHO: Final = ("-c", "user.name=rackbench", "-c", "user.email=rackbench@users.noreply.github.com")
PLAIN: Final = ("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false")


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the command line asked for; ``repository`` is any checkout that knows ``remote``."""

    folder: Path
    branch: str
    remote: str
    message: str
    repository: Path


@dataclass(frozen=True, slots=True)
class Synced:
    """Paths that came from the branch, and paths that went to it."""

    pulled: tuple[str, ...]
    pushed: tuple[str, ...]


def sync(context: Context, options: SyncOptions) -> Synced:
    """Bring what the branch has and the folder lacks, push what the folder has and the branch lacks; both ends then hold everything.

    ArtifactError, and nothing pushed, when both have a file of one name with different content: neither is ever overwritten.
    """
    git = _Git(context, options.repository)
    git.run(
        "check-ref-format",
        f"refs/heads/{options.branch}",
        hint="name the branch of the history, e.g. --branch history",
    )
    with (
        scratch(Path(tempfile.gettempdir()), "rackbench-sync-") as folder,
        git.worktree(folder / "tree") as tree,
    ):
        pulled: set[str] = set()
        for attempt in range(TRIES):
            tree.reset_to(options.remote, options.branch)
            pulled |= set(_take(tree.folder, options.folder))
            pushed = _take(options.folder, tree.folder)
            _rebuild(options.folder, tree.folder)
            if not tree.commit(options.message) or tree.push(options.remote, options.branch):
                return Synced(tuple(sorted(pulled)), tuple(pushed))
            context.clock.sleep(min(10.0, 0.2 * 2**attempt) * (0.5 + secrets.randbelow(1000) / 1000))
    raise PipelineError(
        f"others pushed first, {TRIES} times",
        where=f"{_shown(options.remote)} {options.branch}",
        hint="nothing is lost; run the same command again",
    )


def _take(source: Path, target: Path) -> list[str]:
    """Copy the growing files that ``target`` lacks, each whole or not at all; refuse all when one differs."""
    names = [path.relative_to(source).as_posix() for path in _growing(source)]
    for name in names:
        if (target / name).exists() and not filecmp.cmp(source / name, target / name, shallow=False):
            hint = "files here are only ever added: move yours away, sync, and ingest or publish again; what is known is then skipped"
            raise ArtifactError("has other content on the branch", where=name, hint=hint)
    missing = [name for name in names if not (target / name).exists()]
    for name in missing:
        _copy(source / name, target / name)
    return missing


def _growing(folder: Path) -> Iterator[Path]:
    for name in GROWING:
        for path in sorted((folder / name).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                yield path


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PipelineError(
            f"cannot be written: {error.strerror}", where=str(target), hint="is the disk full or read-only?"
        ) from error


def _rebuild(folder: Path, tree: Path) -> None:
    """What a site derives from its pages is made again from all of them, whoever published which."""
    if not (tree / site.PAGES).is_dir():
        return
    site.rebuild(folder)
    for name in site.DERIVED:
        _copy(folder / name, tree / name)


@dataclass(frozen=True, slots=True)
class _Git:
    """git in one folder; its messages become ours, without credentials."""

    context: Context
    folder: Path

    def ask(self, *words: str) -> Completed:
        """Whatever it answers."""
        return self.context.shell.run(["git", *WHO, *PLAIN, *words], cwd=self.folder, timeout_s=GIT_TIMEOUT_S)

    def run(self, *words: str, hint: str = "") -> str:
        """Its answer, or PipelineError with its last words."""
        done = self.ask(*words)
        if done.code:
            raise PipelineError(_last_words(done), where=f"git {words[0]} in {self.folder}", hint=hint)
        return done.stdout.strip()

    def worktree(self, folder: Path) -> _Worktree:
        """A checkout of its own, so that nobody's files or index are touched."""
        empty = self.run("commit-tree", self.run("mktree"), "-m", "Empty")
        return _Worktree(self, folder, empty)


class _Worktree:
    """A scratch checkout of a repository in ``folder``, gone at the end."""

    def __init__(self, git: _Git, folder: Path, empty: str) -> None:
        self._parent, self._empty, self._base = git, empty, ""
        self.folder = folder
        self._git = _Git(git.context, folder)

    def __enter__(self) -> Self:
        self._parent.run("worktree", "prune")  # of those whose folder was swept
        self._parent.run("worktree", "add", "--quiet", "--detach", str(self.folder), self._empty)
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.ask("worktree", "remove", "--force", str(self.folder))

    def reset_to(self, remote: str, branch: str) -> None:
        """The remote's branch as it is now; nothing where there is none yet."""
        self._base = ""
        if self._tip(remote, branch):
            self._git.run("fetch", "--quiet", "--no-tags", remote, f"refs/heads/{branch}")
            self._base = self._git.run("rev-parse", "FETCH_HEAD")
        self._git.run("reset", "--quiet", "--hard", self._base or self._empty)
        self._git.run("clean", "--quiet", "-ffdx")

    def commit(self, message: str) -> bool:
        """Commit whatever differs; False when nothing does."""
        self._git.run("add", "--all", "--force", ".")
        if self._git.ask("diff", "--cached", "--quiet").code == 0:
            return False
        self._git.run("commit", "--quiet", "--message", message)
        return True

    def push(self, remote: str, branch: str) -> bool:
        """False when somebody else pushed first."""
        done = self._git.ask("push", "--quiet", remote, f"HEAD:refs/heads/{branch}")
        if done.code == 0:
            return True
        if self._tip(remote, branch) == self._base and not re.search(
            r"cannot lock ref|failed to update ref", done.stderr
        ):
            raise PipelineError(
                _last_words(done),
                where=f"git push {_shown(remote)} {branch}",
                hint="may we write there? nothing is lost, sync again",
            )
        return False

    def _tip(self, remote: str, branch: str) -> str:
        """The commit that the remote's branch is at; empty where there is no such branch."""
        found = self._git.ask("ls-remote", "--exit-code", "--heads", remote, f"refs/heads/{branch}")
        if found.code not in {0, 2}:
            raise PipelineError(
                _last_words(found),
                where=f"git ls-remote {_shown(remote)}",
                hint="is the remote named, and may we read it?",
            )
        return found.stdout.split()[0] if found.code == 0 else ""


def _last_words(done: Completed) -> str:
    lines = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    text = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))),
        lines[-1] if lines else f"exit code {done.code}",
    )
    return _shown(text)


def _shown(text: str) -> str:
    """Without the credentials of a URL."""
    return re.sub(r"//[^/@\s]*@", "//", text)
