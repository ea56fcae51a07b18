"""One comment on the pull request, kept up to date; a new one only when the verdict turns red, because then somebody should be called."""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.edge.github import GitHub
from pipeline.errors import GitHubError
from pipeline.publish.message import Message, WorkflowRun, cut

MOST_BYTES: Final = 65_000  # GitHub takes 65,536 characters
MARK: Final = "<!-- rackbench:{name} verdict={verdict} -->"
MARKED: Final = r"<!-- rackbench:{name} verdict=(\w+) -->\s*\Z"


def publish(message: Message, run: WorkflowRun, github: GitHub, *, bots_only: bool) -> str:
    """Find our newest comment and update it, or write one; ``bots_only``: a comment of a person is never ours. Gives what was done."""
    number = pull_request(message, run, github)
    thread = f"repos/{run.repository}/issues/{number}/comments"
    mark = "\n\n" + MARK.format(name=message.name, verdict=message.verdict) + "\n"
    more = f"[The run]({run.url}) has all of it." if run.url else ""
    text = cut(message.body.rstrip(), MOST_BYTES, more=more, end=mark)
    ours = [
        one for one in github.pages(thread) if _verdict(one, message.name) and (not bots_only or _is_bot(one))
    ]
    newest = max(ours, key=lambda one: int(one["id"]), default=None)
    if newest is None or (message.verdict == "worse" and _verdict(newest, message.name) != "worse"):
        made = github.write("POST", thread, {"body": text})
        return f"comment: new on #{number} {made['html_url']}"
    if str(newest["body"]).replace("\r\n", "\n").rstrip() == text.rstrip():
        return f"comment: #{number} says so already"
    github.write("PATCH", f"repos/{run.repository}/issues/comments/{newest['id']}", {"body": text})
    return f"comment: updated on #{number} {newest['html_url']}"


def pull_request(message: Message, run: WorkflowRun, github: GitHub) -> int:
    """The open pull request whose head is this commit of this repository, as GitHub says; no number is taken from anybody else."""
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
            hint="it was pushed to, or closed, since: the newer run comments",
            status=404,
        )
    return max(found)


def _verdict(comment: dict[str, Any], name: str) -> str:
    """The verdict in a comment of ours; empty when it is none."""
    found = re.search(MARKED.format(name=re.escape(name)), str(comment.get("body") or ""))
    return found[1] if found else ""


def _is_bot(comment: dict[str, Any]) -> bool:
    return (comment.get("user") or {}).get("type") == "Bot"
