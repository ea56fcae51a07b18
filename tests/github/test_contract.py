"""Every request of ours, and every answer of the fake that the other tests trust, held against GitHub's own description."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import publish
from pipeline.edge.github import GitHub
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, GitHubError
from pipeline.flow import fetching, publishing
from pipeline.flow.context import Context
from pipeline.publish import Message, WorkflowRun
from pipeline.schema.publication import Annotation
from tests.fakes import results
from tests.fakes.clock import FakeClock
from tests.fakes.github.routes import ROUTES
from tests.fakes.github.state import zipped

SHA = "0123456789" * 4
RUN = WorkflowRun(repository="acme/bench", run_id="101", sha=SHA)


@pytest.fixture
def github(fake) -> GitHub:
    return GitHub(SystemHttp(), FakeClock(), fake.token, api=fake.url)


def message(verdict: str = "worse", *, annotations: int = 0, repository: str = "") -> Message:
    found = tuple(
        Annotation(path="recipes/a.yaml", line=n + 1, severity="error", message=f"no {n}")
        for n in range(annotations)
    )
    headline = f"{verdict} than before"
    told = {"name": "nightly", "verdict": verdict, "headline": headline, "body": f"# {headline}\n\ntext"}
    return Message(**told, head_sha=SHA, head_repository=repository, annotations=found)


def test_results_of_a_run_are_fetched(fake, github, tmp_path):
    for n in (1, 2, 3):
        folder = results.folder(tmp_path / "made", results.record(results.recipe(f"{n}p1d-dep4-dep8")))
        fake.add_artifact(101, folder.name, zipped(folder))
    context = Context(Shell(), FakeClock(), tmp_path, http=SystemHttp)
    options = fetching.FetchOptions("acme/bench", 101, None, tmp_path / "out")
    assert len(fetching.fetch_run(context, options, github).new) == 3
    again = fetching.fetch_run(context, options, github)
    assert (len(again.new), len(again.known)) == (0, 3)
    assert all("authorization" not in seen.headers for seen in fake.blob_requests)
    assert len(fake.blob_requests) == 3


def test_an_expired_artifact_is_said_to_be(fake, github, tmp_path):
    fake.add_artifact(101, f"bench-101-1-{results.recipe().id}", b"gone", expired=True)
    path = f"repos/acme/bench/actions/artifacts/{next(iter(fake.artifacts))}/zip"
    with pytest.raises(GitHubError, match="410") as caught:
        github.download(path, tmp_path / "x.zip", max_bytes=1)
    assert "request id" in caught.value.hint
    with pytest.raises(ArtifactError, match="no artifact of results"):
        fetching.fetch_run(
            Context(Shell(), FakeClock(), tmp_path, http=SystemHttp),
            fetching.FetchOptions("acme/bench", fake.add_run(7)["id"], None, tmp_path),
            github,
        )


def test_a_comment_is_written_and_updated(fake, github):
    fake.add_pull(12, SHA, "fork/bench")
    assert "created on pull request #12" in publish.comment.publish(
        message("same", repository="fork/bench"), RUN, github, bots_only=True
    )
    assert "updated" in publish.comment.publish(
        message("better", repository="fork/bench"), RUN, github, bots_only=True
    )
    assert "created on pull request #12" in publish.comment.publish(
        message("worse", repository="fork/bench"), RUN, github, bots_only=True
    )
    assert len(fake.comments) == 2


def test_a_check_run_brings_all_its_annotations(fake, github):
    publish.check.publish(message(annotations=120), RUN, github)
    publish.check.publish(message(annotations=120), RUN, github)
    assert [(one["status"], one["conclusion"]) for one in fake.checks] == [("completed", "failure")]
    assert [one["start_line"] for one in fake.annotations[fake.checks[0]["id"]]] == list(range(1, 121))


def test_an_issue_is_opened_updated_and_closed(fake, github):
    said = [
        publish.issue.publish(message(verdict), RUN, github)
        for verdict in ("worse", "worse", "unknown", "same", "same")
    ]
    assert said == [
        "issue: opened #101",
        "issue: updated #101",
        "issue: #101 stays open",
        "issue: closed #101",
        "issue: none open",
    ]


def test_a_build_of_the_pages_is_asked_for(fake, github):
    assert publishing.build_pages(github, "acme/bench") == "pages: a build of acme/bench is asked for"
    assert fake.page_builds == 1


def test_a_workflow_is_started_and_its_runs_are_listed(fake, github):
    workflow = "repos/acme/bench/actions/workflows/nightly.yml"
    assert github.write("POST", f"{workflow}/dispatches", {"ref": "main", "inputs": {"shard": "2/3"}}) is None
    assert [one["inputs"] for one in fake.dispatches] == [{"shard": "2/3"}]
    fake.add_run(7, path=".github/workflows/nightly.yml", event="schedule", created_at="2026-11-25T01:00:00Z")
    query = {"event": "schedule", "created": ">=2026-11-25T00:00:00Z"}
    assert [one["id"] for one in github.pages(f"{workflow}/runs", "workflow_runs", **query)] == [7]


def test_pages_beyond_the_first_are_found(fake, github):
    for n in range(250):
        fake.add_artifact(101, f"other-{n}", b"x")
    assert len(list(github.pages("repos/acme/bench/actions/runs/101/artifacts", "artifacts"))) == 250
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "issues/12/comments", {"bdy": "x"}),
        ("POST", "check-runs", {"name": "n"}),
        ("POST", "check-runs", {"name": "n", "head_sha": SHA, "conclusion": "bogus", "status": "completed"}),
    ],
)
def test_the_proxy_does_refuse_what_github_would_not_take(fake, github, method, path, document):
    with pytest.raises(GitHubError, match="422"):
        github.write(method, f"repos/acme/bench/{path}", document)
    assert fake.requests == []


def test_the_proxy_does_refuse_a_fake_that_says_what_github_would_not(fake):
    fake.add_artifact(101, "x", b"x", size_in_bytes="many")
    url, headers = (
        f"{fake.url}/repos/acme/bench/actions/runs/101/artifacts",
        {"Authorization": f"Bearer {fake.token}"},
    )
    answer = SystemHttp().request("GET", url, headers=headers, timeout_s=60)
    assert answer.status == 500
    assert b"size_in_bytes" in answer.body


def test_every_address_that_the_fake_knows_is_in_the_description(described):
    known = json.loads(Path(described).read_text())["paths"]
    for method, pattern in ROUTES:
        parts = [r"\{\w+\}" if "(?P" in part else part for part in pattern.split("/")]
        shape = "/repos/{owner}/{repo}" + "/".join("{}" if part.startswith(r"\{") else part for part in parts)
        matches = [
            path for path in known if _shape(path) == _shape(shape.replace("/zip", "/{archive_format}"))
        ]
        assert any(method.lower() in known[path] for path in matches), (method, pattern)


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
