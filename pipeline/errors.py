"""Expected errors: each says what is wrong, where, and what to do next, and has its own exit code."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Final, Literal, Self

from pipeline.plaintext import LONG, lines, one_line

FileAction = Literal["read", "write", "create", "remove", "lock", "access"]
FILE_HINTS: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EISDIR: "name a file, not a folder",
}


class PipelineError(Exception):
    """Base of all expected errors, and itself an error of usage, like those of argparse.

    Any other exception is a bug.
    """

    exit_code: int = 2
    retryable: bool = False

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" — {self.hint}" if self.hint else ""
        return lines(f"{place}{self.what}{advice}")


def lacking(who: str, extra: str, package: str | None) -> PipelineError:
    """Return the error for ``who`` when it needs an optional dependency that is not installed."""
    hint = f"pip install 'rackbench[{extra}]' (from a checkout: pip install -e '.[{extra}]')"
    return PipelineError(f"{who} needs the extra `{extra}` ({package} is not installed)", hint=hint)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding in one file; ``line`` and ``col`` count from 1."""

    path: str
    line: int
    col: int
    what: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    rule: str = ""  # id in docs/rules.md, for a problem that one of these rules found

    @property
    def message(self) -> str:
        """What is wrong, what to do next, and the rule in brackets."""
        advice = f" — {self.hint}" if self.hint else ""
        return f"{self.what}{advice}{f' [{self.rule}]' if self.rule else ''}"

    def __str__(self) -> str:
        word = "" if self.severity == "error" else "warning: "
        return one_line(f"{self.path}:{self.line}:{self.col}: {word}{self.message}", LONG)


class RecipeError(PipelineError):
    """The author of a recipe has to act: holds every problem of every file."""

    exit_code = 3

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}")

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class PlanError(PipelineError):
    """Nothing is selected, or more jobs than GitHub accepts."""

    exit_code = 4


class FailureKind(StrEnum):
    """Why a deployment failed: decides whether another try can help."""

    REJECTED = "rejected"  # the scheduler refuses the request
    NEVER_SCHEDULED = "never-scheduled"
    IMAGE = "image"
    CONTRADICTION = "contradiction"  # a node is not what the recipe needs, or not like the others
    NODE_LOST = "node-lost"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    TIME_LIMIT = "time-limit"
    OUT_OF_MEMORY = "out-of-memory"
    ENGINE_DIED = "engine-died"
    NEVER_READY = "never-ready"
    UNKNOWN = "unknown"  # the scheduler does not say how the job ended

    @property
    def retryable(self) -> bool:
        """Whether the site, not the recipe, was the cause, so that another try can succeed."""
        return self in (FailureKind.NEVER_SCHEDULED, FailureKind.NODE_LOST, FailureKind.PREEMPTED)


class LaunchError(PipelineError):
    """A deployment was rejected, never became ready, or died."""

    exit_code = 5
    retryable = True

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", kind: FailureKind | None = None
    ) -> None:
        self.kind, self.node = kind, ""  # the node that was the cause, where one was
        if kind is not None:
            self.retryable = kind.retryable
        super().__init__(what, where=where, hint=hint)


class MeasureError(PipelineError):
    """A measurement ran, but its result cannot be trusted."""

    exit_code = 6


class ArtifactError(PipelineError):
    """An artifact is missing, torn, foreign, or of an unknown schema version."""

    exit_code = 7


class GitHubError(PipelineError):
    """GitHub refused a request or did not answer: HTTP status (0 = no response), URL, request id."""

    exit_code = 8
    retryable = True

    def __init__(self, what: str, *, where: str = "", hint: str = "", status: int = 0) -> None:
        self.status = status
        super().__init__(what, where=where, hint=hint)


class FileError(PipelineError):
    """A local file or folder cannot be read, written, created, removed or locked."""

    exit_code = 9

    @classmethod
    def from_os_error(
        cls, error: OSError, action: FileAction, path: str | PurePath | None = None, *, hint: str = ""
    ) -> Self:
        """Return "cannot ACTION PATH: REASON"; ``path`` defaults to the path in ``error``.

        A full disk, a read-only filesystem and missing permissions each have their own hint, followed by ``hint``.

        >>> str(FileError.from_os_error(OSError(errno.ENOSPC, "No space left on device"), "write", "a/b"))
        'cannot write a/b: No space left on device — free some space'
        """
        named = path or error.filename
        place = f" {named}" if named else ""
        advice = "; ".join(filter(None, (FILE_HINTS.get(error.errno or 0, ""), hint)))
        return cls(f"cannot {action}{place}: {error.strerror or error}", hint=advice)


class InterruptedRunError(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP: not a PipelineError, so that handlers of expected errors let it pass."""

    exit_code = 130
