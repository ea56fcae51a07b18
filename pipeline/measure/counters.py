"""Counters of the deployment: metrics of frontend and workers, and lost streams in the frontend's log."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.edge import prometheus
from pipeline.edge.endpoint import Endpoint
from pipeline.edge.http import Http
from pipeline.edge.place import Place
from pipeline.edge.prometheus import Metrics
from pipeline.schema.endpoint import Cause, DeploymentChange, Instance
from pipeline.schema.recipe import ROLES

SERVED, MIGRATED = "dynamo_component_requests_total", "dynamo_frontend_model_migration_total"
MAY_MIGRATE = (
    "dynamo_frontend_model_migration_limit"  # how often the frontend may send a request to another worker
)
LOST_STREAM = b"Cannot recreate stream"
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Worker:
    """Requests that an instance has served, and its id, which changes when its process is replaced."""

    served: int
    id: str


@dataclass(frozen=True, slots=True)
class CounterSnapshot:
    """The counters at one moment; None = unknown."""

    workers: dict[str, Worker | None]
    migrations: int | None
    log_bytes: int


def read(endpoint: Endpoint, http: Http) -> CounterSnapshot:
    """Read the counters of every instance and of the frontend."""
    frontend = prometheus.read(f"{endpoint.url}/metrics", http, timeout_s=TIMEOUT_S)
    migrations = None if frontend is None else _migrations(frontend)
    workers = {one.name: _worker(one, http) for one in endpoint.instances}
    return CounterSnapshot(workers, migrations, endpoint.place.size(endpoint.frontend_log))


def unread(counts: CounterSnapshot) -> CounterSnapshot:
    """Return a copy in which all counters are unknown."""
    return replace(counts, workers=dict.fromkeys(counts.workers), migrations=None)


def served(
    before: CounterSnapshot, after: CounterSnapshot, instances: Sequence[Instance]
) -> dict[str, int | None]:
    """Return the requests that each role served in between; None where one of its instances is unknown."""
    return {
        role: _sum(of_instance.values()) for role, of_instance in shares(before, after, instances).items()
    }


def shares(
    before: CounterSnapshot, after: CounterSnapshot, instances: Sequence[Instance]
) -> dict[str, dict[str, int | None]]:
    """Return the requests that each instance of a role served in between; None where unknown."""
    return {
        role: {one.name: _served(before, after, one.name) for one in instances if one.role == role}
        for role in ROLES
    }


def replaced(before: CounterSnapshot, after: CounterSnapshot) -> list[DeploymentChange]:
    """Return the instances whose process is another one than before."""
    pairs = ((name, worker, after.workers[name]) for name, worker in before.workers.items())
    return [
        DeploymentChange(Cause.PROCESS_REPLACED, name)
        for name, old, new in pairs
        if old and new and old.id != new.id
    ]


def migrated(before: CounterSnapshot, after: CounterSnapshot, lost: int) -> int | None:
    """Return the requests that moved to another worker in between.

    Dynamo also counts the ``lost`` ones, which could not.
    """
    if before.migrations is None or after.migrations is None:
        return None
    return max(0, after.migrations - before.migrations - lost)


def lost_streams(place: Place, log: Path, before: CounterSnapshot, after: CounterSnapshot) -> int | None:
    """Return the streams that the frontend's log reports as lost in between.

    None without a log, or where it was truncated.
    """
    wanted = after.log_bytes - before.log_bytes
    if wanted < 0:
        return None
    part = place.read(log, start=before.log_bytes, size=wanted)
    return part.count(LOST_STREAM) if part is not None and len(part) == wanted else None


def _migrations(metrics: Metrics) -> int | None:
    """Return the migrations of the frontend.

    Dynamo counts attempts. With limit 0, which is the default, such a request ends as an error or a lost
    stream.
    """
    limits = metrics.values(MAY_MIGRATE)
    return 0 if limits and not any(limits) else _whole(metrics.total(MIGRATED))


def _served(before: CounterSnapshot, after: CounterSnapshot, name: str) -> int | None:
    old, new = before.workers[name], after.workers[name]
    return new.served - old.served if old and new else None


def _sum(counts: Collection[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _worker(instance: Instance, http: Http) -> Worker | None:
    if instance.metrics_url is None:
        return None
    metrics = prometheus.read(instance.metrics_url, http, timeout_s=TIMEOUT_S)
    if metrics is None:
        return None
    count = _whole(metrics.total(SERVED, dynamo_endpoint="generate"))
    return None if count is None else Worker(count, ",".join(sorted(metrics.label_values("worker_id"))))


def _whole(count: float) -> int | None:
    """Return a count as an integer; None for NaN and infinity."""
    return round(count) if math.isfinite(count) else None
