"""Verbs that store and tell: ingest, retract, query, report, drift."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import GATE, LINT, Verbs, number, share, words
from pipeline.flow.context import Context


def ingest(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import ingesting
    from pipeline.flow import published as publishing

    studies = [path for path in arguments.folders if path.suffix == ".yaml"]
    folders = [path for path in arguments.folders if path not in studies]
    published = publishing.ingest(context, studies, arguments.history) if studies else []
    done = ingesting.Ingested(published, [], None)
    if folders or arguments.plan:
        done = ingesting.ingest(folders, arguments.history, arguments.plan)
        done.summaries[:0] = published
    if arguments.json:
        print(json.dumps([summary.model_dump() for summary in done.summaries], indent=1))
    for line in done.passed_over:
        context.log(line)
    for one in done.summaries:
        context.log(
            f"run {one.run_id} attempt {one.attempt}: {one.jobs_new} new, {one.jobs_known} known{f' → {one.path}' if one.path else ''}"
        )
    if done.lacking:
        raise done.lacking
    return 0


def retract(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import store

    at = context.clock.now().isoformat(timespec="seconds")
    store.retract(
        arguments.history,
        arguments.run_id,
        arguments.attempt,
        reason=arguments.reason,
        who=arguments.who,
        at=at,
    )
    context.log(
        f"run {arguments.run_id} is retracted: every reader of {arguments.history} leaves it out from now on"
    )
    return 0


def query(arguments: argparse.Namespace, _world: Context) -> int:
    from pipeline.flow import reporting

    print(reporting.query(arguments.history, arguments.sql, as_json=arguments.json), end="")
    return 0


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
    made = reporting.report(context, options)
    context.log(render.headline(made))
    print(arguments.out / "index.html")
    if arguments.lint:
        from pipeline.flow import compare

        linted = compare.lint_report(arguments.out)
        context.log(
            render.lint_text(linted, "wrong", "edge")
            or "the linter finds nothing in the tables of this report"
        )
        if linted.wrong:
            return LINT
    return GATE if arguments.gate and made.verdict == "worse" else 0


def drift(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import reporting

    moved = reporting.drift(arguments.kept, arguments.new, tolerance=arguments.tolerance)
    print(moved, end="")
    context.log(
        f"{'moved' if moved else 'nothing moved'} by more than {arguments.tolerance:.1%} against {arguments.kept}"
    )
    return GATE if moved else 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """The verbs of this module."""
    added = verbs.add(
        "ingest",
        ingest,
        "store result folders, or a published study (YAML), in a history",
        "results --history history",
        needs_recipes=False,
    )
    added.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders with results; FILE.yaml = a published study",
    )
    added.add_argument("--history", required=True, metavar="URL")
    added.add_argument(
        "--plan",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="exit 7, what arrived being stored, when a job of these plans did not arrive",
    )
    added.add_argument("--json", action="store_true")
    added = verbs.add(
        "retract",
        retract,
        "take a run out of every later reading",
        "123 --reason 'wrong image' --history history",
        needs_recipes=False,
    )
    added.add_argument("run_id", metavar="RUN")
    added.add_argument("--attempt", type=number(1), help="default: every attempt")
    added.add_argument("--reason", type=words, required=True)
    added.add_argument("--who", default=env.get("GITHUB_ACTOR") or env.get("USER") or "unknown")
    added.add_argument("--history", required=True, metavar="URL")
    sql = '"select recipe, conc, total_tok_s_gpu from points" --history history'
    added = verbs.add("query", query, "ask a history in SQL (table `points`)", sql, needs_recipes=False)
    added.add_argument("sql")
    added.add_argument("--json", action="store_true")
    added.add_argument("--history", required=True, metavar="URL")
    added = verbs.add(
        "report",
        report,
        "render a report",
        "reports/gb300-vs-gb200.yaml --history history --out build/report",
    )
    added.add_argument("definition", type=Path)
    added.add_argument("--history", metavar="URL", help="default: the data.json that the report keeps")
    added.add_argument("--run-id", metavar="RUN", help="report this run; default: the newest of each recipe")
    plan = "of the run --run-id: what they name and it did not bring is missing; everything else is told by its newest run"
    added.add_argument("--plan", nargs="+", type=Path, default=[], metavar="FILE", help=plan)
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    refresh = "keep the rows of data.json, read the definition and all facts again"
    added.add_argument("--refresh", action="store_true", help=refresh)
    added.add_argument(
        "--lint",
        action="store_true",
        help=f"exit {LINT} when a figure of its tables does not follow from those beside it",
    )
    added.add_argument("--gate", action="store_true", help=f"exit {GATE} when the verdict is worse")
    added = verbs.add(
        "drift",
        drift,
        "say what a new report does not reproduce of a kept one",
        "reports/NAME/data.json build/report/data.json",
        needs_recipes=False,
    )
    added.add_argument("kept", type=Path)
    added.add_argument("new", type=Path)
    added.add_argument("--tolerance", type=share, default=0.005, help="relative; default 0.005")
