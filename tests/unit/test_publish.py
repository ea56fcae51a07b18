"""publish: the verdict comes first everywhere, and telling twice, or after being killed, tells once."""

from __future__ import annotations

import json
import shutil
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree as ET

import pytest

from pipeline import analyse, cli, render
from pipeline.edge.github import GitHub
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, GitHubError, PipelineError
from pipeline.flow import publishing
from pipeline.flow.context import Context
from pipeline.publish import Head, WorkflowRun, site
from pipeline.publish.message import truncate
from pipeline.schema.publication import Annotation, PageEntry, Review
from tests.fakes import rows
from tests.fakes.clock import FakeClock
from tests.fakes.github import serve

SHA = "0123456789" * 4
GREEN, RED = 1000.0, 900.0


@pytest.fixture
def fake():
    with serve() as fake:
        yield fake


class Place:
    """A folder, a GitHub, and what is published from the one to the other."""

    def __init__(self, folder: Path, fake) -> None:
        self.folder, self.fake = folder, fake
        self.site, self.summary = folder / "site", folder / "summary.md"
        self.clock = FakeClock()

    def report(self, tok_s_gpu: float = GREEN, body: str = "") -> Path:
        """A report's folder, better, worse or the same as 1000 tok/s/GPU the night before."""
        of = rows.recipe()
        before = rows.row(of, 4096, (1000.0, 30.0), run="100")
        data = rows.report_data(rows.row(of, 4096, (tok_s_gpu, 30.0), run="101"), previous=(before,))
        headline = render.headline(analyse.analyse(data))
        out = self.folder / f"report-{tok_s_gpu:g}"
        out.mkdir(exist_ok=True)
        (out / "data.json").write_text(data.to_json())
        (out / "README.md").write_text(f"# {headline}\n\n{body or 'text'}\n")
        (out / "index.html").write_text(f"<h1>{headline}</h1>")
        (out / "pareto.svg").write_text("<svg/>")
        (out / ".secret").write_text("not published")
        return out

    def review(
        self,
        verdict: str = "worse",
        *,
        annotations: int = 0,
        repository: str = "fork/bench",
        sha: str = SHA,
        body: str = "",
    ) -> Path:
        out = self.folder / "review"
        out.mkdir(exist_ok=True)
        found = tuple(
            Annotation(path="recipes/a.yaml", line=n + 1, severity="error", message="m")
            for n in range(annotations)
        )
        made = Review(
            verdict=verdict, headline=f"🔴 {verdict}", head_sha=sha, repository=repository, annotations=found
        )
        (out / "review.json").write_text(made.to_json())
        (out / "comment.md").write_text(body or f"### 🔴 {verdict}\n\ntable\n")
        return out

    def publish(self, folder: Path, *targets: str, run_id: str = "101", **options) -> list[str]:
        run = WorkflowRun(repository="acme/bench", run_id=run_id, sha=SHA)
        chosen = {"site": self.site, "summary": self.summary, "in_actions": True, **options}
        github = GitHub(SystemHttp(), self.clock, self.fake.token, api=self.fake.url)
        made = publishing.PublishOptions(folder=folder, targets=targets, run=run, **chosen)
        return publishing.publish(
            Context(Shell(), self.clock, folder, http=SystemHttp),
            made,
            publishing.PublishClients(SystemHttp(), lambda: github),
        )


@pytest.fixture
def place(tmp_path, fake):
    return Place(tmp_path, fake)


def first_lines(place) -> list[str]:
    return [
        text.splitlines()[0]
        for text in (
            place.summary.read_text(),
            *(one["body"] for one in (*place.fake.comments, *place.fake.issues)),
        )
    ]


def test_the_first_line_of_everything_is_the_verdict(place):
    place.fake.add_pull(5, SHA)
    place.publish(place.report(RED), "summary", "comment", "check", "pages", "issue")
    titles = (place.fake.checks[0]["output"]["title"], place.fake.issues[0]["title"])
    assert all(title.endswith(" (simulated)") for title in titles)
    for line in (*first_lines(place), *titles):
        assert "🔴" in line
        assert "worse" in line or "slower" in line
    assert json.loads((place.site / "badge.json").read_text())["message"] == "worse (simulated)"
    assert "🔴" in (place.site / "index.html").read_text().partition("<h1>")[2].partition("</h1>")[0]


