"""Verbs that talk to GitHub: fetch, publish, sync."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import Verbs, add_run, expecting, number
from pipeline.errors import ArtifactError, PipelineError
from pipeline.flow.context import Context

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub

LARGEST_EVENT = 32 << 20


def fetch(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import fetching

    options = fetching.FetchOptions(arguments.repo, arguments.run_id, arguments.attempt, arguments.out)
    github = github_client(context, arguments.env, cache=arguments.out / ".github")
    fetched = fetching.fetch_run(context, options, github)
    for folder in (*fetched.new, *fetched.known):
        print(folder)
    context.log(f"{len(fetched.new)} downloaded, {len(fetched.known)} already in {arguments.out}")
    if error := fetched.error(f"{arguments.repo} run {arguments.run_id}"):
        raise error
    return 0


def publish(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.edge.actions import notice
    from pipeline.flow import publishing
    from pipeline.publish import Head, WorkflowRun

    env: Mapping[str, str] = arguments.env
    if (arguments.folder is None) == (arguments.nothing is None):
        raise PipelineError(
            "give either a folder or --nothing",
            hint="publish build/report --to …, or publish --nothing NAME WHY --to …",
        )
    event = _workflow_run_event(env)
    run = WorkflowRun(
        repository=env.get("GITHUB_REPOSITORY", ""),
        run_id=event.run_id if event else arguments.run_id or "",
        attempt=event.attempt if event else arguments.attempt,
        sha=env.get("GITHUB_SHA", ""),
        server=env.get("GITHUB_SERVER_URL") or "https://github.com",
    )
    summary = env.get("GITHUB_STEP_SUMMARY", "")
    options = publishing.PublishOptions(
        folder=arguments.folder or Path(),
        targets=tuple(dict.fromkeys(target for named in arguments.to for target in named)),
        run=run,
        site=arguments.site,
        site_url=arguments.site_url,
        history=arguments.history or "",
        summary=Path(summary) if summary else None,
        webhook=env.get("RACKBENCH_WEBHOOK_URL", ""),
        head=Head(event.head_sha, event.head_repository) if event else None,
        in_actions=env.get("GITHUB_ACTIONS") == "true",
        here=replace(run, run_id=env.get("GITHUB_RUN_ID") or run.run_id),
        nothing=tuple(arguments.nothing) if arguments.nothing else None,
    )
    publishing.publish(
        context, options, publishing.PublishClients(context.http(), lambda: github_client(context, env))
    )
    if options.nothing:
        notice("error", f"nothing was measured: {options.nothing[1]}")
        raise ArtifactError(
            f"publish: nothing was measured: {options.nothing[1]}",
            where=run.url,
            hint="see the log of that run",
        )
    return 0


def sync(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import publishing, syncing
    from pipeline.store.branch import Branch

    branch = Branch(arguments.repository, arguments.remote, arguments.branch, arguments.message)
    synced = syncing.sync(context, arguments.history, branch)
    context.log(f"{branch.name}: {len(synced.pulled)} files pulled, {len(synced.pushed)} pushed")
    if arguments.build_pages:
        context.log(publishing.build_pages(github_client(context, arguments.env), arguments.build_pages))
    return 0


def github_client(context: Context, env: Mapping[str, str], cache: Path | None = None) -> GitHub:
    """Return a client of the GitHub that the environment names, with its token."""
    from pipeline.edge.github import API, GitHub
    from pipeline.edge.github_cache import Cache

    token = env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or ""
    if not token:
        context.log(
            "no GITHUB_TOKEN or GH_TOKEN: GitHub allows 60 requests an hour without a token, and no download of artifacts"
        )
    api = env.get("GITHUB_API_URL") or API
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", api):
        raise PipelineError("the token is sent over https only", where=f"GITHUB_API_URL {api}")
    return GitHub(context.http(), context.clock, token, api=api, cache=Cache(cache), log=context.log)


@dataclass(frozen=True, slots=True)
class _WorkflowRunEvent:
    """The run that a workflow_run event is about, as GitHub states it."""

    run_id: str
    attempt: int
    head_sha: str
    head_repository: str


def _workflow_run_event(env: Mapping[str, str]) -> _WorkflowRunEvent | None:
    """Return the run that a workflow_run event is about; None for every other event."""
    if env.get("GITHUB_EVENT_NAME") != "workflow_run":
        return None
    path = Path(env.get("GITHUB_EVENT_PATH", ""))
    try:
        event: Any = json.loads(path.read_bytes()[:LARGEST_EVENT])
        run = event["workflow_run"]
        head = str(run["head_sha"]), str(run["head_repository"]["full_name"])
        return _WorkflowRunEvent(str(int(run["id"])), int(run.get("run_attempt", 1)), *head)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"the event has no workflow_run with a head: {error!r}", where=f"GITHUB_EVENT_PATH {path}"
        ) from error


def _repository(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise ValueError
    return text


repository = expecting("a repository (OWNER/NAME)", _repository)


def targets(text: str) -> list[str]:
    from pipeline.flow.publishing import TARGETS

    named = [word.strip() for word in text.split(",") if word.strip()]
    unknown = next((word for word in named if word not in TARGETS), None)
    if unknown or not named:
        what = f"unknown target {unknown!r}" if unknown else "no target"
        raise argparse.ArgumentTypeError(f"{what}; choose from {', '.join(TARGETS)}")
    return named


def add_repository(added: argparse.ArgumentParser, env: Mapping[str, str]) -> None:
    """Add ``--repo`` to a verb that talks to GitHub, and pass it the environment."""
    added.add_argument(
        "--repo",
        type=repository,
        required=not env.get("GITHUB_REPOSITORY"),
        default=env.get("GITHUB_REPOSITORY"),
        metavar="OWNER/NAME",
        help="repository (default: GitHub's)",
    )
    added.set_defaults(env=env)


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verbs of this module."""
    added = verbs.add(
        "fetch",
        fetch,
        "download the result folders of a workflow run",
        "--repo acme/bench --run-id 26105123 --out results",
        needs_recipes=False,
    )
    add_repository(added, env)
    added.add_argument("--run-id", type=number(1), required=True, metavar="N", help="id of the run")
    added.add_argument(
        "--attempt", type=number(1), metavar="N", help="newest attempt to download (default: all)"
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result folders")
    _add_publish(verbs, env)
    _add_sync(verbs, env)


def _add_publish(verbs: Verbs, env: Mapping[str, str]) -> None:
    added = verbs.add(
        "publish",
        publish,
        "publish a report or a review on GitHub",
        "build/report --to summary,issue,pages --site site",
        needs_recipes=False,
    )
    added.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a rendered report, or a review (review.json and comment.md)",
    )
    added.add_argument(
        "--nothing",
        nargs=2,
        metavar=("NAME", "WHY"),
        help="instead of a folder: publish that report NAME has no measurements, and exit 7",
    )
    added.add_argument(
        "--to",
        type=targets,
        action="append",
        required=True,
        metavar="LIST",
        help="targets, separated by commas: summary, comment, check, pages, feed, issue, webhook",
    )
    add_run(added, env, otherwise="or that of the workflow_run event")
    added.add_argument(
        "--site",
        type=Path,
        default=Path("site"),
        metavar="DIR",
        help="folder of the pages, their index, feed and badge (default: %(default)s)",
    )
    added.add_argument(
        "--site-url",
        default="",
        metavar="URL",
        help="address of the site, for links and pictures in messages",
    )
    added.add_argument(
        "--history", metavar="URL", help="mark the pages of runs that this history has retracted"
    )
    added.set_defaults(env=env)


