"""Verbs on a report: report, drift."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.arguments import GATE, LINT, Verbs, share
from pipeline.flow.context import Context


def report(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import render
    from pipeline.flow import reporting

    options = reporting.ReportOptions(
        definition=arguments.definition,
        history=arguments.history,
        run_id=arguments.run_id,
        out=arguments.out,
        is_refreshed=arguments.refresh,
        plans=tuple(arguments.plan),
    )
    reported = reporting.report(context, options)
    context.log(render.headline(reported))
    print(arguments.out / "index.html")
    if arguments.lint:
        from pipeline.flow import compare

        linted = compare.lint_report(arguments.out)
        context.log(render.lint_text(linted, "wrong", "edge") or "no findings in the tables of this report")
        if linted.wrong:
            return LINT
    return GATE if arguments.gate and reported.verdict == "worse" else 0


def drift(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import reporting

    moved = reporting.drift(arguments.kept, arguments.new, tolerance=arguments.tolerance)
    print(moved, end="")
    what = "figures moved" if moved else "no figure moved"
    context.log(f"{what} by more than {arguments.tolerance:.1%} from {arguments.kept}")
    return GATE if moved else 0


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    added = verbs.add(
        "report",
        report,
        "render a report from a history",
        "reports/gb300-vs-gb200.yaml --history history --out build/report",
    )
    added.add_argument("definition", type=Path, metavar="FILE", help="definition of the report (YAML)")
    added.add_argument(
        "--history", metavar="URL", help="folder or URL of the history (default: the report's data.json)"
    )
    added.add_argument("--run-id", metavar="RUN", help="report this run (default: the newest of each recipe)")
    added.add_argument(
        "--plan",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="plans of the run: their recipes are missing when the run has no result; other recipes are "
        "reported from their newest run",
    )
    added.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write the report into"
    )
    added.add_argument(
        "--refresh",
        action="store_true",
        help="keep the rows of data.json; read the definition and all facts again",
    )
    added.add_argument(
        "--lint",
        action="store_true",
        help=f"exit {LINT} when a figure of the tables does not follow from the figures beside it",
    )
    added.add_argument("--gate", action="store_true", help=f"exit {GATE} when the verdict is worse")
    added = verbs.add(
        "drift",
        drift,
        "list the figures that differ between a kept and a new report",
        "reports/NAME/data.json build/report/data.json",
        needs_recipes=False,
    )
    added.add_argument("kept", type=Path, metavar="KEPT", help="data.json of the kept report")
    added.add_argument("new", type=Path, metavar="NEW", help="data.json of the new report")
    added.add_argument(
        "--tolerance",
        type=share,
        default=0.005,
        metavar="SHARE",
        help="relative difference that is allowed (default: %(default)s)",
    )
