"""review: check, compare and predict what a branch changes in the recipes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import analyse, load, render
from pipeline.analyse import review_scope
from pipeline.edge.git import Git
from pipeline.errors import Problem
from pipeline.flow import predicting, recipes
from pipeline.flow.context import Context, write
from pipeline.schema.publication import Review
from pipeline.schema.review import ReviewData, ReviewFindings


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """What the command line asked for.

    ``whole_curve``: unchanged recipes of the SKU are replayed too, to compare at equal interactivity.
    """

    base: str
    out: Path
    cluster: str
    repository: str
    quick: bool
    whole_curve: bool
    workers: int


def review(context: Context, options: ReviewOptions) -> ReviewData:
    """Write review.json and comment.md into ``options.out`` and return the review, whatever its verdict."""
    git = Git(context.shell, context.recipes)
    head, base = git.commit("HEAD"), git.merge_base(options.base)
    with tempfile.TemporaryDirectory(prefix="rackbench-review-") as scratch:
        before = replace(context, recipes=_export(context, base, Path(scratch) / "base" / "recipes"))
        known = _problems(before)
        problems = review_scope.as_annotations(_problems(context), known)
        found = ReviewFindings(
            problems=problems, base=base, head=head, base_problems=review_scope.error_count(known)
        )
        if not any(one.severity == "error" for one in problems):
            found = predicting.compare(found, before, context, options, Path(scratch))
    data = analyse.with_verdict(found, review_scope.RELEVANT_CHANGE)
    published = Review(
        verdict=data.verdict,
        headline=render.review_headline(data),
        head_sha=head,
        repository=options.repository,
        annotations=problems,
    )
    write(options.out / "review.json", published.to_json())
    write(options.out / "comment.md", render.comment(data))
    return data


def _problems(context: Context) -> list[tuple[str, Problem]]:
    """Return the problems of a recipes folder, each with its path below the folder."""
    root = context.recipes.resolve()
    problems = recipes.validate(context, [])
    return [(Path(one.path).resolve().relative_to(root).as_posix(), one) for one in problems]


def _export(context: Context, commit: str, folder: Path) -> Path:
    """Write the YAML and JSON files below recipes/ of a commit to a folder, and return it."""
    folder.mkdir(parents=True)
    for name, text in Git(context.shell, context.recipes).files_at(commit, load.SUFFIXES).items():
        write(folder / name, text)
    return folder