def test_a_summary_is_added_to_what_others_wrote(place):
    place.summary.write_text("before\n")
    place.publish(place.report(), "summary")
    assert place.summary.read_text().startswith("before\n# ")


def test_a_summary_stays_below_what_the_runner_takes_and_links_to_the_rest(place):
    place.summary.write_text("x" * 1000)
    place.publish(place.report(body="| a row |\n" * 200_000), "summary")
    text = place.summary.read_text()
    assert (1 << 20) - 200 < len(text.encode()) <= 1 << 20
    assert text.rstrip().endswith(
        "It is in the [artifacts of this run](https://github.com/acme/bench/actions/runs/101#artifacts)._"
    )


def test_a_summary_without_room_is_an_error(place):
    place.summary.write_text("x" * (1 << 20))
    with pytest.raises(PipelineError, match="full"):
        place.publish(place.report(), "summary")
    assert len(place.summary.read_text()) == 1 << 20


def test_a_cut_text_closes_what_is_open():
    body = "# title\n<details>\n<summary>s</summary>\n\n```yaml\n" + "ä: 1\n" * 1000 + "```\n</details>\n"
    short = truncate(body, 500, more="See there.", end="<!-- end -->")
    assert len(short.encode()) <= 500
    assert (
        short.index("```yaml")
        < short.index("\n```\n")
        < short.index("</details>")
        < short.index("See there.")
    )
    assert short.endswith("<!-- end -->")
    assert truncate("short", 500, more="x", end="!") == "short!"


