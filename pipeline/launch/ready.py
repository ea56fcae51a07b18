"""When a Dynamo deployment may be measured.

Its instances are present, the LLM is listed, and one prompt was served by prefill and decode workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.edge import prometheus
from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.errors import FailureKind, LaunchError, PipelineError
from pipeline.launch import failures
from pipeline.schema.endpoint import Cause, DeploymentChange
from pipeline.schema.recipe import ROLES, Role

COMPONENTS: dict[str, Role] = {"prefill": "prefill", "backend": "decode"}  # Dynamo's names of the roles
SERVED = "dynamo_component_requests_total"
POLL_S = 0.1
REQUEST_S = 10.0  # timeout of requests that generate nothing
TOKENS = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a ready deployment has: frontend, LLM, instances of each role, metrics of prefill workers."""

    url: str
    served_name: str
    instances: Mapping[Role, int]
    prefill_metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """How a deployment is observed; ``exits`` returns the processes that have ended."""

    http: Http
    clock: Clock
    exits: Callable[[], Sequence[DeploymentChange]]
    limit_s: float


def wait(expected: Expected, watch: Watch) -> dict[Role, frozenset[str]]:
    """Wait until the deployment is ready and return the ids of its instances by role.

    Raise LaunchError as soon as a process has ended, or when the time limit is reached.
    """
    deadline = watch.clock.monotonic() + watch.limit_s
    while True:
        found, missing = _look(expected, watch, deadline)
        if exits := watch.exits():
            raise failures.error(exits, expected.url)
        if not missing:
            return found
        if watch.clock.monotonic() >= deadline:
            what = f"not ready after {watch.limit_s:g} s: {missing}"
            hint = "see the logs of its processes"
            raise LaunchError(what, where=expected.url, hint=hint, kind=FailureKind.NEVER_READY)
        watch.clock.sleep(POLL_S)


def instances(url: str, http: Http) -> dict[Role, frozenset[str]]:
    """Return the ids of the generate instances to which the frontend routes requests, by role."""
    listed = _json(http, f"{url}/health").get("instances", [])
    found: dict[Role, set[str]] = {"prefill": set(), "decode": set()}
    for one in listed:
        role = COMPONENTS.get(one.get("component"))
        if role is not None and one.get("endpoint") == "generate":
            found[role].add(str(one.get("instance_id")))
    return {role: frozenset(ids) for role, ids in found.items()}


def changes(ids: Mapping[Role, frozenset[str]], url: str, http: Http) -> list[DeploymentChange]:
    """Return the roles whose instances are not those with these ids, or that the frontend does not answer."""
    try:
        now = instances(url, http)
    except PipelineError:
        return [DeploymentChange(Cause.FRONTEND_UNREACHABLE, "frontend")]
    return [DeploymentChange(Cause.INSTANCES_CHANGED, role) for role in ROLES if now[role] != ids[role]]


def served(metrics_url: str, http: Http) -> float:
    """Return how many requests a worker has counted; PipelineError where it has no metrics."""
    metrics = prometheus.read(metrics_url, http, timeout_s=REQUEST_S)
    if metrics is None:
        raise PipelineError("no Prometheus metrics", where=metrics_url)
    return metrics.total(SERVED, dynamo_endpoint="generate")


def _look(expected: Expected, watch: Watch, deadline: float) -> tuple[dict[Role, frozenset[str]], str]:
    """Return the ids of the instances, and text about the first thing that is missing; empty when nothing is.

    Instances are counted again after the prompt.
    """
    url, http = expected.url, watch.http
    try:
        found = instances(url, http)
        missing = (
            _wrong_count(found, expected)
            or _not_listed(expected, http)
            or _not_served(expected, watch, deadline)
        )
        if missing:
            return found, missing
        found = instances(url, http)
        return found, _wrong_count(found, expected)
    except PipelineError as error:
        return {}, str(error)


def _wrong_count(found: Mapping[Role, frozenset[str]], expected: Expected) -> str:
    wrong = [(role, wanted) for role, wanted in expected.instances.items() if len(found[role]) != wanted]
    return next((f"{len(found[role])} of {wanted} {role} instances" for role, wanted in wrong), "")


def _not_listed(expected: Expected, http: Http) -> str:
    listed = [str(one.get("id")) for one in _json(http, f"{expected.url}/v1/models").get("data", [])]
    if expected.served_name in listed:
        return ""
    return f"the frontend lists {', '.join(listed) or 'nothing'}, not {expected.served_name}"


def _not_served(expected: Expected, watch: Watch, deadline: float) -> str:
    """Send one prompt; return what is wrong with the answer or with its path through the workers."""
    before = _prefill_requests(expected, watch.http)
    prompt = {"model": expected.served_name, "prompt": "ready", "max_tokens": TOKENS, "ignore_eos": True}
    answer = watch.http.request(
        "POST",
        f"{expected.url}/v1/completions",
        headers={"content-type": "application/json"},
        body=json.dumps(prompt).encode(),
        timeout_s=max(deadline - watch.clock.monotonic(), REQUEST_S),
    )
    if answer.status != 200:
        text = answer.body[:200].decode("utf-8", errors="replace")
        return f"a completion is answered with HTTP {answer.status}: {text}"
    tokens = _object(answer.body, expected.url).get("usage", {}).get("completion_tokens")
    if tokens != TOKENS:
        return f"a completion of {TOKENS} tokens was answered with {tokens}"
    if _prefill_requests(expected, watch.http) <= before:
        return "a completion was served without the prefill workers"
    return ""


def _prefill_requests(expected: Expected, http: Http) -> float:
    return sum(served(url, http) for url in expected.prefill_metrics)


def _json(http: Http, url: str) -> dict[str, Any]:
    answer = http.request("GET", url, timeout_s=REQUEST_S)
    if answer.status != 200:
        raise PipelineError(f"HTTP {answer.status}", where=url)
    return _object(answer.body, url)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise PipelineError("the answer is not JSON", where=url) from error
    return found if isinstance(found, dict) else {}
