"""What ``iso`` answers: JSON, text, and the points that it left out."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from pipeline.render.iso_lint import iso_readings
from pipeline.schema.csv_iso import THROUGHPUT, CsvIso, NotOnFrontier


def iso_json(answer: CsvIso) -> str:
    """Return the answer as scripts read it; columns, frontier and cost are there when they were asked for."""
    fields = {"sku", "interactivity", "total_tok_s_gpu", *(["usd_per_mtok"] if answer.cost else [])}
    document: dict[str, Any] = {"rows": [one.model_dump(include=fields) for one in answer.readings]}
    if not answer.is_default:
        document["columns"] = {"interactivity": answer.x, THROUGHPUT: answer.y}
        document["frontier"] = {"of": [answer.x, answer.ranked_by], "better": list(answer.better)}
    if answer.cost:
        document["cost"] = {"mode": answer.cost, "tier": answer.tier, "usd_per_gpu_hour": answer.prices}
    document["directional"] = [
        {"sku": one.sku, "interactivity": one.interactivity, "gap": one.gap}
        for one in answer.readings
        if one.is_directional(answer.gap)
    ]
    return json.dumps(document, indent=1) + "\n"


def iso_text(answer: CsvIso) -> str:
    """Return the answer as a table, with the frontier where it is not the default one."""
    cost = (answer.cost or "derived") if answer.prices else None
    table = iso_readings(answer.readings, x=answer.x, y=answer.y, cost=cost, gap=answer.gap)
    x, y = answer.better
    return table if answer.is_default else f"{table}frontier: {x} {answer.x}, {y} {answer.ranked_by}\n"


def left_out(path: PurePath, one: NotOnFrontier) -> str:
    """Return why a point of a CSV is not on the frontier, with its line.

    >>> left_out(PurePath("a.csv"), NotOnFrontier(line=3, sku="gb200", x=20.0, is_duplicate=True))
    'a.csv:3: gb200 at 20 is left out, the same point twice'
    """
    why = "the same point twice" if one.is_duplicate else "dominated: another point is as good in both"
    return f"{path}:{one.line}: {one.sku} at {one.x:g} is left out, {why}"
