"""One issue while the nightly is red: opened when it turns, kept up to date, closed when it is green again."""

from __future__ import annotations

from typing import Any, Final

from pipeline.edge.github import GitHub
from pipeline.publish.message import Message, WorkflowRun, cut

LABEL: Final = "rackbench-nightly"
MOST_BYTES: Final = 65_000
GREEN: Final = frozenset({"better", "same"})


def publish(message: Message, run: WorkflowRun, github: GitHub) -> str:
    """Open, update or close, and say which; an unknown verdict without a failure is neither red nor green and changes nothing."""
    issues = f"repos/{run.repository}/issues"
    mark = f"<!-- rackbench:{message.name} -->"
    standing = _standing(github, issues, mark)
    if message.verdict in GREEN and not message.is_red and standing is not None:
        github.write(
            "POST", f"{issues}/{standing}/comments", {"body": f"{message.headline}\n\n{_run_line(run)}"}
        )
        github.write("PATCH", f"{issues}/{standing}", {"state": "closed", "state_reason": "completed"})
        return f"issue: #{standing} closed"
    if not message.is_red:
        return "issue: none is open" if standing is None else f"issue: #{standing} stays open"
    text = {"title": message.headline[:250], "body": _body(message, run, mark)}
    if standing is not None:
        github.write("PATCH", f"{issues}/{standing}", text)
        return f"issue: #{standing} updated"
    made = int(github.write("POST", issues, {**text, "labels": [LABEL]})["number"])
    first = _standing(github, issues, mark)
    if first is not None and first != made:  # two nights that ended together: the older issue stays
        github.write("PATCH", f"{issues}/{made}", {"state": "closed", "state_reason": "not_planned"})
        github.write("PATCH", f"{issues}/{first}", text)
        return f"issue: #{first} updated, #{made} was one too many"
    return f"issue: #{made} opened"


def _standing(github: GitHub, issues: str, mark: str) -> int | None:
    """The oldest open issue of ours."""
    found = [
        int(one["number"]) for one in github.pages(issues, state="open", labels=LABEL) if _is_ours(one, mark)
    ]
    return min(found, default=None)


def _is_ours(issue: dict[str, Any], mark: str) -> bool:
    return "pull_request" not in issue and str(issue.get("body") or "").rstrip().endswith(mark)


def _body(message: Message, run: WorkflowRun, mark: str) -> str:
    more = f"[The run]({run.url}) has all of it." if run.url else ""
    return cut(f"{message.body.rstrip()}\n\n{_run_line(run)}", MOST_BYTES, more=more, end=f"\n\n{mark}\n")


def _run_line(run: WorkflowRun) -> str:
    return f"Run: {run.url} attempt {run.attempt}" if run.url else "Published outside of Actions."
