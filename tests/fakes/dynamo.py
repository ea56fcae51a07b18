"""A Dynamo deployment without processes: a shell that starts nothing, and the HTTP of a frontend and its workers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipeline.edge.http import Response


@dataclass
class FakeChild:
    name: str
    code: int | None = None
    pid: int = -1

    def poll(self) -> int | None:
        return self.code

    def ask(self) -> None:
        self.code = -15 if self.code is None else self.code

    def end(self, **_how: float) -> int:
        self.ask()
        assert self.code is not None
        return self.code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@dataclass
class FakeShell:
    """Processes by name; those in ``dying`` have ended as soon as they are started, and have said why."""

    dying: Mapping[str, str] = field(default_factory=dict)
    children: dict[str, FakeChild] = field(default_factory=dict)
    started: dict[str, list[str]] = field(default_factory=dict)

    def spawn(self, argv: Sequence[str], *, log: Path, **_how: object) -> FakeChild:
        name = log.stem
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(self.dying.get(name, ""))
        self.started[name] = list(argv)
        self.children[name] = FakeChild(name, 3 if name in self.dying else None)
        return self.children[name]

    def run(self, argv: Sequence[str], **_how: object) -> object:
        raise AssertionError(f"not expected: {argv}")

    @property
    def running(self) -> list[str]:
        return [name for name, child in self.children.items() if child.code is None]


@dataclass
class FakeDynamo:
    """Answers like a frontend with these instances; every completion of the LLM is counted by the first worker of each role."""

    served_name: str
    instances: dict[str, int]  # by Dynamo's component
    listed: bool = True
    status: int = 200
    cut: int = 0  # tokens that a completion lacks
    skips_prefill: bool = False
    completions: int = 0

    def request(
        self, method: str, url: str, *, body: bytes | None = None, timeout_s: float, **_how: object
    ) -> Response:
        path = "/" + url.split("/", 3)[3]
        answers = {
            ("GET", "/health"): self.health,
            ("GET", "/v1/models"): self.models,
            ("GET", "/metrics"): self.metrics,
            ("POST", "/v1/completions"): lambda: self.complete(json.loads(body or b"")),
        }
        assert timeout_s > 0
        status, text = answers[method, path]()
        return Response(status, {}, text.encode())

    def health(self) -> tuple[int, str]:
        listed = [
            {"component": component, "endpoint": endpoint, "instance_id": f"{component}{number}"}
            for component, count in self.instances.items()
            for number in range(count)
            for endpoint in ("generate", "worker_kv_query_source_0")
        ]
        return 200, json.dumps({"status": "healthy", "instances": listed})

    def models(self) -> tuple[int, str]:
        return 200, json.dumps({"data": [{"id": self.served_name}] if self.listed else []})

    def complete(self, prompt: dict[str, object]) -> tuple[int, str]:
        assert prompt["model"] == self.served_name
        assert prompt["ignore_eos"] is True
        if self.status != 200:
            return self.status, "no instances"
        self.completions += 1
        return 200, json.dumps({"usage": {"completion_tokens": int(str(prompt["max_tokens"])) - self.cut}})

    def metrics(self) -> tuple[int, str]:
        labels = 'dynamo_component="prefill",dynamo_endpoint="{}",dynamo_namespace="dynamo"'
        served = 0 if self.skips_prefill else self.completions
        lines = [
            f"dynamo_component_requests_total{{{labels.format(name)}}} {n}"
            for name, n in (("generate", served), ("other", 99))
        ]
        return 200, "# TYPE dynamo_component_requests_total counter\n" + "\n".join(lines) + "\n"
