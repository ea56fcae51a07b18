"""Git in one directory: questions about revisions, and a scratch checkout that commits and pushes to a remote's branch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pipeline.edge.shell import Completed, Shell
from pipeline.errors import PipelineError, PlanError

AUTHOR: Final = ("-c", "user.name=rackbench", "-c", "user.email=rackbench@users.noreply.github.com")
SETTINGS: Final = (
    "-c",
    "commit.gpgsign=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.autocrlf=false",
)
READ_TIMEOUT_S: Final = 120.0
WRITE_TIMEOUT_S: Final = 600.0  # fetch and push go over the network
OVERTAKEN: Final = re.compile(r"cannot lock ref|failed to update ref")


@dataclass(frozen=True, slots=True)
class Git:
    """The repository that ``folder`` is in; paths are relative to ``folder``."""

    shell: Shell
    folder: Path
    options: tuple[str, ...] = ()
    timeout_s: float = READ_TIMEOUT_S

    def ask(self, *arguments: str) -> Completed:
        """Run a git command and return its result, whatever the exit code."""
        return self.shell.run(["git", *self.options, *arguments], cwd=self.folder, timeout_s=self.timeout_s)

    def run(self, *arguments: str, hint: str = "") -> str:
        """Return the output of a git command; raise PipelineError with git's message when it fails."""
        done = self.ask(*arguments)
        if done.code:
            raise PipelineError(error_line(done), where=f"git {arguments[0]} in {self.folder}", hint=hint)
        return done.stdout.strip()

    def head(self) -> tuple[str | None, bool]:
        """Return the commit and whether ``folder`` differs from it; (None, False) outside of a repository."""
        found = self.ask("rev-parse", "HEAD")
        if found.code:
            return None, False
        return found.stdout.strip(), bool(self.ask("status", "--porcelain", "--", ".").stdout.strip())

    def commit(self, revision: str) -> str:
        """Return the commit of a tag, branch or commit; a CI checkout knows branches only as ``origin/NAME``."""
        for name in (revision, f"origin/{revision}"):
            found = self.ask("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            if not found.code:
                return found.stdout.strip()
        hint = "name a commit, tag or branch that is here or on origin; in CI, fetch the whole history"
        raise PlanError(
            f"git does not know {revision!r}", where=str(self.folder), hint=_last_line(found) or hint
        )

    def merge_base(self, revision: str) -> str:
        """Return the commit where HEAD left a revision; the revision's own commit when they share no history."""
        tip = self.commit(revision)
        return self.ask("merge-base", tip, "HEAD").stdout.strip() or tip

    def files_at(self, commit: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        """Return the text of every file below ``folder`` at a commit whose name ends in one of ``suffixes``."""
        names = self._read("ls-tree", "-r", "-z", "--name-only", commit, "--", ".").split("\0")
        return {name: self._read("show", f"{commit}:./{name}") for name in names if name.endswith(suffixes)}

    def _read(self, *arguments: str) -> str:
        done = self.ask(*arguments)
        if done.code:
            what = f"git {arguments[0]} failed for {arguments[-1]!r}"
            raise PlanError(what, where=str(self.folder), hint=_last_line(done))
        return done.stdout


class Worktree:
    """A scratch checkout in ``folder``; leaving the ``with`` removes it. The files and index of ``repository`` stay as they are."""

    def __init__(self, shell: Shell, repository: Path, folder: Path) -> None:
        self.folder = folder
        self._repository, self._git = (
            Git(shell, place, (*AUTHOR, *SETTINGS), WRITE_TIMEOUT_S) for place in (repository, folder)
        )
        self._empty = self._repository.run("commit-tree", self._repository.run("mktree"), "-m", "Empty")
        self._base = ""

    def __enter__(self) -> Self:
        self._repository.run("worktree", "prune")  # of those whose folder was swept
        self._repository.run("worktree", "add", "--quiet", "--detach", str(self.folder), self._empty)
        return self

    def __exit__(self, *_: object) -> None:
        self._repository.ask("worktree", "remove", "--force", str(self.folder))

    def reset_to(self, remote: str, branch: str) -> None:
        """Check out the remote's branch as it is now; an empty commit where there is no such branch."""
        self._base = ""
        if self._tip(remote, branch):
            self._git.run("fetch", "--quiet", "--no-tags", remote, f"refs/heads/{branch}")
            self._base = self._git.run("rev-parse", "FETCH_HEAD")
        self._git.run("reset", "--quiet", "--hard", self._base or self._empty)
        self._git.run("clean", "--quiet", "-ffdx")

    def commit(self, message: str) -> bool:
        """Write a commit of all differences; return False when there are none."""
        self._git.run("add", "--all", "--force", ".")
        if self._git.ask("diff", "--cached", "--quiet").code == 0:
            return False
        self._git.run("commit", "--quiet", "--message", message)
        return True

    def push(self, remote: str, branch: str) -> bool:
        """Push the commit; return False when another push came first. Raise PipelineError for any other refusal."""
        done = self._git.ask("push", "--quiet", remote, f"HEAD:refs/heads/{branch}")
        if done.code == 0:
            return True
        if self._tip(remote, branch) == self._base and not OVERTAKEN.search(done.stderr):
            where = f"git push {without_credentials(remote)} {branch}"
            hint = "check the write permission for the remote; nothing is lost, sync again"
            raise PipelineError(error_line(done), where=where, hint=hint)
        return False

    def _tip(self, remote: str, branch: str) -> str:
        """Return the commit of the remote's branch; an empty string where there is no such branch."""
        found = self._git.ask("ls-remote", "--exit-code", "--heads", remote, f"refs/heads/{branch}")
        if found.code not in {0, 2}:
            where = f"git ls-remote {without_credentials(remote)}"
            hint = "check the name of the remote and the read permission for it"
            raise PipelineError(error_line(found), where=where, hint=hint)
        return found.stdout.split()[0] if found.code == 0 else ""


def check_branch_name(shell: Shell, repository: Path, branch: str) -> None:
    """Raise PipelineError when git does not accept the name of a branch."""
    git = Git(shell, repository)
    git.run(
        "check-ref-format", f"refs/heads/{branch}", hint="name the branch of the history: --branch history"
    )


def error_line(done: Completed) -> str:
    """Return the line of git's output that says what failed, without credentials."""
    lines = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {done.code}"
    return without_credentials(next((line for line in lines if line.startswith(("fatal:", "error:"))), last))


def without_credentials(text: str) -> str:
    """Return a text without the credentials of the URLs in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _last_line(done: Completed) -> str:
    return (done.stderr.strip().splitlines() or [""])[-1]