def _add_sync(verbs: Verbs, env: Mapping[str, str]) -> None:
    added = verbs.add(
        "sync",
        sync,
        "sync an append-only directory with a git branch",
        "--branch history --history history --remote origin",
        needs_recipes=False,
    )
    added.add_argument(
        "--history", type=Path, required=True, metavar="DIR", help="a history, or a site with its pages"
    )
    added.add_argument(
        "--branch", default="history", metavar="NAME", help="branch of the remote (default: %(default)s)"
    )
    added.add_argument(
        "--remote", default="origin", metavar="NAME", help="remote, or its URL (default: %(default)s)"
    )
    added.add_argument(
        "--repository",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="a checkout that knows the remote (default: the current folder)",
    )
    added.add_argument("--message", default=_message(env), metavar="TEXT", help="message of the commit")
    added.add_argument(
        "--build-pages",
        type=repository,
        metavar="OWNER/NAME",
        help="then request a build of the Pages site of this repository",
    )
    added.set_defaults(env=env)


def _message(env: Mapping[str, str]) -> str:
    run_id = env.get("GITHUB_RUN_ID")
    return (
        f"Add run {run_id} attempt {env.get('GITHUB_RUN_ATTEMPT') or 1}"
        if run_id
        else "Add what was measured"
    )
