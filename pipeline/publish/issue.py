"""One issue while the nightly is red: opened when it becomes red, updated, closed when it is green again."""

from __future__ import annotations

from typing import Any, Final

from pipeline.edge.github import GitHub
from pipeline.publish.message import Message, WorkflowRun, truncate_for_github

LABEL: Final = "rackbench-nightly"
GREEN: Final = frozenset({"better", "same"})


def publish(message: Message, run: WorkflowRun, github: GitHub) -> str:
    """Open, update or close the issue and return a line for the log; an unknown verdict without a failure changes nothing."""
    issues = f"repos/{run.repository}/issues"
    mark = f"<!-- rackbench:{message.name} -->"
    open_issue = _oldest_open(github, issues, mark)
    if message.verdict in GREEN and not message.is_red and open_issue is not None:
        github.write(
            "POST", f"{issues}/{open_issue}/comments", {"body": f"{message.headline}\n\n{_run_line(run)}"}
        )
        github.write("PATCH", f"{issues}/{open_issue}", {"state": "closed", "state_reason": "completed"})
        return f"issue: closed #{open_issue}"
    if not message.is_red:
        return "issue: none open" if open_issue is None else f"issue: #{open_issue} stays open"
    text = {"title": message.headline[:250], "body": _body(message, run, mark)}
    if open_issue is not None:
        github.write("PATCH", f"{issues}/{open_issue}", text)
        return f"issue: updated #{open_issue}"
    created = int(github.write("POST", issues, {**text, "labels": [LABEL]})["number"])
    first = _oldest_open(github, issues, mark)
    if first is not None and first != created:  # two runs ended at the same time: the older issue stays
        github.write("PATCH", f"{issues}/{created}", {"state": "closed", "state_reason": "not_planned"})
        github.write("PATCH", f"{issues}/{first}", text)
        return f"issue: updated #{first}, closed the duplicate #{created}"
    return f"issue: opened #{created}"


def _oldest_open(github: GitHub, issues: str, mark: str) -> int | None:
    """The oldest open issue of this kind."""
    found = [
        int(one["number"]) for one in github.pages(issues, state="open", labels=LABEL) if _is_ours(one, mark)
    ]
    return min(found, default=None)


def _is_ours(issue: dict[str, Any], mark: str) -> bool:
    return "pull_request" not in issue and str(issue.get("body") or "").rstrip().endswith(mark)


def _body(message: Message, run: WorkflowRun, mark: str) -> str:
    return truncate_for_github(f"{message.body.rstrip()}\n\n{_run_line(run)}", run, end=f"\n\n{mark}\n")


def _run_line(run: WorkflowRun) -> str:
    return f"Run: {run.url} attempt {run.attempt}" if run.url else "Published outside of Actions."
