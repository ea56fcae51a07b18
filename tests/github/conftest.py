"""A proxy between our client and our fake that knows GitHub's own OpenAPI description: it refuses what either of them gets wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.edge.http import ConnectionLostError, SystemHttp
from tests.fakes.github import serve

OURS = {
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
    "/repos/{owner}/{repo}/actions/runs/{run_id}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts",
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}",
    "/repos/{owner}/{repo}/pages/builds",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/issues",
    "/repos/{owner}/{repo}/issues/{issue_number}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/issues/comments/{comment_id}",
    "/repos/{owner}/{repo}/check-runs",
    "/repos/{owner}/{repo}/check-runs/{check_run_id}",
    "/repos/{owner}/{repo}/commits/{ref}/check-runs",
}
MANUAL_REDIRECT = Path(__file__).parent / "manual-redirect.cjs"
UP_WITHIN_S = 300.0


@pytest.fixture(scope="session")
def described(tmp_path_factory) -> Path:
    """The description of the addresses that we use: 14 of about 700, so that the proxy is up in seconds.

    What GitHub does and its description leaves out is added: its own media type beside application/json, 304, and ranges of dates in
    ``created`` (the description says so in words, and calls it one date).
    """
    whole = json.loads(
        (_modules() / "@octokit/openapi/generated/api.github.com.deref.json").read_text(encoding="utf-8")
    )
    paths = {path: whole["paths"][path] for path in sorted(OURS)}
    for operation in (
        one for path in paths.values() for method, one in path.items() if method != "parameters"
    ):
        for answer in operation["responses"].values():
            if "application/json" in answer.get("content", {}):
                answer["content"]["application/vnd.github+json"] = answer["content"]["application/json"]
        for parameter in operation["parameters"]:
            if parameter["name"] == "created":
                del parameter["schema"]["format"]
        operation["responses"].setdefault("304", {"description": "Not modified"})
    slim = tmp_path_factory.mktemp("openapi") / "github.json"
    slim.write_text(
        json.dumps(
            {"openapi": whole["openapi"], "info": whole["info"], "servers": whole["servers"], "paths": paths}
        )
    )
    return slim


@pytest.fixture(scope="session")
def behind_proxy(described):
    """The fake, whose ``url`` is the proxy's."""
    with serve() as fake:
        port = _free_port()
        prism = [
            str(_modules() / "@stoplight/prism-cli/dist/index.js"),
            "proxy",
            "--errors",
            "--port",
            str(port),
        ]
        argv = [
            os.environ["CONTRACT_NODE"],
            "--require",
            str(MANUAL_REDIRECT),
            *prism,
            str(described),
            fake.url,
        ]
        env, log = {**os.environ, "NODE_PATH": str(_modules())}, described.with_suffix(".log")
        with (
            log.open("wb") as output,
            subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env) as proxy,
        ):
            try:
                fake.url = f"http://127.0.0.1:{port}"
                _wait_until_up(proxy, fake.url, log)
                yield fake
            finally:
                proxy.terminate()


@pytest.fixture
def fake(behind_proxy):
    behind_proxy.clear()
    return behind_proxy


def _modules() -> Path:
    named = os.environ.get("CONTRACT_MODULES")
    if not named or "CONTRACT_NODE" not in os.environ:
        pytest.fail("these tests need a proxy from npm: run them with nox -s contract", pytrace=False)
    return Path(named)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_until_up(proxy: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        assert proxy.poll() is None, log.read_text()
        try:
            SystemHttp().request("GET", f"{url}/nowhere", timeout_s=30)
        except ConnectionLostError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the proxy did not come up: {log.read_text()}")
