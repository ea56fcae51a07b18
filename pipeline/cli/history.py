"""Verbs on a history: ingest, retract, query."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.cli.arguments import Verbs, nonempty, number
from pipeline.flow.context import Context


def ingest(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import ingesting
    from pipeline.flow import published as publishing

    studies = [path for path in arguments.folders if path.suffix == ".yaml"]
    folders = [path for path in arguments.folders if path not in studies]
    published = publishing.ingest(context, studies, arguments.history) if studies else []
    ingested = ingesting.Ingested(published, [], None)
    if folders or arguments.plan:
        ingested = ingesting.ingest(
            folders, arguments.history, arguments.plan, now=context.clock.now(), run_id=arguments.run_id
        )
        ingested.summaries[:0] = published
    if arguments.json:
        print(json.dumps([summary.model_dump() for summary in ingested.summaries], indent=1))
    for line in ingested.passed_over:
        context.log(line)
    for one in ingested.summaries:
        target = f" → {one.path}" if one.path else ""
        counts = f"{one.jobs_new} new, {one.jobs_known} known"
        context.log(f"run {one.run_id} attempt {one.attempt}: {counts}{target}")
    if ingested.lacking:
        raise ingested.lacking
    return 0


def retract(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import store

    at = context.clock.now().isoformat(timespec="seconds")
    tombstone = store.retract(
        arguments.history,
        arguments.run_id,
        arguments.attempt,
        reason=arguments.reason,
        who=arguments.who,
        at=at,
    )
    numbers = store.attempts(arguments.history, tombstone)
    which = f"attempt {arguments.attempt} of run" if arguments.attempt else "run"
    many = f"attempt{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"
    context.log(
        f"{which} {arguments.run_id} is retracted ({tombstone.reason}): readers of {arguments.history} leave out {many}"
    )
    if arguments.site:
        from pipeline.publish import site

        for line in site.mark(arguments.site, [tombstone]):
            context.log(line)
        site.rebuild(arguments.site)
    return 0


def query(arguments: argparse.Namespace, _context: Context) -> int:
    from pipeline import store

    if arguments.json:
        print(json.dumps(store.query(arguments.history, arguments.sql), indent=1, default=str))
    else:
        print(store.query_text(arguments.history, arguments.sql), end="")
    return 0


def add(verbs: Verbs, env: Mapping[str, str]) -> None:
    """Add the verbs of this module."""
    added = verbs.add(
        "ingest",
        ingest,
        "store result folders or a published study in a history",
        "results --history history",
        needs_recipes=False,
    )
    added.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folder that holds result folders; or FILE.yaml, a published study",
    )
    added.add_argument("--history", required=True, metavar="URL", help="folder or URL of the history")
    added.add_argument(
        "--plan",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="exit 7 when a job of these plans did not arrive; the others are stored",
    )
    added.add_argument(
        "--run-id", metavar="RUN", help="refuse folders of any other run (default: folders of all runs)"
    )
    added.add_argument("--json", action="store_true", help="print a summary of each run as JSON")
    added = verbs.add(
        "retract",
        retract,
        "exclude a run from all later reads of a history",
        "123 --reason 'wrong image' --history history",
        needs_recipes=False,
    )
    added.add_argument("run_id", metavar="RUN", help="id of the run")
    added.add_argument("--attempt", type=number(1), metavar="N", help="attempt (default: all attempts)")
    added.add_argument("--reason", type=nonempty, required=True, metavar="TEXT", help="why the run is wrong")
    added.add_argument(
        "--who",
        default=env.get("GITHUB_ACTOR") or env.get("USER") or "unknown",
        metavar="NAME",
        help="who retracts it (default: the GitHub actor or the user)",
    )
    added.add_argument("--history", required=True, metavar="URL", help="folder or URL of the history")
    added.add_argument("--site", type=Path, metavar="DIR", help="also mark its pages on this site")
    sql = '"select recipe, conc, total_tok_s_gpu from points" --history history'
    added = verbs.add("query", query, "query a history in SQL", sql, needs_recipes=False)
    added.add_argument("sql", metavar="SQL", help="a query; the table is `points`")
    added.add_argument("--json", action="store_true", help="print the rows as JSON")
    added.add_argument("--history", required=True, metavar="URL", help="folder or URL of the history")
