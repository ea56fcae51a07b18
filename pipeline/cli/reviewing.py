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
    made = reviewing.review(context, options)
    context.log(render.review_headline(made))
    print(arguments.out / "comment.md")
    return RecipeError.exit_code if any(one.severity == "error" for one in made.problems) else 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """The verbs of this module."""
    added = verbs.add(
        "review",
        review,
        "say what a branch changes in the recipes, and predict it",
        "--base main --out build/review",
    )
    added.add_argument(
        "--base",
        required=True,
        metavar="REV",
        help="branch or commit to compare with, from where this one left it",
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    added.add_argument(
        "--cluster", default="laptop", metavar="NAME", help="whose timing predicts; default laptop"
    )
    added.add_argument(
        "--quick", action="store_true", help="one request per concurrency instead of the recipe's ten"
    )
    added.add_argument(
        "--points-only",
        action="store_true",
        help="replay changed recipes only: no comparison at equal interactivity",
    )
    added.add_argument(
        "--workers",
        type=number(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="replays at once (default: one a core)",
    )
    repository = env.get("HEAD_REPOSITORY") or env.get("GITHUB_REPOSITORY") or "local/checkout"
    added.add_argument(
        "--repository",
        default=repository,
        metavar="OWNER/NAME",
        help="that the branch is in; a fork's, where it is one",
    )
