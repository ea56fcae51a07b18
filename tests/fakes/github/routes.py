"""What each address answers: (method, pattern) → a function of the state that gives status and document."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.github.state import EXAMPLES, NOW, GitHubState, Seen

Reply = tuple[int, Any]
Route = Callable[[GitHubState, re.Match[str], Seen], Reply]
MISSING: Reply = (
    404,
    {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"},
)


def refused(message: str) -> Reply:
    return 422, {
        "message": f"Validation Failed: {message}",
        "documentation_url": "https://docs.github.com/rest",
        "status": "422",
    }


def get_run(state: GitHubState, match: re.Match[str], _seen: Seen) -> Reply:
    found = state.runs.get(int(match["run"]))
    return (200, found) if found else MISSING


def list_artifacts(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    if int(match["run"]) not in state.runs:
        return MISSING
    rows = [one.row for one in state.artifacts.values() if one.row["workflow_run"]["id"] == int(match["run"])]
    name = seen.query.get("name")
    return 200, {"artifacts": [row for row in rows if name is None or row["name"] == name]}


def get_zip(state: GitHubState, match: re.Match[str], _seen: Seen) -> Reply:
    found = state.artifacts.get(int(match["artifact"]))
    if found is None:
        return MISSING
    if found.row["expired"]:
        return 410, {
            "message": "Artifact has expired",
            "documentation_url": "https://docs.github.com/rest",
            "status": "410",
        }
    return 302, f"{state.blobs}/{found.row['id']}.zip?sig=a-signature%3D"


def list_pulls(state: GitHubState, _match: re.Match[str], seen: Seen) -> Reply:
    wanted = seen.query.get("state", "open")
    return 200, [one for one in state.pulls if wanted in {"all", one["state"]}]


def list_comments(state: GitHubState, match: re.Match[str], _seen: Seen) -> Reply:
    return 200, state.comments_on(int(match["number"]))


def add_comment(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    body = seen.body.get("body")
    if not isinstance(body, str) or not body or len(body) > 65536:
        return refused("body is missing or too long (maximum is 65536 characters)")
    return 201, state.add_comment(int(match["number"]), body)


def change_comment(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    found = next((one for one in state.comments if one["id"] == int(match["comment"])), None)
    if found is None:
        return MISSING
    if len(seen.body["body"]) > 65536:
        return refused("body is too long (maximum is 65536 characters)")
    found |= {"body": seen.body["body"], "updated_at": NOW}
    return 200, found


def list_issues(state: GitHubState, _match: re.Match[str], seen: Seen) -> Reply:
    wanted, labels = (
        seen.query.get("state", "open"),
        set(filter(None, seen.query.get("labels", "").split(","))),
    )
    rows = [
        one
        for one in state.issues
        if wanted in {"all", one["state"]} and labels <= {label["name"] for label in one["labels"]}
    ]
    return 200, rows[::-1]


def add_issue(state: GitHubState, _match: re.Match[str], seen: Seen) -> Reply:
    if len(seen.body.get("title", "")) > 256 or len(seen.body.get("body", "")) > 65536:
        return refused("title or body is too long")
    return 201, state.add_issue(
        seen.body["title"], seen.body.get("body", ""), tuple(seen.body.get("labels", ()))
    )


def change_issue(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    found = next((one for one in state.issues if one["number"] == int(match["number"])), None)
    if found is None:
        return MISSING
    found |= {
        key: value for key, value in seen.body.items() if key in {"title", "body", "state", "state_reason"}
    }
    found |= {"closed_at": NOW if found["state"] == "closed" else None}
    return 200, found


def list_checks(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    rows = [
        one
        for one in state.checks
        if one["head_sha"] == match["sha"] and seen.query.get("check_name", one["name"]) == one["name"]
    ]
    return 200, {"check_runs": rows}


def add_check(state: GitHubState, _match: re.Match[str], seen: Seen) -> Reply:
    number = state.next_id()
    row = {
        **copy.deepcopy(EXAMPLES["check_run"]),
        "id": number,
        "conclusion": None,
        "completed_at": None,
        "external_id": "",
    }
    state.annotations[number] = []
    problem = _merge_check(state, row, seen.body)
    if problem:
        return refused(problem)
    state.checks.append(row)
    return 201, row


def change_check(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    found = next((one for one in state.checks if one["id"] == int(match["check"])), None)
    if found is None:
        return MISSING
    problem = _merge_check(state, found, seen.body)
    return refused(problem) if problem else (200, found)


def _merge_check(state: GitHubState, row: dict[str, Any], body: dict[str, Any]) -> str:
    """Annotations of every request are added to those before; a request brings 50 at most."""
    new = body.get("output", {}).get("annotations", [])
    if len(new) > 50:
        return "output.annotations has more than 50 items"
    if len(body.get("output", {}).get("summary", "")) > 65535:
        return "output.summary is too long"
    state.annotations[row["id"]] += new
    row |= {
        key: body[key]
        for key in ("name", "head_sha", "external_id", "details_url", "status", "conclusion")
        if key in body
    }
    row["completed_at"] = NOW if row["status"] == "completed" else None
    output = {key: body["output"][key] for key in ("title", "summary") if key in body.get("output", {})}
    row["output"] = {**row["output"], **output, "annotations_count": len(state.annotations[row["id"]])}
    return ""


def start_workflow(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    inputs = seen.body.get("inputs", {})
    if (
        not seen.body.get("ref")
        or len(inputs) > 25
        or not all(isinstance(value, str) for value in inputs.values())
    ):
        return refused("ref is missing, or inputs are not texts")
    state.dispatches.append({"workflow": match["workflow"], **seen.body})
    return 204, None


def list_runs(state: GitHubState, match: re.Match[str], seen: Seen) -> Reply:
    since = seen.query.get("created", ">=").removeprefix(">=")
    event = seen.query.get("event")
    of_file = [one for one in state.runs.values() if one["path"].endswith(f"/{match['workflow']}")]
    rows = [one for one in of_file if one["event"] == (event or one["event"]) and one["created_at"] >= since]
    return 200, {"workflow_runs": rows}


def build_pages(state: GitHubState, _match: re.Match[str], _seen: Seen) -> Reply:
    if not state.has_pages:
        return MISSING
    state.page_builds += 1
    return 201, {
        "url": f"https://api.github.com/repos/{state.repository}/pages/builds/latest",
        "status": "queued",
    }


ROUTES: dict[tuple[str, str], Route] = {
    ("POST", r"/actions/workflows/(?P<workflow>[\w.-]+)/dispatches"): start_workflow,
    ("GET", r"/actions/workflows/(?P<workflow>[\w.-]+)/runs"): list_runs,
    ("GET", r"/actions/runs/(?P<run>\d+)"): get_run,
    ("GET", r"/actions/runs/(?P<run>\d+)/artifacts"): list_artifacts,
    ("GET", r"/actions/artifacts/(?P<artifact>\d+)/zip"): get_zip,
    ("POST", r"/pages/builds"): build_pages,
    ("GET", r"/pulls"): list_pulls,
    ("GET", r"/issues/(?P<number>\d+)/comments"): list_comments,
    ("POST", r"/issues/(?P<number>\d+)/comments"): add_comment,
    ("PATCH", r"/issues/comments/(?P<comment>\d+)"): change_comment,
    ("GET", r"/issues"): list_issues,
    ("POST", r"/issues"): add_issue,
    ("PATCH", r"/issues/(?P<number>\d+)"): change_issue,
    ("GET", r"/commits/(?P<sha>[0-9a-f]{40})/check-runs"): list_checks,
    ("POST", r"/check-runs"): add_check,
    ("PATCH", r"/check-runs/(?P<check>\d+)"): change_check,
}


def answer(state: GitHubState, seen: Seen) -> Reply:
    """The first route that fits; what this project never asks is not there."""
    for (method, pattern), route in ROUTES.items():
        match = re.fullmatch(rf"(?:/api/v3)?/repos/{re.escape(state.repository)}{pattern}", seen.path)
        if match and method == seen.method:
            with state.lock:
                return route(state, match, seen)
    return MISSING
