"""Where a message can be published: each target by name, its requirements, and all of them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.edge.clock import Clock
from pipeline.errors import GitHubError, PipelineError
from pipeline.publish import check, comment, issue, site, summary, webhook
from pipeline.publish.foreign import REVIEW, Head
from pipeline.publish.message import Message, WorkflowRun
from pipeline.schema.publication import PageEntry

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub
    from pipeline.edge.http import Http

SITE: Final = frozenset({"pages", "feed"})
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What the command line and the environment asked for.

    The message is about ``run``; links lead to ``here`` where that is another run. ``nothing`` = (report, why): no report was rendered.
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
    history: str = ""  # whose retractions the site shows

    @property
    def needed(self) -> tuple[str, ...]:
        """The targets in their order; without a report there are no pages."""
        chosen = set(self.targets) - (SITE if self.nothing else set())
        return tuple(target for target in TARGETS if target in chosen)

    @property
    def has_page(self) -> bool:
        """Whether the message has a page that others can link to."""
        return bool(SITE & set(self.needed)) or bool(self.site_url)


@dataclass(frozen=True, slots=True)
class PublishClients:
    """Clients of GitHub and of a webhook; ``github`` is called when it is needed, so that a summary needs no token."""

    http: Http
    github: Callable[[], GitHub]


@dataclass(frozen=True, slots=True)
class Publication:
    """A message with everything that its targets need; ``entry`` None = it has no page."""

    message: Message
    entry: PageEntry | None
    options: PublishOptions
    clients: PublishClients


def publish_all(publication: Publication, clock: Clock) -> tuple[list[str], list[PipelineError]]:
    """Publish to every target; return what was done and the errors. A target that fails stops no other."""
    clients = publication.clients
    # One client, so that it can keep a second between the writes of two targets, too.
    shared = replace(publication, clients=replace(clients, github=cache(clients.github)))
    lines: list[str] = []
    errors: list[PipelineError] = []
    for target in publication.options.needed:
        try:
            lines.append(_with_retries(TARGETS[target], shared, clock))
        except PipelineError as error:
            error.what = f"{target}: {error.what}"
            errors.append(error)
    return lines, errors


def _with_retries(publish: Callable[[Publication], str], publication: Publication, clock: Clock) -> str:
    """Publish again after an error of the network or of GitHub's servers: every target looks before it writes."""
    for attempt in range(1, TRIES):
        try:
            return publish(publication)
        except GitHubError as error:
            if 0 < error.status < 500:
                raise
            clock.sleep(2.0**attempt)
    return publish(publication)


def _summary(one: Publication) -> str:
    if one.options.summary is None:
        hint = "GitHub Actions sets it; elsewhere set it to a file"
        raise PipelineError("GITHUB_STEP_SUMMARY is not set", hint=hint)
    return summary.publish(one.message, one.options.here or one.options.run, one.options.summary)


def _comment(one: Publication) -> str:
    return comment.publish(one.message, _run(one), one.clients.github(), bots_only=one.options.in_actions)


def _check(one: Publication) -> str:
    run = _run(one)
    if not one.message.head_sha:
        raise PipelineError("GITHUB_SHA is not set", hint="a check run belongs to a commit")
    return check.publish(one.message, run, one.clients.github())


def _issue(one: Publication) -> str:
    return issue.publish(one.message, _run(one), one.clients.github())


def _webhook(one: Publication) -> str:
    page = site.page_url(one.entry) if one.entry else ""
    options = one.options
    return webhook.publish(one.message, options.run, one.clients.http, options.webhook, page=page)


def _pages(one: Publication) -> str:
    entry = _entry(one)
    return _rebuilt(one, site.add(one.options.site, one.options.folder, entry))


def _feed(one: Publication) -> str:
    _entry(one)
    return _rebuilt(one, "feed: rebuilt")


def _entry(one: Publication) -> PageEntry:
    if one.entry is None or (one.options.folder / REVIEW).exists():
        hint = "publish the folder of a report"
        raise PipelineError("a review has no page", where=str(one.options.folder), hint=hint)
    return one.entry


def _rebuilt(one: Publication, line: str) -> str:
    site.rebuild(one.options.site)
    return f"{line}; {one.options.site}/index.html"


def _run(one: Publication) -> WorkflowRun:
    if not one.options.run.repository:
        hint = "GitHub Actions sets it; elsewhere set it to OWNER/NAME"
        raise PipelineError("GITHUB_REPOSITORY is not set", hint=hint)
    return one.options.run


TARGETS: Final[dict[str, Callable[[Publication], str]]] = {  # in the order of publishing
    "summary": _summary,
    "comment": _comment,
    "check": _check,
    "pages": _pages,
    "feed": _feed,
    "issue": _issue,
    "webhook": _webhook,
}
