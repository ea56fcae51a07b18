"""publish: a rendered report or a review, told wherever people look; one place that fails keeps no other from being told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline import publish as room
from pipeline.edge.files import read_regular
from pipeline.errors import ArtifactError, GitHubError, PipelineError
from pipeline.flow.context import Context, read
from pipeline.publish import Head, Message, WorkflowRun, foreign
from pipeline.schema.publication import PageEntry
from pipeline.schema.report import CoverageRow, ReportData

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub
    from pipeline.edge.http import Http

TARGETS: Final = ("summary", "comment", "check", "pages", "feed", "issue", "webhook")
SITE: Final = frozenset({"pages", "feed"})
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What the command line and the environment asked for.

    ``run`` is told of, by ``here`` where that is another. ``nothing`` = (report, why): that is told, though on no page.
    """

    folder: Path
    targets: tuple[str, ...]
    run: WorkflowRun
    site: Path
    site_url: str = ""
    summary: Path | None = None
    webhook: str = ""
    head: Head | None = None
    in_actions: bool = False
    nothing: tuple[str, str] | None = None
    here: WorkflowRun | None = None


@dataclass(frozen=True, slots=True)
class PublishClients:
    """To GitHub and to a webhook; ``github`` is made when it is needed, so that a summary needs no token."""

    http: Http
    github: Callable[[], GitHub]


def publish(context: Context, options: PublishOptions, clients: PublishClients) -> list[str]:
    """Tell every target; gives what was done. The first error is raised when all were tried."""
    message = read_message(options)
    if options.nothing:
        options = replace(options, targets=tuple(target for target in options.targets if target not in SITE))
    entry = _entry(context, options, message) if SITE & set(options.targets) or options.site_url else None
    address = room.site.page_url(entry) if entry else ""
    message = replace(message, body=room.with_pictures(message.body, address))
    clients = replace(
        clients, github=cache(clients.github)
    )  # one client, so that a second lies between the writes of two targets too
    done: list[str] = []
    errors: list[PipelineError] = []
    for target in sorted(options.targets, key=TARGETS.index):
        try:
            done.append(
                _again_if_it_may_help(context, partial(_tell, target, options, clients, message, entry))
            )
        except PipelineError as error:
            error.what = f"{target}: {error.what}"
            errors.append(error)
    for line in done:
        context.log(line)
    for other in errors[1:]:
        context.log(f"error: {other}")
    if errors:
        raise errors[0]
    return done


def _again_if_it_may_help(context: Context, tell: Callable[[], str]) -> str:
    """Every target looks before it writes, so one that GitHub may or may not have taken is told again from the start."""
    for attempt in range(1, TRIES):
        try:
            return tell()
        except GitHubError as error:
            if 0 < error.status < 500:
                raise
            context.clock.sleep(2.0**attempt)
    return tell()


def _tell(
    target: str, options: PublishOptions, clients: PublishClients, message: Message, entry: PageEntry | None
) -> str:
    if target == "summary":
        if options.summary is None:
            raise PipelineError(
                "GITHUB_STEP_SUMMARY is not set",
                hint="it is inside of GitHub Actions; elsewhere name a file by it",
            )
        return room.summary.publish(message, options.here or options.run, options.summary)
    if target == "webhook":
        page = room.site.page_url(entry) if entry else ""
        return room.webhook.publish(message, options.run, clients.http, options.webhook, page=page)
    if target in SITE:
        return _to_site(target, options, entry)
    if not options.run.repository:
        raise PipelineError(
            "GITHUB_REPOSITORY is not set",
            hint="it is inside of GitHub Actions; elsewhere set it to OWNER/NAME",
        )
    if target == "comment":
        return room.comment.publish(message, options.run, clients.github(), bots_only=options.in_actions)
    if target == "check":
        if not message.head_sha:
            raise PipelineError("GITHUB_SHA is not set", hint="a check run belongs to a commit")
        return room.check.publish(message, options.run, clients.github())
    return room.issue.publish(message, options.run, clients.github())


def _to_site(target: str, options: PublishOptions, entry: PageEntry | None) -> str:
    if entry is None or (options.folder / "review.json").exists():
        raise PipelineError(
            "a review has no page", where=str(options.folder), hint="reports have: publish a report's folder"
        )
    done = room.site.add(options.site, options.folder, entry) if target == "pages" else "feed: made again"
    room.site.rebuild(options.site)
    return f"{done}; {options.site}/index.html"


def read_message(options: PublishOptions) -> Message:
    """The report or the review in the folder, or that there is nothing."""
    if options.nothing:
        return _nothing(options, *options.nothing)
    if not options.folder.is_dir():
        raise PipelineError(
            "no such folder", where=str(options.folder), hint="name a rendered report, or a review"
        )
    return _review(options) if (options.folder / "review.json").exists() else _report(options)


def _nothing(options: PublishOptions, name: str, why: str) -> Message:
    headline = f"🔴 nothing was measured: {why}"
    body = f"# {headline}\n\n" + (f"[The run]({options.run.url}) says more.\n" if options.run.url else "")
    sha = options.head.sha if options.head else options.run.sha
    return Message(
        name=name, verdict="unknown", headline=headline, body=body, head_sha=sha, has_failures=True
    )


def _report(options: PublishOptions) -> Message:
    """The verdict is computed from the report's data again: nothing is parsed out of its text."""
    from pipeline import analyse, render

    path = options.folder / "data.json"
    if not path.is_file():
        raise ArtifactError(
            "neither data.json nor review.json",
            where=str(options.folder),
            hint="name a rendered report, or a review",
        )
    data = ReportData.from_json(read(path), where=str(path))
    report = analyse.analyse(data)
    body = read(options.folder / "README.md").decode("utf-8", errors="replace")
    origin = f" ({report.origin})" if report.origin and report.origin != "measured" else ""
    return Message(
        name=report.name,
        verdict=report.verdict,
        headline=render.headline(report) + origin,
        body=body,
        head_sha=options.head.sha if options.head else options.run.sha,
        head_repository=options.head.repository if options.head else "",
        origin=report.origin,
        has_failures=any(
            row.state in ("failed", "invalid") or _did_not_arrive(row, data) for row in report.coverage
        ),
    )


def _did_not_arrive(row: CoverageRow, data: ReportData) -> bool:
    return row.state == "missing" and row.recipe in data.awaited


def build_pages(github: GitHub, repository: str) -> str:
    """Ask for a build of the Pages site, which a push with the token of Actions may not start; gives what came of it."""
    try:
        github.write("POST", f"repos/{repository}/pages/builds")
    except GitHubError as error:
        if error.status != 404:
            raise
        return f"pages: {repository} has no Pages site that is built from a branch (Settings → Pages); the branch has it all"
    return f"pages: a build of {repository} is asked for"


def _review(options: PublishOptions) -> Message:
    files = {
        name: read_regular(options.folder / name, max_bytes=foreign.MAX_FILE_BYTES)
        for name in foreign.REVIEW_FILES
    }
    return foreign.read_review(files, where=str(options.folder / foreign.REVIEW), head=options.head)


def _entry(context: Context, options: PublishOptions, message: Message) -> PageEntry:
    return PageEntry(
        name=message.name,
        run_id=options.run.run_id or "local",
        attempt=options.run.attempt,
        verdict=message.verdict,
        headline=message.headline,
        origin=message.origin,
        published_at=context.clock.now().isoformat(timespec="seconds"),
        site_url=options.site_url,
        run_url=options.run.url,
    )
