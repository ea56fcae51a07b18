"""The tree of things that are somebody's to fix: what went wrong, where, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


class PipelineError(Exception):
    """Base of every expected failure, and itself a wrong use, like argparse's own; anything else that escapes is a bug."""

    exit_code: int = 2
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" — {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


def lacking(who: str, extra: str, package: str | None) -> PipelineError:
    """``who`` needs an optional dependency that is not there."""
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

    def __str__(self) -> str:
        advice = f" — {self.hint}" if self.hint else ""
        word = "" if self.severity == "error" else "warning: "
        return f"{self.path}:{self.line}:{self.col}: {word}{self.what}{advice}"


class RecipeError(PipelineError):
    """The recipe author's: carries every problem of every file at once."""

    exit_code = 3

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}")

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class PlanError(PipelineError):
    """Nothing selected, or more than GitHub takes."""

    exit_code = 4


class LaunchError(PipelineError):
    """Rejected, never ready, or died."""

    exit_code = 5
    retryable = True


class MeasureError(PipelineError):
    """It ran, but the result cannot be trusted."""

    exit_code = 6


class ArtifactError(PipelineError):
    """Missing, torn, foreign, or of an unknown schema version."""

    exit_code = 7


class GitHubError(PipelineError):
    """GitHub's answer: status (0 = there was none), URL, request id."""

    exit_code = 8
    retryable = True

    def __init__(self, what: str, *, where: str = "", hint: str = "", status: int = 0) -> None:
        self.status = status
        super().__init__(what, where=where, hint=hint)


class InterruptedRunError(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP: nobody's failure, so whoever takes a PipelineError for an answer never sees it."""

    exit_code = 130
