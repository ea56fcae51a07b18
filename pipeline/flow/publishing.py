"""publish: a rendered report or a review, to every target that was named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import publish as package
from pipeline import store
from pipeline.edge.files import read_regular
from pipeline.errors import ArtifactError, GitHubError, PipelineError
from pipeline.flow.context import Context, read
from pipeline.publish import Message, foreign, report_message
from pipeline.publish.targets import TARGETS, Publication, PublishClients, PublishOptions, publish_all
from pipeline.schema.report import ReportData

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub

__all__ = ["TARGETS", "PublishClients", "PublishOptions", "build_pages", "publish", "read_message"]


def publish(context: Context, options: PublishOptions, clients: PublishClients) -> list[str]:
    """Publish to every target and return what was done; raise the first error when all were tried."""
    message = read_message(options)
    now = context.clock.now().isoformat(timespec="seconds")
    page = report_message.page_entry(message, options.run, site_url=options.site_url, published_at=now)
    entry = page if options.has_page else None
    address = package.site.page_url(entry) if entry else ""
    message = replace(message, body=package.with_pictures(message.body, address))
    _mark_retracted(context, options)
    lines, errors = publish_all(Publication(message, entry, options, clients), context.clock)
    for line in (*lines, *(f"error: {error}" for error in errors[1:])):
        context.log(line)
    if errors:
        raise errors[0]
    return lines


def _mark_retracted(context: Context, options: PublishOptions) -> None:
    stones = store.retractions(options.history) if options.history else ()
    for line in package.site.mark(options.site, stones):
        context.log(line)


def read_message(options: PublishOptions) -> Message:
    """Return the message of the report or of the review in the folder, or that nothing was measured."""
    if options.nothing:
        message = report_message.of_nothing(*options.nothing, options.run.url)
        return report_message.about(
            message, options.run, options.head and replace(options.head, repository="")
        )
    if not options.folder.is_dir():
        hint = "name a rendered report, or a review"
        raise PipelineError("no such folder", where=str(options.folder), hint=hint)
    if not (options.folder / foreign.REVIEW).exists():
        return report_message.about(_report(options), options.run, options.head)
    files = {
        name: read_regular(options.folder / name, max_bytes=foreign.MAX_FILE_BYTES)
        for name in foreign.REVIEW_FILES
    }
    where, repository = str(options.folder / foreign.REVIEW), options.run.repository
    return foreign.read_review(files, where=where, head=options.head, repository=repository)


def _report(options: PublishOptions) -> Message:
    from pipeline import analyse, render

    path = options.folder / "data.json"
    if not path.is_file():
        hint = "name a rendered report, or a review"
        raise ArtifactError("neither data.json nor review.json", where=str(options.folder), hint=hint)
    data = ReportData.from_json(read(path), where=str(path))
    report = analyse.analyse(data)
    body = read(options.folder / "README.md").decode("utf-8", errors="replace")
    return report_message.of_report(report, data, headline=render.headline(report), body=body)


def build_pages(github: GitHub, repository: str) -> str:
    """Request a build of the Pages site, which a push with the token of Actions may not start; return the outcome."""
    try:
        github.write("POST", f"repos/{repository}/pages/builds")
    except GitHubError as error:
        if error.status != 404:
            raise
        return f"pages: {repository} has no Pages site that is built from a branch (Settings → Pages); the branch has it all"
    return f"pages: a build of {repository} is asked for"
