"""A message to publish: a verdict in one line, and a text that starts with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline.schema.publication import Annotation, Verdict
from pipeline.schema.result import Origin

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
LOCAL_IMAGE = re.compile(r'((?:src|srcset)=")(?!\w+:|/)([^"]+")')
PICTURE = re.compile(r"<picture>(?:(?!<picture>).)*?</picture>", re.DOTALL)  # each text is scanned once
LOCAL_MARKDOWN_IMAGE = re.compile(r"!\[[^\]\n]{0,300}\]\((?!\w{1,20}:)[^)\n]{1,500}\)")
MAX_BYTES: Final = 65_000  # GitHub accepts 65,536 characters
MORE: Final = "\n\n_The text is truncated here: it is longer than GitHub accepts. {more}_\n"


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run; ``run_id`` is empty outside of GitHub Actions."""

    repository: str
    run_id: str = ""
    attempt: int = 1
    sha: str = ""
    server: str = "https://github.com"

    @property
    def url(self) -> str:
        """The address of the page of the run; empty outside of GitHub Actions."""
        return (
            f"{self.server}/{self.repository}/actions/runs/{self.run_id}"
            if self.run_id and self.repository
            else ""
        )


@dataclass(frozen=True, slots=True)
class Message:
    """``headline`` is plain text and starts with the verdict's icon.

    ``body`` is Markdown and starts with the headline.
    """

    name: str
    verdict: Verdict
    headline: str
    body: str
    head_sha: str
    head_repository: str = ""
    origin: Origin | None = None
    annotations: tuple[Annotation, ...] = ()
    is_foreign: bool = False  # from the code of another repository: it says nothing that turns a check green
    has_failures: bool = False  # deployments that failed, are missing, or have invalid points

    @property
    def is_red(self) -> bool:
        """Whether a person has to look: a deployment is slower, failed, is missing or has invalid points."""
        return self.verdict == "worse" or self.has_failures


def with_pictures(body: str, base: str) -> str:
    """Return the text with the addresses of local pictures below ``base``; without a ``base`` the pictures are removed.

    >>> with_pictures('a <picture><img src="p.svg"></picture>', "https://x/pages/1/")
    'a <picture><img src="https://x/pages/1/p.svg"></picture>'
    >>> with_pictures('a <picture><img src="p.svg"></picture>', "")
    'a '
    """
    if base:
        return LOCAL_IMAGE.sub(rf"\g<1>{base}\g<2>", body)
    return LOCAL_MARKDOWN_IMAGE.sub("", PICTURE.sub("", body))


def truncate_for_github(body: str, run: WorkflowRun, end: str = "") -> str:
    """Return ``body`` and ``end`` as a comment, issue or check run can hold them, truncated with a link to the run."""
    more = f"The complete text is on the page of [the run]({run.url})." if run.url else ""
    return truncate(body, MAX_BYTES, more=more, end=end)


def truncate(body: str, max_bytes: int, *, more: str, end: str = "") -> str:
    """Return ``body`` and ``end`` in at most ``max_bytes`` of UTF-8.

    A longer ``body`` ends after a whole line, with open folds and code blocks closed, and with ``more``.
    """
    if len((body + end).encode()) <= max_bytes:
        return body + end
    left = max_bytes - len(end.encode()) - len(MORE.format(more=more).encode()) - 64
    kept: list[str] = []
    open_folds, fence = 0, ""
    for line in body.splitlines(keepends=True):
        left -= len(line.encode())
        if left - open_folds * len("</details>\n") < 0:
            break
        kept.append(line)
        fence = _fence_after(line, fence)
        if not fence:
            open_folds = max(0, open_folds + line.count("<details") - line.count("</details>"))
    return (
        "".join(kept)
        + (f"\n{fence}" if fence else "")
        + "\n</details>" * open_folds
        + MORE.format(more=more)
        + end
    )


def _fence_after(line: str, fence: str) -> str:
    """The code fence that is open after this line."""
    found = FENCE.match(line)
    if not found:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) else fence
