"""The recipes as git has them at another revision."""

from __future__ import annotations

from typing import Final

from pipeline.edge.shell import Completed
from pipeline.errors import PlanError
from pipeline.flow.context import Context

TIMEOUT_S: Final = 120.0


def head(context: Context) -> tuple[str | None, bool]:
    """The commit that the recipes are in and whether they differ from it; (None, False) outside of git."""
    found = _ask(context, "rev-parse", "HEAD")
    if found.code:
        return None, False
    return found.stdout.strip(), bool(_ask(context, "status", "--porcelain", "--", ".").stdout.strip())


def commit(context: Context, revision: str) -> str:
    """The commit that a tag, branch or commit names; a checkout of a commit, as CI has it, knows branches of its remote only."""
    for name in (revision, f"origin/{revision}"):
        found = _ask(context, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if not found.code:
            return found.stdout.strip()
    hint = "name a commit, tag or branch that is here or on origin; in CI the whole history has to be fetched"
    raise PlanError(
        f"git does not know {revision!r}", where=str(context.recipes), hint=_last_line(found) or hint
    )


def left_at(context: Context, revision: str) -> str:
    """The commit where HEAD left a revision, so that what others did there since is not ours; its tip where they share no history."""
    tip = commit(context, revision)
    return _ask(context, "merge-base", tip, "HEAD").stdout.strip() or tip


def documents(context: Context, commit: str) -> dict[str, str]:
    """The YAML and JSON files below recipes/ as a commit has them, by name."""
    names = _told(context, "ls-tree", "-r", "-z", "--name-only", commit, "--", ".").split("\0")
    return {
        name: _told(context, "show", f"{commit}:./{name}")
        for name in names
        if name.endswith((".yaml", ".json"))
    }


def _told(context: Context, *words: str) -> str:
    done = _ask(context, *words)
    if done.code:
        raise PlanError(
            f"git {words[0]} failed for {words[-1]!r}", where=str(context.recipes), hint=_last_line(done)
        )
    return done.stdout


def _last_line(done: Completed) -> str:
    """What git said: that it does not trust the folder's owner, for one."""
    return (done.stderr.strip().splitlines() or [""])[-1]


def _ask(context: Context, *words: str) -> Completed:
    return context.shell.run(["git", *words], cwd=context.recipes, timeout_s=TIMEOUT_S)
