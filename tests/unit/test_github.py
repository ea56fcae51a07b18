"""The client keeps GitHub's rules and its token: against a GitHub of our own on loopback, in time that is not real."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from pipeline.edge.github import GitHub
from pipeline.edge.github_cache import Cache
from pipeline.edge.http import SystemHttp
from pipeline.errors import ArtifactError, GitHubError
from tests.fakes.clock import FakeClock
from tests.fakes.github import serve

RUNS = "repos/acme/bench/actions/runs"
LIMITED = '{"message": "You have exceeded a secondary rate limit"}'


@pytest.fixture
def fake():
    with serve() as fake:
        yield fake


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def github(fake, clock) -> GitHub:
    return GitHub(SystemHttp(), clock, fake.token, api=fake.url)


def artifacts(github: GitHub, run: int = 101) -> list[str]:
    return [one["name"] for one in github.pages(f"{RUNS}/{run}/artifacts", "artifacts")]


def refused(github: GitHub, path: str = f"{RUNS}/101", message: str | None = None) -> GitHubError:
    with pytest.raises(GitHubError, match=message) as caught:
        github.get(path)
    assert caught.value.exit_code == 8
    return caught.value


def test_a_thousand_artifacts_come_in_ten_pages(fake, github, clock):
    names = [f"bench-101-1-recipe-{n}" for n in range(1000)]
    for name in names:
        fake.add_artifact(101, name, b"")
    assert artifacts(github) == names
    assert [seen.query["per_page"] for seen in fake.requests] == ["100"] * 10
    assert clock.slept == []


def test_what_has_not_changed_is_asked_for_by_its_etag(fake, github):
    fake.add_artifact(101, "one", b"")
    assert artifacts(github) == artifacts(github) == ["one"]
    assert "if-none-match" in fake.requests[1].headers
    fake.add_artifact(101, "two", b"")
    assert artifacts(github) == ["one", "two"]


def test_etags_outlive_the_process_and_pages_after_an_unchanged_one_are_still_read(fake, clock, tmp_path):
    for n in range(150):
        fake.add_artifact(101, str(n), b"")
    first, second = (
        GitHub(SystemHttp(), clock, fake.token, api=fake.url, cache=Cache(tmp_path)) for _ in range(2)
    )
    assert artifacts(first) == artifacts(second) == [str(n) for n in range(150)]
    assert ["if-none-match" in seen.headers for seen in fake.requests] == [False, False, True, True]


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"url": 1}'])
def test_a_torn_memory_is_as_good_as_none(fake, clock, tmp_path, torn):
    fake.add_artifact(101, "one", b"")
    for _ in range(2):
        assert artifacts(GitHub(SystemHttp(), clock, fake.token, api=fake.url, cache=Cache(tmp_path))) == [
            "one"
        ]
        for file in tmp_path.iterdir():
            file.write_text(torn)
    assert "if-none-match" not in fake.requests[1].headers


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_obeyed(fake, github, clock, status):
    fake.add_run(101)
    fake.fail("GET", "runs/101$", status, headers={"Retry-After": "37"}, body=LIMITED)
    assert github.get(f"{RUNS}/101")["id"] == 101
    assert clock.slept == [37.0]


def test_a_spent_rate_is_waited_for_until_its_reset(fake, github, clock):
    fake.add_run(101)
    reset = int((clock.start + timedelta(minutes=50)).timestamp())
    fake.fail(
        "GET", "runs/101$", 403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    )
    said: list[str] = []
    github.log = said.append
    assert github.get(f"{RUNS}/101")["id"] == 101
    assert clock.slept == [3001.0]
    assert "waiting 3001 s" in said[0]


def test_a_limit_that_outlasts_our_patience_says_when_to_come_again(fake, github, clock):
    fake.fail("GET", "runs/101$", 403, headers={"Retry-After": "7200"}, body=LIMITED)
    assert "the limit ends in 120 min: run the same command again then, it resumes" in refused(github).hint
    assert clock.slept == []


def test_a_secondary_limit_without_a_time_is_waited_for_a_minute_and_longer_each_time(fake, github, clock):
    fake.add_run(101)
    fake.fail("GET", "runs/101$", 403, body=LIMITED, times=3)
    github.get(f"{RUNS}/101")
    assert clock.slept == [60.0, 120.0, 240.0]


def test_a_limited_write_is_written_after_the_wait(fake, github, clock):
    fake.fail("POST", "comments$", 429, headers={"Retry-After": "5"})
    github.write("POST", "repos/acme/bench/issues/1/comments", {"body": "x"})
    assert len(fake.comments) == 1
    assert clock.slept == [5.0]


def test_what_may_not_be_done_is_not_tried_again(fake, github, clock):
    fake.fail("GET", "runs/101$", 403, body='{"message": "Resource not accessible by integration"}')
    error = refused(github, message="403 Resource not accessible by integration")
    assert "permissions" in error.hint
    assert error.status == 403
    assert len(fake.requests) == 1


def test_a_burst_of_5xx_is_outlasted(fake, github, clock):
    fake.add_run(101)
    fake.fail("GET", "runs/101$", 502, times=3, body="<html>Bad gateway</html>")
    fake.fail("GET", "runs/101$", 503, times=2)
    assert github.get(f"{RUNS}/101")["id"] == 101
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_github_that_stays_down_is_an_error_with_status_address_and_request_id(fake, github):
    fake.fail("GET", "runs/101$", 502, times=99, body="<html>Bad gateway</html>")
    error = refused(github, message="502 <html>Bad gateway</html>")
    assert error.where == f"GET {fake.url}/{RUNS}/101"
    assert "request id TEST:6" in error.hint
    assert len(fake.requests) == 6


def test_a_write_that_may_have_been_done_is_not_repeated(fake, github):
    fake.fail("POST", "comments$", 502, done=True)
    with pytest.raises(GitHubError, match="502"):
        github.write("POST", "repos/acme/bench/issues/1/comments", {"body": "x"})
    assert len(fake.comments) == 1


def test_a_change_that_may_have_been_done_is_done_again(fake, github):
    comment = fake.add_comment(1, "before")
    fake.fail("PATCH", "comments", 502, done=True)
    github.write("PATCH", f"repos/acme/bench/issues/comments/{comment['id']}", {"body": "after"})
    assert comment["body"] == "after"
    assert len(fake.requests) == 2


def test_a_second_lies_between_two_writes(fake, github, clock):
    for _ in range(3):
        github.write("POST", "repos/acme/bench/issues/1/comments", {"body": "x"})
    assert clock.slept == [1.0, 1.0]


def test_no_answer_at_all_is_an_error_too(clock):
    with serve() as gone:
        pass
    error = refused(GitHub(SystemHttp(), clock, "t", api=gone.url), message="no response")
    assert error.status == 0
    assert "refused" in error.what
    assert "GITHUB_API_URL" in error.hint
    assert len(clock.slept) == 5


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "set GITHUB_TOKEN"), (404, "wrong name"), (410, "expired")]
)
def test_every_refusal_says_what_next_and_has_the_request_id(fake, github, status, advice):
    fake.fail("GET", "runs/101$", status)
    error = refused(github, message=f"{status} broken by a test")
    assert advice in error.hint
    assert "request id TEST:1" in error.hint


def test_a_wrong_token_is_refused_and_not_shown(fake, clock):
    error = refused(GitHub(SystemHttp(), clock, "ghp_secret", api=fake.url), message="401")
    assert "ghp_secret" not in str(error)
    assert "ghp_secret" not in repr(GitHub(SystemHttp(), clock, "ghp_secret"))


def test_an_answer_that_is_no_json_is_an_error(fake, github):
    fake.fail("GET", "runs/101$", 200, body="<html>")
    assert "request id TEST:1" in refused(github, message="not JSON").hint


def test_a_zip_comes_from_another_host_that_never_sees_the_token(fake, github, tmp_path):
    one = fake.add_artifact(101, "one", b"PK content")
    github.download(f"repos/acme/bench/actions/artifacts/{one.row['id']}/zip", tmp_path / "x", max_bytes=100)
    assert (tmp_path / "x").read_bytes() == b"PK content"
    assert [sorted(set(seen.headers) & {"authorization", "cookie"}) for seen in fake.blob_requests] == [[]]
    assert [seen.headers["authorization"] for seen in fake.requests] == ["Bearer a-token"]


def test_credentials_of_a_netrc_go_nowhere(fake, github, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    one = fake.add_artifact(101, "one", b"PK")
    github.download(f"repos/acme/bench/actions/artifacts/{one.row['id']}/zip", tmp_path / "x", max_bytes=100)
    assert [seen.headers.get("authorization") for seen in (*fake.requests, *fake.blob_requests)] == [
        "Bearer a-token",
        None,
    ]


@pytest.mark.parametrize("status", [403, 503])
def test_an_address_that_is_no_longer_valid_is_asked_for_again(fake, github, tmp_path, status):
    one = fake.add_artifact(101, "one", b"PK")
    one.blob_status = status
    github.download(f"repos/acme/bench/actions/artifacts/{one.row['id']}/zip", tmp_path / "x", max_bytes=100)
    assert (len(fake.requests), len(fake.blob_requests)) == (2, 2)


def test_a_download_that_breaks_off_is_begun_again(fake, github, tmp_path):
    one = fake.add_artifact(101, "one", b"PK" * 5000)
    one.torn = True
    github.download(
        f"repos/acme/bench/actions/artifacts/{one.row['id']}/zip", tmp_path / "x", max_bytes=10_000
    )
    assert (tmp_path / "x").read_bytes() == b"PK" * 5000


def test_more_bytes_than_are_taken_do_not_reach_the_disk(fake, github, tmp_path):
    one = fake.add_artifact(101, "one", b"x" * 101)
    with pytest.raises(ArtifactError, match="101 bytes, the limit is 100"):
        github.download(
            f"repos/acme/bench/actions/artifacts/{one.row['id']}/zip", tmp_path / "x", max_bytes=100
        )
    assert not (tmp_path / "x").exists()


def test_the_token_follows_no_link_to_another_host(fake, github):
    fake.fail(
        "GET", "artifacts$", 200, body='{"artifacts": []}', headers={"Link": f'<{fake.blobs}/2>; rel="next"'}
    )
    with pytest.raises(GitHubError, match="another host"):
        artifacts(github)
    fake.fail("GET", "runs/101$", 301, headers={"Location": f"{fake.blobs}/elsewhere"})
    assert refused(github, message="another host").status == 301
    assert fake.blob_requests == []


def test_a_renamed_repository_is_followed(fake, github):
    fake.add_run(101)
    fake.fail("GET", "repos/acme/old/", 301, headers={"Location": f"{fake.url}/{RUNS}/101"})
    assert github.get("repos/acme/old/actions/runs/101")["id"] == 101


def test_github_enterprise_has_its_api_below_a_path(fake, clock):
    fake.add_artifact(101, "one", b"")
    assert artifacts(GitHub(SystemHttp(), clock, fake.token, api=f"{fake.url}/api/v3/")) == ["one"]
    assert fake.requests[0].path == f"/api/v3/{RUNS}/101/artifacts"


def test_a_page_without_its_list_is_an_error(fake, github):
    fake.add_run(101)
    with pytest.raises(GitHubError, match="has no list"):
        list(github.pages(f"{RUNS}/101", "artifacts"))


class Endless(BaseHTTPRequestHandler):
    """Does not say how much it sends, and does not stop."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 65_536)

    def log_message(self, *_):
        pass


def test_what_does_not_say_its_size_is_stopped_at_the_cap(tmp_path):
    with HTTPServer(("127.0.0.1", 0), Endless) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(ArtifactError, match="more than the limit of 3000000 bytes"):
            SystemHttp().download(
                f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", max_bytes=3_000_000, timeout_s=60
            )
    assert (tmp_path / "x").stat().st_size <= 3_000_000