def test_a_comment_is_updated_in_place_and_a_new_one_calls_when_it_turns_red(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    for verdict in ("same", "better", "worse", "worse", "same", "worse"):
        place.publish(place.review(verdict), "comment")
    assert [one["body"].splitlines()[0] for one in place.fake.comments_on(5)] == [
        "### 🔴 better",
        "### 🔴 same",
        "### 🔴 worse",
    ]


def test_a_comment_on_any_page_is_found_and_those_of_people_are_not_ours(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    place.publish(place.review("same"), "comment")
    ours = place.fake.comments[0]
    for n in range(250):
        place.fake.add_comment(5, f"talk {n}", login="someone", type="User")
    place.fake.add_comment(5, ours["body"], login="someone", type="User")
    place.fake.comments.append(place.fake.comments.pop(0))
    place.publish(place.review("better"), "comment")
    assert len(place.fake.comments) == 252
    assert ours["body"].startswith("### 🔴 better")


def test_the_same_words_are_not_written_again(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    for _ in range(2):
        place.publish(place.review(), "comment")
    assert [len(place.fake.asked(method)) for method in ("POST", "PATCH")] == [1, 0]


def test_a_long_comment_is_cut_and_still_found(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    for _ in range(2):
        place.publish(place.review(body="### 🔴 worse\n" + "| ä row |\n" * 20_000), "comment")
    assert len(place.fake.comments) == 1
    assert len(place.fake.comments[0]["body"].encode()) <= 65_536


@pytest.mark.parametrize(("sha", "repository"), [("f" * 40, "fork/bench"), (SHA, "other/bench")])
def test_a_pull_request_is_found_by_its_head_only(place, sha, repository):
    place.fake.add_pull(5, sha, repository)
    with pytest.raises(GitHubError, match="no open pull request has 012345678901 of fork/bench"):
        place.publish(place.review(), "comment")
    assert place.fake.comments == []


def test_a_pull_request_whose_fork_is_gone_is_passed_over(place):
    place.fake.add_pull(4, SHA)["head"]["repo"] = None
    place.fake.add_pull(5, SHA, "Fork/Bench")
    place.publish(place.review(), "comment")
    assert len(place.fake.comments_on(5)) == 1


def test_a_review_speaks_for_no_other_commit_than_the_event_says(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    with pytest.raises(ArtifactError, match="the event is of commit ffffffffffff"):
        place.publish(place.review(), "comment", head=Head("f" * 40, "fork/bench"))
    with pytest.raises(GitHubError, match="of evil/bench"):
        place.publish(place.review(), "comment", head=Head(SHA, "evil/bench"))
    assert place.fake.comments == []


def test_a_review_cannot_forge_our_mark(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    for _ in range(2):
        place.publish(place.review("same", body="### x\n<!-- rackbench:review verdict=worse -->"), "comment")
    place.publish(place.review("worse"), "comment")
    assert len(place.fake.comments) == 2


@pytest.mark.parametrize("name", ["review.json", "comment.md"])
def test_a_review_that_is_a_link_or_torn_or_too_large_is_refused(place, name):
    path = place.review() / name
    with path.open("ab") as file:
        file.truncate(9 << 20)
    with pytest.raises(ArtifactError, match="not a regular file"):
        place.publish(path.parent, "comment")
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="not a regular file"):
        place.publish(path.parent, "comment")
    (place.review() / "review.json").unlink()
    (place.folder / "review/review.json").write_text('{"schema": 1, "verdict": "great"}')
    with pytest.raises(ArtifactError):
        place.publish(path.parent, "comment")


def test_a_check_run_takes_fifty_annotations_a_request(place):
    place.publish(place.review(annotations=101), "check")
    one = place.fake.checks[0]
    assert [len(seen.body["output"]["annotations"]) for seen in place.fake.requests if seen.body] == [
        50,
        50,
        1,
    ]
    assert (one["status"], one["conclusion"], one["output"]["annotations_count"]) == (
        "completed",
        "failure",
        101,
    )


def test_a_stranger_does_not_say_how_many_requests_a_check_run_takes(place):
    place.publish(place.review(annotations=20_000), "check")
    sent = [one for seen in place.fake.requests if seen.body for one in seen.body["output"]["annotations"]]
    assert len(sent) == 250
    assert sent[-1]["message"].startswith("19751 more findings are not shown")
    assert [one["message"] for one in sent[:-1]] == ["m"] * 249


def test_a_stranger_calls_nobody_by_our_comment(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    body = "### x @acme/all, **@octocat** &#64;root &commat;root \\@root vllm/vllm-openai@sha256:0 me@example.org"
    place.publish(place.review(body=body), "comment")
    said = place.fake.comments[0]["body"].splitlines()[0]
    z = "\u200b"
    told = f"### x @{z}acme/all, **@{z}octocat** &#64;{z}root &commat;{z}root \\@{z}root vllm/vllm-openai@sha256:0 me@example.org"
    assert said == told


def test_a_report_is_commented_where_its_head_repository_is(place):
    place.fake.add_pull(5, SHA, "other/bench")
    with pytest.raises(GitHubError, match="of fork/bench"):
        place.publish(place.report(), "comment", head=Head(SHA, "fork/bench"))
    assert place.fake.comments == []


def test_a_cut_summary_links_to_the_run_that_keeps_the_report(place):
    there = WorkflowRun(repository="acme/bench", run_id="707")
    place.publish(place.report(body="| a row |\n" * 200_000), "summary", here=there)
    assert place.summary.read_text().rstrip().endswith("actions/runs/707#artifacts)._")


def test_pages_are_built_where_there_are_any(place):
    github = GitHub(SystemHttp(), place.clock, place.fake.token, api=place.fake.url)
    assert publishing.build_pages(github, "acme/bench").endswith("is asked for")
    place.fake.has_pages = False
    assert "has no Pages site" in publishing.build_pages(github, "acme/bench")
    assert place.fake.page_builds == 1
    place.fake.fail("POST", "pages/builds", 403)
    with pytest.raises(GitHubError, match="403"):
        publishing.build_pages(github, "acme/bench")


def test_a_check_run_that_was_cut_short_is_finished_without_saying_anything_twice(place):
    place.fake.fail("PATCH", "check-runs", 422)
    with pytest.raises(GitHubError, match="check: 422"):
        place.publish(place.review(annotations=101), "check")
    place.publish(place.review(annotations=101), "check")
    place.publish(place.review(annotations=101), "check")
    assert len(place.fake.checks) == 1
    assert [one["start_line"] for one in place.fake.annotations[place.fake.checks[0]["id"]]] == list(
        range(1, 102)
    )


def test_a_write_that_github_did_but_did_not_answer_is_not_doubled(place):
    place.fake.add_pull(5, SHA, "fork/bench")
    for path in ("comments$", "check-runs$"):
        place.fake.fail("POST", path, 502, done=True)
    place.publish(place.review(), "comment", "check")
    place.fake.fail("POST", "issues$", 502, done=True)
    place.publish(place.report(RED), "issue")
    assert (len(place.fake.comments), len(place.fake.checks), len(place.fake.issues)) == (1, 1, 1)


def test_an_issue_lives_as_long_as_the_nightly_is_red(place):
    said = [
        place.publish(place.report(tok_s), "issue", run_id=str(n))[0]
        for n, tok_s in enumerate((GREEN, RED, RED, GREEN, GREEN, RED))
    ]
    states = ["none open", "opened #101", "updated #101", "closed #101", "none open", "opened #102"]
    assert said == [f"issue: {state}" for state in states]
    assert [one["state"] for one in place.fake.issues] == ["closed", "open"]
    assert "actions/runs/2" in place.fake.issues[0]["body"]
    assert len(place.fake.comments_on(101)) == 1


def test_a_night_with_a_failed_deployment_is_red_whatever_the_others_say(place):
    folder = place.report(GREEN)
    data = rows.report_data(rows.row(rows.recipe(), 4096, None, run="101"))
    (folder / "data.json").write_text(data.to_json())
    assert place.publish(folder, "issue") == ["issue: opened #101"]
    assert place.publish(place.report(GREEN), "issue") == ["issue: closed #101"]


def test_a_night_without_a_report_is_told_and_red_until_one_is_green(place, capsys):
    env = {
        "GITHUB_TOKEN": place.fake.token,
        "GITHUB_API_URL": place.fake.url,
        "GITHUB_REPOSITORY": place.fake.repository,
    }
    env |= {"GITHUB_STEP_SUMMARY": str(place.summary), "GITHUB_RUN_ID": "101", "GITHUB_SHA": SHA}
    words = [
        "--nothing",
        "gb300-vs-gb200",
        "no plan",
        "--to",
        "summary,pages,feed,issue",
        "--site",
        str(place.site),
    ]
    assert cli.run(["publish", *words], env) == 7
    assert "::error::nothing was measured: no plan" in capsys.readouterr().err
    assert place.summary.read_text().startswith("# 🔴 nothing was measured: no plan\n")
    assert [(one["state"], one["title"]) for one in place.fake.issues] == [
        ("open", "🔴 nothing was measured: no plan")
    ]
    assert not place.site.exists()
    assert place.publish(place.report(GREEN), "issue") == ["issue: closed #101"]
    assert cli.run(["publish", "--to", "issue"], env) != 0


def test_issues_of_others_and_pull_requests_are_left_alone(place):
    place.publish(place.report(RED), "issue")
    body = place.fake.issues.pop()["body"]
    place.fake.add_issue("theirs", "talk about it", ("rackbench-nightly",))
    place.fake.add_issue("a pull request", body, ("rackbench-nightly",), pull_request={"url": "x"})
    place.publish(place.report(GREEN), "issue")
    assert [one["state"] for one in place.fake.issues] == ["open", "open"]


def test_two_nights_that_turn_red_together_open_one_issue(place):
    report = place.report(RED)
    place.publish(report, "issue", run_id="7")
    theirs = place.fake.issues.pop()

    class Late(list):
        """The other night's issue, seen only after ours is there."""

        def append(self, row):
            super().append(theirs)
            row["number"] = 102
            super().append(row)

    place.fake.issues = Late()
    assert place.publish(report, "issue", run_id="8") == ["issue: updated #101, closed the duplicate #102"]
    assert [one["state"] for one in place.fake.issues] == ["open", "closed"]
    assert "actions/runs/8" in theirs["body"]


def test_every_night_has_its_page_and_old_ones_stay_as_they_were(place):
    place.publish(place.report(GREEN), "pages", run_id="7", site_url="https://acme.github.io/bench/")
    before = (place.site / "pages/7-1-gb300-vs-gb200/index.html").read_bytes()
    place.clock.sleep(86_400)
    place.publish(place.report(RED), "pages", run_id="8", site_url="https://acme.github.io/bench/")
    assert (place.site / "pages/7-1-gb300-vs-gb200/index.html").read_bytes() == before
    index = (place.site / "index.html").read_text()
    assert index.index("pages/8-1-") < index.index("pages/7-1-")
    assert sorted(path.name for path in (place.site / "pages/8-1-gb300-vs-gb200").iterdir()) == [
        "README.md",
        "data.json",
        "entry.json",
        "index.html",
        "pareto.svg",
    ]


def test_the_feed_is_atom_with_the_newest_first_and_addresses_that_last(place):
    for n, tok_s in enumerate((GREEN, RED)):
        place.publish(place.report(tok_s), "pages", run_id=f"{n}", site_url="https://acme.github.io/bench/")
        place.clock.sleep(60)
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ET.fromstring((place.site / "feed.xml").read_text())  # noqa: S314  # ours
    assert feed.tag == f"{atom}feed"
    assert [one.findtext(f"{atom}id") for one in feed.iter(f"{atom}entry")] == [
        f"https://acme.github.io/bench/pages/{n}-1-gb300-vs-gb200/" for n in (1, 0)
    ]
    assert feed.findtext(f"{atom}updated") == next(feed.iter(f"{atom}entry")).findtext(f"{atom}updated")
    badge = json.loads((place.site / "badge.json").read_text())
    assert badge == {
        "schemaVersion": 1,
        "label": "gb300-vs-gb200",
        "message": "worse (simulated)",
        "color": "red",
    }


def test_a_feed_can_be_made_again_alone(place):
    place.publish(place.report(), "feed")
    assert "<feed" in (place.site / "feed.xml").read_text()
    assert not (place.site / "pages").exists()


def test_a_second_lies_between_the_writes_of_two_targets(place):
    made = []

    def github() -> GitHub:
        made.append(GitHub(SystemHttp(), place.clock, place.fake.token, api=place.fake.url))
        return made[-1]

    options = publishing.PublishOptions(
        place.report(RED), ("check", "issue"), WorkflowRun("acme/bench", sha=SHA), place.site
    )
    publishing.publish(
        Context(Shell(), place.clock, place.folder, http=SystemHttp),
        options,
        publishing.PublishClients(SystemHttp(), github),
    )
    assert len(made) == 1
    assert place.clock.slept == [1.0]


def test_publishing_again_changes_nothing_and_says_what_it_would_have(place):
    place.publish(place.report(), "pages")
    before = {path: path.read_bytes() for path in place.site.rglob("*") if path.is_file()}
    place.clock.sleep(3600)
    assert "exists already" in place.publish(place.report(), "pages")[0]
    assert (
        "exists already; not replaced although they differ: README.md"
        in place.publish(place.report(body="other"), "pages")[0]
    )
    assert {path: path.read_bytes() for path in place.site.rglob("*") if path.is_file()} == before


def test_a_headline_is_text_and_never_markup(tmp_path):
    said = {
        "verdict": "worse",
        "headline": "<script>x</script> & more",
        "origin": None,
        "published_at": "2026-11-25T00:00:00+00:00",
    }
    entry = PageEntry(name="n", run_id="1", attempt=1, site_url="", run_url="", **said)
    assert "<script>" not in site.index([(entry, None)])
    assert "&lt;script&gt;" in site.feed([(entry, None)])
    assert site.index([]).count("No report yet") == 2


def test_pictures_are_shown_from_the_site_or_not_at_all(place):
    body = '<picture><source srcset="p-dark.svg"><img src="pareto.svg"></picture> and ![p](pareto.png)'
    report = place.report(body=body)
    place.publish(report, "summary", site_url="https://acme.github.io/bench/")
    assert (
        'src="https://acme.github.io/bench/pages/101-1-gb300-vs-gb200/pareto.svg"'
        in place.summary.read_text()
    )
    place.summary.unlink()
    place.publish(report, "summary")
    assert "pareto" not in place.summary.read_text()


def test_one_place_that_fails_keeps_no_other_from_being_told(place, capsys):
    with pytest.raises(GitHubError, match="comment: no open pull request"):
        place.publish(place.report(RED), "summary", "comment", "check", "issue")
    assert place.summary.exists()
    assert (len(place.fake.checks), len(place.fake.issues)) == (1, 1)


class Hook(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self):
        self.server.seen.append(
            (dict(self.headers), json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        )
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status", [200, 500])
def test_a_webhook_gets_the_verdict_and_never_our_token(place, status):
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.seen, server.status = [], status
        Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/services/secret"
        if status == 200:
            place.publish(place.report(RED), "webhook", webhook=url)
        else:
            with pytest.raises(PipelineError, match="the webhook responds with 500") as caught:
                place.publish(place.report(RED), "webhook", webhook=url)
            assert "secret" not in str(caught.value)
    headers, document = server.seen[0]
    assert "Authorization" not in headers
    assert document["text"].startswith("🔴")
    assert (document["verdict"], document["origin"]) == ("worse", "simulated")
    with pytest.raises(PipelineError) as caught:
        place.publish(place.report(RED), "webhook", webhook=url)
    assert "secret" not in str(caught.value)


def test_from_the_command_line(place, capsys, tmp_path):
    env = {
        "GITHUB_STEP_SUMMARY": str(place.summary),
        "GITHUB_API_URL": place.fake.url,
        "GITHUB_TOKEN": place.fake.token,
    }
    report = str(place.report(RED))
    assert cli.run(["publish", report, "--to", "summary"], env) == 0
    assert cli.run(["publish", report, "--to", "summary,issue"], env) == 2
    assert "GITHUB_REPOSITORY is not set" in capsys.readouterr().err
    assert cli.run(["publish", report, "--to", "issue"], {**env, "GITHUB_REPOSITORY": "acme/bench"}) == 0
    assert len(place.fake.issues) == 1
    assert cli.run(["publish", str(tmp_path), "--to", "summary"], env) == 7
    assert cli.run(["publish", str(tmp_path / "none"), "--to", "summary"], env) == 2
    with pytest.raises(SystemExit):
        cli.run(["publish", report, "--to", "summary"], {**env, "GITHUB_RUN_ATTEMPT": "x"})
    assert cli.run(["publish", report, "--to", "webhook"], env) == 2
    assert "RACKBENCH_WEBHOOK_URL is not set" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.run(["publish", report, "--to", "twitter"], env)
    assert "choose from summary, comment" in capsys.readouterr().err


def test_a_workflow_run_event_says_whose_head_it_is(place, tmp_path, capsys):
    place.fake.add_pull(5, SHA, "fork/bench")
    event = tmp_path / "event.json"
    env = {
        "GITHUB_API_URL": place.fake.url,
        "GITHUB_TOKEN": place.fake.token,
        "GITHUB_REPOSITORY": "acme/bench",
    }
    env |= {"GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": str(event)}
    words = ["publish", str(place.review(repository="acme/bench")), "--to", "comment"]
    told = {"id": 77, "run_attempt": 2, "head_sha": SHA, "head_repository": {"full_name": "fork/bench"}}
    event.write_text(json.dumps({"workflow_run": told}))
    assert cli.run([*words, "--to", "check"], {**env, "GITHUB_RUN_ID": "99"}) == 0
    assert place.fake.checks[0]["external_id"] == "77-2"
    event.write_text(json.dumps({"workflow_run": {**told, "head_sha": "f" * 40}}))
    assert cli.run(words, env) == 7
    for wrong in (
        {},
        {"workflow_run": {}},
        {"workflow_run": {**told, "head_repository": None}},
        {"workflow_run": {**told, "id": "x"}},
    ):
        event.write_text(json.dumps(wrong))
        assert cli.run(words, env) == 2
        assert "no workflow_run with a head" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "review")
    assert len(place.fake.comments) == 1
