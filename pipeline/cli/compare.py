"""Verbs that compare: iso, lint, compare."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import LINT, Verbs, expecting, share
from pipeline.flow.context import Context

if TYPE_CHECKING:
    from pipeline.analyse.frontier import Way  # slow to import; only these verbs need it

GRID = "16,18,20,22,25,27,28,32,36,50"
TIERS = ("hyperscaler", "neocloud", "rental-3y")


def iso(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import render
    from pipeline.analyse.csv_curves import IsoRequest
    from pipeline.flow import compare

    request = IsoRequest(
        at=arguments.at,
        x=arguments.x,
        y=arguments.y,
        cost=arguments.cost,
        tier=arguments.tier,
        gap=arguments.gap,
        better=arguments.better,
    )
    answer = compare.iso(context, arguments.csv, request)
    print(render.iso_json(answer) if arguments.json else render.iso_text(answer), end="")
    return 0


def lint(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import render
    from pipeline.flow import compare

    linted = compare.lint(context, arguments.tables, arguments.tier)
    if arguments.json:
        print(
            json.dumps(
                [render.printed_lint(one).model_dump(mode="json") for one in linted],
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        print("\n".join(render.lint_text(one) for one in linted), end="")
    wrong = sum(len(one.wrong) for one in linted)
    context.log(f"{wrong} finding{'s' * (wrong != 1)} in {len(linted)} document{'s' * (len(linted) != 1)}")
    return LINT if wrong else 0


def compare(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline import render
    from pipeline.analyse.sides import ReadingOptions
    from pipeline.flow import compare

    reading = ReadingOptions(
        at=arguments.at, tier=arguments.tier, gap=arguments.gap, relevant_change=arguments.relevant_change
    )
    compared = compare.compare(context, (arguments.a, arguments.b), arguments.history, reading)
    print(compared.to_json() if arguments.json else render.side_by_side(compared), end="")
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError
    return value


def _positives(text: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(_positive(part) for part in text.split(",")))


def _ways(text: str) -> tuple[Way, Way]:
    x, y = text.split(",")
    return _way(x), _way(y)


def _way(text: str) -> Way:
    if text not in ("more", "less"):
        raise ValueError
    return "more" if text == "more" else "less"


positive = expecting("a number above zero", _positive)
positives = expecting("a list of numbers above zero (such as 16,18,20)", _positives)
ways = expecting("a pair of more or less (such as more,less)", _ways)


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    _add_iso(verbs)
    added = verbs.add(
        "lint",
        lint,
        "check whether published tables and claims agree with themselves",
        "reports/published/2026-05-22-gb300-vs-gb200.yaml",
    )
    added.add_argument(
        "tables",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="YAML of a study, or of tables and claims; or CSV of points or of an iso table",
    )
    _add_tier(added, "price per GPU-hour that a CSV is checked against")
    added.add_argument("--json", action="store_true", help="print the findings as JSON")
    added = verbs.add(
        "compare", compare, "compare two SKUs, runs, recipes or images", "gb200 gb300 --history history"
    )
    added.add_argument("a", metavar="A", help="SKU or alias, run id, recipe id or path, or image")
    added.add_argument("b", metavar="B", help="another one of the same kind")
    added.add_argument(
        "--history", metavar="URL", help="history with points (default: none; only recipes and SKUs)"
    )
    added.add_argument(
        "--at",
        type=positives,
        default=GRID,
        metavar="LIST",
        help="interactivities in tok/s/user (default: %(default)s)",
    )
    _add_tier(added, "price per GPU-hour")
    _add_gap(added)
    added.add_argument(
        "--relevant-change",
        type=share,
        default=0.01,
        metavar="SHARE",
        help="change from which a figure is better or worse (default: %(default)s)",
    )
    added.add_argument("--json", action="store_true", help="print JSON")


def _add_iso(verbs: Verbs) -> None:
    added = verbs.add(
        "iso",
        iso,
        "read the curve of each SKU of a CSV at equal interactivity",
        "points.csv --at 16,20,27 --json",
        needs_recipes=False,
    )
    added.add_argument("csv", type=Path, metavar="CSV", help="columns sku, interactivity and total_tok_s_gpu")
    added.add_argument(
        "--at",
        type=positives,
        required=True,
        metavar="LIST",
        help="interactivities in tok/s/user, separated by commas",
    )
    added.add_argument(
        "--x", default="interactivity", metavar="COLUMN", help="column to read along (default: %(default)s)"
    )
    added.add_argument(
        "--y", default="total_tok_s_gpu", metavar="COLUMN", help="column to read (default: %(default)s)"
    )
    added.add_argument(
        "--better",
        type=ways,
        metavar="X,Y",
        help="frontier of both columns, with `more` or `less` as the good direction of each, such as "
        "more,less (default: the frontier of total_tok_s_gpu if the file has it; less is good for usd_*, "
        "ttft*, tpot* and *_ms)",
    )
    added.add_argument(
        "--cost",
        choices=["derived", "article"],
        help="add USD per million tokens: derived from the throughput read, or splined on its own "
        "(text output: derived)",
    )
    _add_tier(added, "price per GPU-hour")
    _add_gap(added)
    added.add_argument("--json", action="store_true", help="print JSON")


def _add_tier(added: argparse.ArgumentParser, what: str) -> None:
    added.add_argument("--tier", choices=TIERS, default="hyperscaler", help=f"{what} (default: %(default)s)")


def _add_gap(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--gap",
        type=positive,
        default=10.0,
        metavar="N",
        help="readings between knots farther apart are directional (default: %(default)s)",
    )
