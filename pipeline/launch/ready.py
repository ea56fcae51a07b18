"""When a Dynamo deployment may be measured: its instances are there, the LLM is listed, a prompt went through prefill and decode."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.errors import LaunchError, PipelineError
from pipeline.schema.recipe import Role

COMPONENTS: dict[str, Role] = {"prefill": "prefill", "backend": "decode"}  # Dynamo's names of the roles
SERVED = re.compile(
    r'^dynamo_component_requests_total\{(?=[^}]*dynamo_endpoint="generate")[^}]*\} (\S+)$', re.MULTILINE
)
POLL_S = 0.1
ASK_S = 10.0  # for an answer that costs nothing
TOKENS = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there: the frontend, the LLM, as many instances of each role, and where prefill workers count their requests."""

    url: str
    served_name: str
    instances: Mapping[Role, int]
    prefill_metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """How it is found out: ``exited`` says which processes have ended, and why."""

    http: Http
    clock: Clock
    exited: Callable[[], list[str]]
    limit_s: float


def wait(expected: Expected, watch: Watch) -> dict[Role, frozenset[str]]:
    """Until the deployment answers; gives the ids of its instances by role. LaunchError as soon as that cannot happen any more."""
    deadline = watch.clock.monotonic() + watch.limit_s
    while True:
        first, missing = _look(expected, watch, deadline)
        if (exited_now := watch.exited()) or not missing:
            break
        if watch.clock.monotonic() >= deadline:
            raise LaunchError(
                f"not ready after {watch.limit_s:g} s: {missing}",
                where=expected.url,
                hint="its logs say more",
            )
        watch.clock.sleep(POLL_S)
    if exited_now:
        others = ", ".join(one.split(maxsplit=1)[0] for one in exited_now[1:])
        raise LaunchError(
            exited_now[0], where=expected.url, hint=f"ended as well: {others}" if others else ""
        )
    return first


def instances(url: str, http: Http) -> dict[Role, frozenset[str]]:
    """Ids of the generate instances that the frontend would send a request to, by role."""
    listed = _json(http, f"{url}/health").get("instances", [])
    found: dict[Role, set[str]] = {"prefill": set(), "decode": set()}
    for one in listed:
        role = COMPONENTS.get(one.get("component"))
        if role is not None and one.get("endpoint") == "generate":
            found[role].add(str(one.get("instance_id")))
    return {role: frozenset(ids) for role, ids in found.items()}


def served(metrics_url: str, http: Http) -> float:
    """Requests that a worker has been sent, by its own count."""
    text = http.request("GET", metrics_url, timeout_s=ASK_S).body.decode("utf-8", errors="replace")
    return sum(float(count) for count in SERVED.findall(text))


def _look(expected: Expected, watch: Watch, deadline: float) -> tuple[dict[Role, frozenset[str]], str]:
    """Ids of the instances, and what is not there yet: empty when nothing is missing. They are counted again after the prompt."""
    url, http = expected.url, watch.http
    try:
        found = instances(url, http)
        missing = (
            _uncounted(found, expected) or _unlisted(expected, http) or _refused(expected, watch, deadline)
        )
        if missing:
            return found, missing
        found = instances(url, http)
        return found, _uncounted(found, expected)
    except PipelineError as error:
        return {}, str(error)


def _uncounted(found: Mapping[Role, frozenset[str]], expected: Expected) -> str:
    wrong = [(role, wanted) for role, wanted in expected.instances.items() if len(found[role]) != wanted]
    return next((f"{len(found[role])} of {wanted} {role} instances" for role, wanted in wrong), "")


def _unlisted(expected: Expected, http: Http) -> str:
    listed = [str(one.get("id")) for one in _json(http, f"{expected.url}/v1/models").get("data", [])]
    return (
        ""
        if expected.served_name in listed
        else f"the frontend lists {', '.join(listed) or 'nothing'}, not {expected.served_name}"
    )


def _refused(expected: Expected, watch: Watch, deadline: float) -> str:
    """Send one prompt; what is wrong with the answer or with the way that it took."""
    before = sum(served(url, watch.http) for url in expected.prefill_metrics)
    prompt = {"model": expected.served_name, "prompt": "ready", "max_tokens": TOKENS, "ignore_eos": True}
    left_s = max(deadline - watch.clock.monotonic(), ASK_S)
    answer = watch.http.request(
        "POST",
        f"{expected.url}/v1/completions",
        headers={"content-type": "application/json"},
        body=json.dumps(prompt).encode(),
        timeout_s=left_s,
    )
    if answer.status != 200:
        return f"a completion is answered with HTTP {answer.status}: {answer.body[:200].decode('utf-8', errors='replace')}"
    tokens = _object(answer.body, expected.url).get("usage", {}).get("completion_tokens")
    if tokens != TOKENS:
        return f"a completion of {TOKENS} tokens came back with {tokens}"
    if sum(served(url, watch.http) for url in expected.prefill_metrics) <= before:
        return "a completion was served without the prefill workers"
    return ""


def _json(http: Http, url: str) -> dict[str, Any]:
    answer = http.request("GET", url, timeout_s=ASK_S)
    if answer.status != 200:
        raise PipelineError(f"HTTP {answer.status}", where=url)
    return _object(answer.body, url)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise PipelineError("the answer is not JSON", where=url) from error
    return found if isinstance(found, dict) else {}
