"""A review from a job that ran a stranger's pull request.

Types, sizes and mentions are checked before anything is published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ArtifactError
from pipeline.plaintext import LONG, lines, one_line
from pipeline.publish.message import Message
from pipeline.schema.publication import Annotation, Review

REVIEW: Final = "review.json"
COMMENT: Final = "comment.md"
REVIEW_FILES: Final = (REVIEW, COMMENT)
MAX_FILE_BYTES: Final = 8 << 20
MAX_ANNOTATIONS: Final = 250  # a check run takes 50 in a request
SEVERITIES: Final = ("error", "warning", "notice")
MENTION: Final = re.compile(r"(?<![A-Za-z0-9])@(?=\w)|&(?:#0*64|#x0*40|commat);?", re.IGNORECASE)
ZERO_WIDTH_SPACE: Final = "\u200b"


@dataclass(frozen=True, slots=True)
class Head:
    """The commit and the repository that a ``workflow_run`` event names as the head of the pull request."""

    sha: str
    repository: str


def read_review(
    files: Mapping[str, bytes], *, where: str, head: Head | None, repository: str = ""
) -> Message:
    """Return the message of a review from the content of ``REVIEW_FILES``; ``where`` is the path of review.json.

    With a ``head`` the review must be of that commit, and it is published for the head's repository; ArtifactError
    otherwise. ``repository`` is the one that publishes: of any other head nothing is green.
    """
    review = Review.from_json(files[REVIEW], where=where)
    is_foreign = head is not None and head.repository.lower() != repository.lower()
    head = head or Head(review.head_sha, review.repository)
    if head.sha != review.head_sha:
        raise ArtifactError(
            f"the review is of commit {review.head_sha[:12]}, the event is of commit {head.sha[:12]}",
            where=where,
            hint="publish the review of the commit that the event names",
        )
    return Message(
        name="review",
        verdict=review.verdict,
        headline=without_mentions(one_line(review.headline)),
        body=without_mentions(lines(files[COMMENT].decode("utf-8", errors="replace"), count=20_000)),
        head_sha=head.sha,
        head_repository=head.repository,
        annotations=limit_annotations(tuple(map(_plain, review.annotations))),
        is_foreign=is_foreign,
    )


def _plain(one: Annotation) -> Annotation:
    """Return an annotation as text in one line, on a path of the repository."""
    message, path = without_mentions(one_line(one.message, LONG)), one_line(one.path)
    return one.model_copy(update={"message": message, "path": path})


def without_mentions(text: str) -> str:
    r"""Return the text with a zero-width space in each mention, so that GitHub sends no notification.

    >>> without_mentions("thanks @octocat").encode("ascii", "backslashreplace")
    b'thanks @\\u200boctocat'
    """
    return MENTION.sub(lambda found: f"{found[0]}{ZERO_WIDTH_SPACE}", text)


def limit_annotations(annotations: tuple[Annotation, ...]) -> tuple[Annotation, ...]:
    """Return at most ``MAX_ANNOTATIONS``, the most severe first.

    The last one then states how many are not shown.
    """
    if len(annotations) <= MAX_ANNOTATIONS:
        return annotations
    omitted = len(annotations) - MAX_ANNOTATIONS + 1
    shown = sorted(annotations, key=lambda one: SEVERITIES.index(one.severity))[: MAX_ANNOTATIONS - 1]
    message = f"{omitted} more findings are not shown; they are in the artifact of the review"
    return (*shown, annotations[-1].model_copy(update={"severity": "notice", "message": message}))
