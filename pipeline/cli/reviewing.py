"""Verb on a pull request: review."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import Verbs, number
from pipeline.errors import RecipeError
from pipeline.flow.context import Context


def review(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import render
    from pipeline.flow import reviewing

    options = reviewing.ReviewOptions(
        base=arguments.base,
        out=arguments.out,
        cluster=arguments.cluster,
        repository=arguments.repository,
        quick=arguments.quick,
        whole_curve=not arguments.points_only,
        workers=arguments.workers,
    )
    reviewed = reviewing.review(context, options)
    context.log(render.review_headline(reviewed))
    print(arguments.out / "comment.md")
    return RecipeError.exit_code if any(one.severity == "error" for one in reviewed.problems) else 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verb of this module."""
    added = verbs.add(
        "review",
        review,
        "check, compare and predict what a branch changes in the recipes",
        "--base main --out build/review",
    )
    added.add_argument(
        "--base", required=True, metavar="REV", help="branch or commit; compared is the merge base with it"
    )
    added.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write the review into"
    )
    added.add_argument(
        "--cluster",
        default="laptop",
        metavar="NAME",
        help="cluster whose timing is used to predict (default: %(default)s)",
    )
    added.add_argument(
        "--quick", action="store_true", help="send one request per concurrency instead of the recipe's ten"
    )
    added.add_argument(
        "--points-only",
        action="store_true",
        help="replay changed recipes only; no comparison at equal interactivity",
    )
    added.add_argument(
        "--workers",
        type=number(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="replays at the same time (default: one for each core)",
    )
    repository = env.get("HEAD_REPOSITORY") or env.get("GITHUB_REPOSITORY") or "local/checkout"
    added.add_argument(
        "--repository",
        default=repository,
        metavar="OWNER/NAME",
        help="repository of the branch, which may be a fork",
    )
