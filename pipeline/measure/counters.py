"""What the deployment itself counts while it is measured: Prometheus text of frontend and workers, and the frontend's log."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.edge.http import Http
from pipeline.errors import PipelineError
from pipeline.schema.endpoint import Endpoint, Instance
from pipeline.schema.recipe import ROLES

SERVED, MIGRATED = "dynamo_component_requests_total", "dynamo_frontend_model_migration_total"
MAY_MIGRATE = "dynamo_frontend_model_migration_limit"  # times that the frontend may send one request to yet another worker
LOST_STREAM = b"Cannot recreate stream"
TIMEOUT_S = 5.0
SAMPLE = re.compile(
    r"^(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)", re.MULTILINE
)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Worker:
    """Requests that an instance has served, and the id that it has as long as its process lives."""

    served: int
    id: str


@dataclass(frozen=True, slots=True)
class CounterSnapshot:
    """The counters at one moment; None = no answer."""

    workers: dict[str, Worker | None]
    migrations: int | None
    log_bytes: int


def read(endpoint: Endpoint, http: Http) -> CounterSnapshot:
    """Ask every instance and the frontend once."""
    frontend = _text(f"{endpoint.url}/metrics", http)
    migrations = None if frontend is None else _migrations(frontend)
    workers = {one.name: _worker(one, http) for one in endpoint.instances}
    return CounterSnapshot(workers, migrations, _size(endpoint.frontend_log))


def unread(reading: CounterSnapshot) -> CounterSnapshot:
    """As if nobody had answered."""
    return replace(reading, workers=dict.fromkeys(reading.workers), migrations=None)


def served(
    before: CounterSnapshot, after: CounterSnapshot, instances: Sequence[Instance]
) -> dict[str, int | None]:
    """Requests that each role served in between; None as soon as one of its instances does not say."""
    return {
        role: _sum(of_instance.values()) for role, of_instance in shares(before, after, instances).items()
    }


def shares(
    before: CounterSnapshot, after: CounterSnapshot, instances: Sequence[Instance]
) -> dict[str, dict[str, int | None]]:
    """Requests that each instance of a role served in between; None where it does not say."""
    return {
        role: {one.name: _served(before, after, one.name) for one in instances if one.role == role}
        for role in ROLES
    }


def replaced(before: CounterSnapshot, after: CounterSnapshot) -> list[str]:
    """Instances that are another process than before."""
    pairs = ((name, worker, after.workers[name]) for name, worker in before.workers.items())
    return [
        f"{name} is another process than before"
        for name, old, new in pairs
        if old and new and old.id != new.id
    ]


def migrated(before: CounterSnapshot, after: CounterSnapshot, lost: int) -> int | None:
    """Requests that changed their worker in between; Dynamo counts the ``lost`` ones too, which tried to and could not."""
    return (
        None
        if before.migrations is None or after.migrations is None
        else max(0, after.migrations - before.migrations - lost)
    )


def lost_streams(log: Path, before: CounterSnapshot, after: CounterSnapshot) -> int | None:
    """Streams that the frontend's log gives up on in between; None without a log, or where it is shorter than it was."""
    wanted = after.log_bytes - before.log_bytes
    if wanted < 0:
        return None
    try:
        with log.open("rb") as file:
            file.seek(before.log_bytes)
            said = file.read(wanted)
    except OSError:
        return None
    return said.count(LOST_STREAM) if len(said) == wanted else None


def values(text: str, name: str, **labels: str) -> list[float]:
    """A metric's samples that have these labels."""
    wanted = labels.items()
    found = (match for match in SAMPLE.finditer(text) if match["name"] == name)
    return [
        float(match["value"])
        for match in found
        if wanted <= dict(LABEL.findall(match["labels"] or "")).items()
    ]


def total(text: str, name: str, **labels: str) -> float:
    """Sum of a metric over its samples that have these labels; 0 when there is none."""
    return sum(values(text, name, **labels), 0.0)


def _migrations(text: str) -> int:
    """Dynamo counts what it *would* migrate; where it may not (limit 0, the default), such a request ends as an error or a lost stream."""
    limits = values(text, MAY_MIGRATE)
    return 0 if limits and not any(limits) else round(total(text, MIGRATED))


def _served(before: CounterSnapshot, after: CounterSnapshot, name: str) -> int | None:
    old, new = before.workers[name], after.workers[name]
    return new.served - old.served if old and new else None


def _sum(counts: Collection[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _worker(instance: Instance, http: Http) -> Worker | None:
    text = None if instance.metrics_url is None else _text(instance.metrics_url, http)
    if text is None:
        return None
    ids = {
        value
        for match in SAMPLE.finditer(text)
        for label, value in LABEL.findall(match["labels"] or "")
        if label == "worker_id"
    }
    return Worker(round(total(text, SERVED, dynamo_endpoint="generate")), ",".join(sorted(ids)))


def _text(url: str, http: Http) -> str | None:
    try:
        answer = http.request("GET", url, timeout_s=TIMEOUT_S)
    except PipelineError:
        return None
    return answer.body.decode("utf-8", errors="replace") if answer.status == 200 else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
