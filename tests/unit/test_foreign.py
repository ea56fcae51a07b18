"""A review of a stranger's pull request notifies nobody, costs few requests, and is published for its own commit only."""

from __future__ import annotations

import pytest

from pipeline.errors import ArtifactError
from pipeline.publish import foreign
from pipeline.schema.publication import Annotation, Review

SHA, OTHER = "0" * 40, "f" * 40


def message(head=None, count=0, headline="fine"):
    found = tuple(
        Annotation(path="a.yaml", line=n + 1, severity="notice" if n % 2 else "error", message=f"m{n}")
        for n in range(count)
    )
    review = Review(verdict="same", headline=headline, head_sha=SHA, repository="fork/x", annotations=found)
    files = {foreign.REVIEW: review.to_json().encode(), foreign.COMMENT: b"cc @all &#64;all &commat;all \xff"}
    return foreign.read_review(files, where="review.json", head=head)


def test_mentions_are_broken_in_headline_and_text():
    made = message(headline="see\n@octocat")
    assert made.headline == "see @\u200boctocat"
    assert made.body == "cc @\u200ball &#64;\u200ball &commat;\u200ball \ufffd"


def test_the_event_and_not_the_review_names_commit_and_repository():
    assert message().head_repository == "fork/x"
    assert message(head=foreign.Head(SHA, "other/x")).head_repository == "other/x"
    with pytest.raises(ArtifactError, match="of commit 000000000000, the event is of commit ffffffffffff"):
        message(head=foreign.Head(OTHER, "fork/x"))


def test_the_most_severe_annotations_are_kept_and_the_others_counted():
    assert len(message(count=250).annotations) == 250
    kept = message(count=600).annotations
    assert len(kept) == 250
    assert {one.severity for one in kept[:-1]} == {"error"}
    assert kept[-1].message == "351 more findings are not shown; they are in the artifact of the review"
