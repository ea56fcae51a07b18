"""One comment on the pull request that is updated; a new one, which notifies people, only when the verdict becomes "worse"."""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.edge.github import GitHub
from pipeline.errors import GitHubError
from pipeline.publish.message import Message, WorkflowRun, truncate_for_github

MARK: Final = "<!-- rackbench:{name} verdict={verdict} -->"
MARKED: Final = r"<!-- rackbench:{name} verdict=(\w+) -->\s*\Z"


def publish(message: Message, run: WorkflowRun, github: GitHub, *, bots_only: bool) -> str:
    """Update the newest comment of this kind, or create one; ``bots_only`` ignores comments of people. Return a line for the log."""
    number = pull_request(message, run, github)
    thread = f"repos/{run.repository}/issues/{number}/comments"
    mark = "\n\n" + MARK.format(name=message.name, verdict=message.verdict) + "\n"
    text = truncate_for_github(message.body.rstrip(), run, end=mark)
    ours = [
        one for one in github.pages(thread) if _verdict(one, message.name) and (not bots_only or _is_bot(one))
    ]
    newest = max(ours, key=lambda one: int(one["id"]), default=None)
    if newest is None or (message.verdict == "worse" and _verdict(newest, message.name) != "worse"):
        created = github.write("POST", thread, {"body": text})
        return f"comment: created on pull request #{number}: {created['html_url']}"
    if str(newest["body"]).replace("\r\n", "\n").rstrip() == text.rstrip():
        return f"comment: unchanged on pull request #{number}: {newest['html_url']}"
    github.write("PATCH", f"repos/{run.repository}/issues/comments/{newest['id']}", {"body": text})
    return f"comment: updated on pull request #{number}: {newest['html_url']}"


def pull_request(message: Message, run: WorkflowRun, github: GitHub) -> int:
    """Return the number of the open pull request with this head, as GitHub states it; a number in the review is not trusted."""
    found = [
        int(pull["number"])
        for pull in github.pages(f"repos/{run.repository}/pulls", state="open")
        if pull["head"]["sha"] == message.head_sha
        and (
            not message.head_repository
            or ((pull["head"].get("repo") or {}).get("full_name") or "").lower()
            == message.head_repository.lower()
        )
    ]
    if not found:
        of = f" of {message.head_repository}" if message.head_repository else ""
        what = f"no open pull request has {message.head_sha[:12]}{of} as its head"
        raise GitHubError(
            what,
            where=run.repository,
            hint="it was closed, or has newer commits, whose run publishes the comment",
            status=404,
        )
    return max(found)


def _verdict(comment: dict[str, Any], name: str) -> str:
    """The verdict in a comment of this kind; empty for other comments."""
    found = re.search(MARKED.format(name=re.escape(name)), str(comment.get("body") or ""))
    return found[1] if found else ""


def _is_bot(comment: dict[str, Any]) -> bool:
    return (comment.get("user") or {}).get("type") == "Bot"
