"""HTTP through a program in another place: the program is real, the place is this machine."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.edge.http import ConnectionLostError
from pipeline.edge.relay import RelayedHttp
from pipeline.edge.shell import Shell


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.respond(
            404 if self.path == "/missing" else 200,
            self.path.encode() * (100_000 if self.path == "/l" else 1),
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.respond(201, body + self.headers["x-mark"].encode())

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("X-Answer", "yes")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def relay(tmp_path):
    started = []

    def command(argv):
        started.append(argv)
        return [sys.executable, *argv[1:]]

    made = RelayedHttp(Shell(), command, tmp_path / "relay.log")
    made.started = started
    yield made
    made.close()


def test_answers_of_any_status_and_size_come_through_one_program(relay, url):
    found = relay.request("GET", f"{url}/a", timeout_s=5)
    assert (found.status, found.body, found.headers["x-answer"]) == (200, b"/a", "yes")
    assert relay.request("GET", f"{url}/missing", timeout_s=5).status == 404
    assert len(relay.request("GET", f"{url}/l", timeout_s=5).body) == 200_000
    sent = relay.request("POST", url, headers={"x-mark": "!"}, body=b"\x00\xff", timeout_s=5)
    assert (sent.status, sent.body) == (201, b"\x00\xff!")
    assert len(relay.started) == 1


def test_a_server_that_is_not_there_is_a_lost_connection(relay):
    with pytest.raises(ConnectionLostError, match="refused"):
        relay.request("GET", "http://127.0.0.1:9/", timeout_s=5)


def test_a_program_that_ended_is_started_again_for_the_next_request(relay, url, monkeypatch):
    assert relay.request("GET", f"{url}/a", timeout_s=5).status == 200
    relay._dialogue._process.kill()
    with pytest.raises(ConnectionLostError):
        relay.request("GET", f"{url}/a", timeout_s=5)
    assert relay.request("GET", f"{url}/a", timeout_s=5).status == 200
    assert len(relay.started) == 2
