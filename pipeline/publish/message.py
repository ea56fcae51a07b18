"""What is told, whoever is told: a verdict in one line, and a text that starts with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline.schema.publication import Annotation, Verdict
from pipeline.schema.result import Origin

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
LOCAL_IMAGE = re.compile(r'((?:src|srcset)=")(?!\w+:|/)([^"]+")')
PICTURE = re.compile(r"<picture>.*?</picture>", re.DOTALL)
LOCAL_MARKDOWN_IMAGE = re.compile(r"!\[[^\]]*\]\((?!\w+:)[^)]+\)")
MORE: Final = "\n\n_Cut here: the whole text is longer than GitHub takes. {more}_\n"


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """Where this happens, as GitHub names it; ``run_id`` is empty outside of Actions."""

    repository: str
    run_id: str = ""
    attempt: int = 1
    sha: str = ""
    server: str = "https://github.com"

    @property
    def url(self) -> str:
        """The run's page; empty outside of Actions."""
        return (
            f"{self.server}/{self.repository}/actions/runs/{self.run_id}"
            if self.run_id and self.repository
            else ""
        )


@dataclass(frozen=True, slots=True)
class Message:
    """``headline`` is plain text and starts with the verdict's icon; ``body`` is Markdown and starts with the headline."""

    name: str
    verdict: Verdict
    headline: str
    body: str
    head_sha: str
    head_repository: str = ""
    origin: Origin | None = None
    annotations: tuple[Annotation, ...] = ()
    has_failures: bool = False  # deployments that failed, did not arrive, or whose points were refused

    @property
    def is_red(self) -> bool:
        """Somebody should look: something got slower, failed, was refused or did not arrive."""
        return self.verdict == "worse" or self.has_failures


def with_pictures(body: str, base: str) -> str:
    """Pictures of the report's folder shown from ``base``, or left out where there is no such address.

    >>> with_pictures('a <picture><img src="p.svg"></picture>', "https://x/pages/1/")
    'a <picture><img src="https://x/pages/1/p.svg"></picture>'
    >>> with_pictures('a <picture><img src="p.svg"></picture>', "")
    'a '
    """
    if base:
        return LOCAL_IMAGE.sub(rf"\g<1>{base}\g<2>", body)
    return LOCAL_MARKDOWN_IMAGE.sub("", PICTURE.sub("", body))


def cut(body: str, most_bytes: int, *, more: str, end: str = "") -> str:
    """``body`` and ``end`` in at most ``most_bytes`` of UTF-8: whole lines, folds and code closed, and ``more`` on where the rest is."""
    if len((body + end).encode()) <= most_bytes:
        return body + end
    left = most_bytes - len(end.encode()) - len(MORE.format(more=more).encode()) - 64
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
