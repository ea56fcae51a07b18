"""A repository with its remotes, the engine, GitHub's services and its REST API, all on this machine."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.act import results
from tests.act.engine import REPOSITORY, TOKEN, Engine, git
from tests.fakes import github as fake

RECIPES = "recipes/deepseek-v4-pro-fp4/gb300-nvl72/8k1k"


@pytest.fixture(scope="module")
def github() -> Iterator[fake.GitHubState]:
    """GitHub's REST API, which remembers what was written."""
    with fake.serve(fake.GitHubState(REPOSITORY, TOKEN)) as state:
        yield state


@pytest.fixture(scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, github: fake.GitHubState
) -> Iterator[Engine]:
    """The project as it stands in a repository of its own; predictions are quick, as the repository's variable says.

    What was told is left below build/act/told for whoever wants to look at it.
    """
    tools = {name: os.environ.get(name) for name in ("ACT", "ACT_SHIMS")}
    assert all(tools.values()), (
        "act and the bundled shims are made by `nox -s actions`; start the tests with it"
    )

    def rest(
        method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection(urlsplit(github.url).netloc, timeout=120)) as connection:
            connection.request(
                method,
                path,
                body or None,
                {name: value for name, value in headers.items() if name.lower() != "host"},
            )
            answer = connection.getresponse()
            return (
                answer.status,
                {name: value for name, value in answer.getheaders() if name.lower() not in SET_AGAIN},
                answer.read(),
            )

    with results.serve(rest) as service:
        made = Engine(
            folder=tmp_path_factory.mktemp("act"),
            shims=Path(str(tools["ACT_SHIMS"])),
            act=Path(str(tools["ACT"])),
            results=service,
            variables={"REVIEW_OPTIONS": "--quick --points-only"},
            has_uv=getattr(request.module, "HAS_UV", False),
        )
        made.seed()
        yield made
        _leave(
            made,
            github,
            Path(str(tools["ACT_SHIMS"])).parent / "told" / request.module.__name__.rpartition("_")[2],
        )


def _leave(engine: Engine, github: fake.GitHubState, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for comment in github.comments:
        (out / f"comment-on-{comment['issue_url'].rpartition('/')[2]}-{comment['id']}.md").write_text(
            comment["body"]
        )
    if git(engine.remote(), "for-each-ref", "refs/heads/gh-pages"):
        git(out, "clone", "-q", "-b", "gh-pages", str(engine.remote()), "site")


SET_AGAIN = ("content-length", "date", "server", "connection")


def dispatch(**inputs: str) -> dict[str, Any]:
    """The event of a nightly that somebody started by hand, as quick as can be; the payload has texts, whatever the input's type."""
    given = {"clusters": "laptop", "quick": "true", "force": "true", "shard_size": "250", **inputs}
    return {"inputs": given, "ref": "refs/heads/main", "repository": {"full_name": REPOSITORY}}


def pull_request(
    action: str, *, base: str, head: str, repository: str = REPOSITORY, **more: Any
) -> dict[str, Any]:
    """The event of a pull request; ``repository`` is that of its head."""
    request = {
        "number": 7,
        "base": {"ref": "main", "sha": base, "repo": {"full_name": REPOSITORY}},
        "head": {"ref": "change", "sha": head, "repo": {"full_name": repository}},
    }
    return {
        "action": action,
        "number": 7,
        "pull_request": request,
        "repository": {"full_name": REPOSITORY},
        **more,
    }


def completed(workflow: str, run_id: int, *, head: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    """The event that a run of a workflow has ended; for a fork, GitHub names no pull request in it."""
    event = more.pop("event", {"nightly": "workflow_dispatch", "recipes": "pull_request"}[workflow])
    run = {
        "id": run_id,
        "run_attempt": attempt,
        "head_sha": head,
        "event": event,
        "pull_requests": [],
        "name": workflow,
    }
    run["conclusion"] = more.pop("conclusion", "success")
    run["head_repository"] = {"full_name": more.pop("repository", REPOSITORY)}
    return {
        "action": "completed",
        "workflow_run": run,
        "workflow": {"name": workflow},
        "repository": {"full_name": REPOSITORY},
    }
