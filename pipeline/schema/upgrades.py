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

HBM_KV: Final = ("kv_bytes_per_token", "kv_bytes_per_sequence")

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


def failure_1(raw: Raw) -> Raw:
    """Return error.json of schema 1 as schema 2, in which the class of a failed launch may be stated."""
    return raw


def plan_2(raw: Raw) -> Raw:
    """Return plan.json of schema 2 as schema 3: new fields in the HBM of its jobs, and a list of timing documents.

    >>> plan_2({"timing": None}), plan_2({"timing": {"schema": 1}})
    ({'timings': []}, {'timings': [{'schema': 1}]})
    """
    current = {name: value for name, value in raw.items() if name != "timing"}
    if "timing" in raw:
        current["timings"] = [] if raw["timing"] is None else [raw["timing"]]
    jobs = raw.get("jobs")
    return {**current, "jobs": [_job_hbm(job) for job in jobs]} if isinstance(jobs, list) else current


def job_record_1(raw: Raw) -> Raw:
    """Return job.json of schema 1 as schema 2: new fields in the HBM of its job."""
    return {**raw, "job": _job_hbm(raw["job"])} if "job" in raw else raw


def report_data_2(raw: Raw) -> Raw:
    """Return data.json of schema 2 as schema 3: new fields in the HBM of its worker shapes."""
    fits = raw.get("fits")
    return {**raw, "fits": [_with(fit, "hbm", _hbm) for fit in fits]} if isinstance(fits, list) else raw


def timing_1(raw: Raw) -> Raw:
    """Return a timing document of schema 1 as schema 2: the range that was fitted is not recorded."""
    return raw


def history_row_1(raw: Raw) -> Raw:
    """Return a history row of schema 1 as schema 2: the new names of results.json in its point."""
    return {**raw, "point": _point_1(raw["point"])} if "point" in raw else raw


def history_row_2(raw: Raw) -> Raw:
    """Return a history row of schema 2 as schema 3; its job.json has its own step."""
    return raw


def report_data_1(raw: Raw) -> Raw:
    """Return data.json of schema 1 as schema 2, which holds history rows of schema 2: they have a step of their own."""
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


def _job_hbm(job: Any) -> Any:
    return _with(job, "hbm", lambda roles: [_hbm(one) for one in roles] if isinstance(roles, list) else roles)


def _with(raw: Any, key: str, change: Callable[[Any], Any]) -> Any:
    return {**raw, key: change(raw[key])} if isinstance(raw, dict) and key in raw else raw


def _hbm(raw: Any) -> Any:
    """Return HBM as it was judged then: max-num-seqs sequences of the workload had to fit, and nothing longer.

    No MTP layer and no CUDA graphs were counted. Needs and sums are derived since.

    >>> kv = {"kv_bytes_per_token": 1e6, "kv_bytes_per_sequence": 2e6}
    >>> new = _hbm({"sequences": 2, "kv_gb": 0.024, "sequence_gb": 0.012, **kv})
    >>> new["tokens"], new["conc_per_rank"], "kv_gb" in new
    (10, 2, False)
    """
    if not isinstance(raw, dict) or not {"kv_gb", "sequence_gb", *HBM_KV} <= raw.keys():
        return raw
    per_token, per_sequence = (raw[name] for name in HBM_KV)
    if not all(isinstance(one, int | float) and one for one in (per_token, per_sequence, raw["sequence_gb"])):
        return raw
    tokens = round((raw["sequence_gb"] * 1e9 - per_sequence) / per_token)
    kept = {name: value for name, value in raw.items() if name not in ("kv_gb", "sequence_gb")}
    added = {"mtp_gb": 0.0, "graphs_gb": 0.0, "tokens": tokens, "max_model_len": tokens}
    return {**kept, **added, "conc_per_rank": raw.get("sequences")}


# Class name of a stored document -> its steps, the one from schema 1 to schema 2 first.
STEPS: Final[Mapping[str, tuple[Step, ...]]] = {
    "Plan": (plan_1, plan_2),
    "JobRecord": (job_record_1,),
    "Failure": (failure_1,),
    "Result": (result_1, result_2),
    "HistoryRow": (history_row_1, history_row_2),
    "ReportData": (report_data_1, report_data_2),
    "Study": (study_1,),
    "Timing": (timing_1,),
}
