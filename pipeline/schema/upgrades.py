"""Upgrade steps of stored documents: per kind, one function for each version that turns its raw mapping into the next one.

A step gets what ``json.loads`` returned, of a document that is not validated yet: it leaves alone what it does not
recognise, and validation names it. Stored documents nested in a document are upgraded by steps of their own.

A new version of a kind: raise the number of its ``schema_version``, add a step here, and add a sample to
``tests/contract/frozen``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Raw = dict[str, Any]
Step = Callable[[Raw], Raw]

STATUSES: Final[Mapping[str, str]] = {
    "refused": "invalid"
}  # name of a point status in schema 1 -> today's name


# Fields of a cluster in schema 1 of a plan, and in cluster documents of that time, that are one field ``site`` today.
SITE_FIELDS: Final = ("launcher", "local", "slurm", "kubernetes")


def status(name: str) -> str:
    """Return today's name of a point status of any schema version."""
    return STATUSES.get(name, name)


def result_1(raw: Raw) -> Raw:
    """Return results.json of schema 1 as schema 2: the point status "invalid" and the list ``not_evaluated`` have new names."""
    points = raw.get("points")
    return {**raw, "points": [_point_1(point) for point in points]} if isinstance(points, list) else raw


def result_2(raw: Raw) -> Raw:
    """Return results.json of schema 2 as schema 3, whose points may be extrapolated."""
    return raw


def plan_1(raw: Raw) -> Raw:
    """Return plan.json of schema 1 as schema 2: the launcher of its cluster and that launcher's parameters are one field, ``site``.

    >>> plan_1({"cluster": {"id": "a", "launcher": "slurm", "slurm": {"partition": "p"}, "local": None}})
    {'cluster': {'id': 'a', 'site': {'launcher': 'slurm', 'partition': 'p'}}}
    >>> plan_1({"cluster": {"id": "a", "launcher": None}})
    {'cluster': {'id': 'a', 'site': {'launcher': 'none'}}}
    """
    cluster = raw.get("cluster")
    if not isinstance(cluster, dict) or "launcher" not in cluster:
        return raw
    launcher = "none" if cluster["launcher"] is None else cluster["launcher"]
    parameters = cluster.get(launcher) if launcher in SITE_FIELDS else None
    kept = {name: value for name, value in cluster.items() if name not in SITE_FIELDS}
    site = {"launcher": launcher, **(parameters if isinstance(parameters, dict) else {})}
    return {**raw, "cluster": {**kept, "site": site}}


def plan_2(raw: Raw) -> Raw:
    """Return plan.json of schema 2 as schema 3, which may hold several timing documents.

    >>> plan_2({"timing": None}), plan_2({"timing": {"schema": 1}})
    ({'timings': []}, {'timings': [{'schema': 1}]})
    """
    if "timing" not in raw:
        return raw
    kept = {name: value for name, value in raw.items() if name != "timing"}
    return {**kept, "timings": [] if raw["timing"] is None else [raw["timing"]]}


def timing_1(raw: Raw) -> Raw:
    """Return a timing document of schema 1 as schema 2, which states the range that was fitted: here it is not recorded."""
    return raw


def history_row_1(raw: Raw) -> Raw:
    """Return a history row of schema 1 as schema 2: the new names of results.json in its point."""
    return {**raw, "point": _point_1(raw["point"])} if "point" in raw else raw


def history_row_2(raw: Raw) -> Raw:
    """Return a history row of schema 2 as schema 3: its point as in results.json."""
    return raw


def report_data_1(raw: Raw) -> Raw:
    """Return data.json of schema 1 as schema 2, which holds history rows of schema 2: they have a step of their own."""
    return raw


def report_data_2(raw: Raw) -> Raw:
    """Return data.json of schema 2 as schema 3, which holds rows of schema 3 and studies and timing of schema 2.

    They have steps of their own.
    """
    return raw


def study_1(raw: Raw) -> Raw:
    """Return a study of schema 1 as schema 2, whose rows may state their median TTFT."""
    return raw


def _point_1(point: Any) -> Any:
    if not isinstance(point, dict):
        return point
    renamed = {{"withheld": "not_evaluated"}.get(name, name): value for name, value in point.items()}
    if isinstance(renamed.get("status"), str):
        renamed["status"] = status(renamed["status"])
    return renamed


# Class name of a stored document -> its steps, the one from schema 1 to schema 2 first.
STEPS: Final[Mapping[str, tuple[Step, ...]]] = {
    "Plan": (plan_1, plan_2),
    "Result": (result_1, result_2),
    "HistoryRow": (history_row_1, history_row_2),
    "ReportData": (report_data_1, report_data_2),
    "Study": (study_1,),
    "Timing": (timing_1,),
}
