"""A load client that plays back what AIPerf once left, an endpoint to run it beside, and their counters; anything unexpected fails."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipeline.edge.http import Answer
from pipeline.edge.shell import Completed
from pipeline.errors import PipelineError
from pipeline.schema.endpoint import Endpoint, Instance

PLAYED = Path(__file__).parents[1] / "unit" / "aiperf"
NAMES = {"prefill-0": "prefill", "decode-0": "decode", "decode-1": "decode"}


def lay_out(name: str, folder: Path) -> Path:
    """An artifact folder as AIPerf left it."""
    folder.mkdir(parents=True, exist_ok=True)
    for packed in (PLAYED / name).glob("*.gz"):
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


def endpoint(logs: Path, *, alive: Callable[[], list[str]] = list) -> Endpoint:
    logs.mkdir(exist_ok=True)
    (logs / "frontend.log").touch()
    return Endpoint(
        url="http://127.0.0.1:18000",
        served_name="tiny",
        tokenizer="/srv/tokenizer",
        instances=tuple(Instance(name, role, f"http://127.0.0.1/{name}") for name, role in NAMES.items()),
        logs=logs,
        frontend_log=logs / "frontend.log",
        beside=lambda argv: ["beside", *argv],
        alive=alive,
        versions={"ai-dynamo": "1.4.2"},
        stages_s={"start": 0.5, "ready": 4.0},
        commands={"frontend": ("python", "-m", "dynamo.frontend")},
    )


@dataclass
class FakeHttp:
    """Counters by instance; the frontend's migrations; None = no answer."""

    served: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    ids: dict[str, str] = field(default_factory=dict)
    migrations: int | None = 0

    def request(self, method: str, url: str, **_: object) -> Answer:
        assert method == "GET"
        if url == "http://127.0.0.1:18000/metrics":
            return self._answer(self.migrations, "dynamo_frontend_model_migration_total", 'migration_type="ongoing_request"')
        name = url.removeprefix("http://127.0.0.1/")
        labels = f'dynamo_endpoint="generate",worker_id="{self.ids.get(name, name)}"'
        return self._answer(self.served[name], "dynamo_component_requests_total", labels)

    def _answer(self, value: int | None, name: str, labels: str) -> Answer:
        if value is None:
            raise PipelineError("no answer")
        noise = f'# TYPE {name} counter\n{name}{{dynamo_endpoint="kv_query"}} 1000\n'
        return Answer(200, {}, f"{noise if 'component' in name else ''}{name}{{{labels}}} {value}\n".encode())


class FakeChild:
    """Ends after some polls with a code; what it does then is its last act."""

    def __init__(self, polls: int, code: int, last_act: Callable[[], None]) -> None:
        self.polls, self.code, self.last_act, self.ended = polls, code, last_act, False

    def poll(self) -> int | None:
        if self.ended or self.polls > 0:
            self.polls -= 1
            return None
        self.last_act()
        self.last_act = list
        return self.code

    def end(self) -> int:
        self.ended = True
        return -15

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True


@dataclass
class FakeClient:
    """A shell in which AIPerf plays back ``name``; ``meanwhile`` happens before it leaves."""

    name: str
    meanwhile: Callable[[], None] = list
    code: int = 0
    polls: int = 2
    version: Completed = field(default_factory=lambda: Completed(0, "0.13.0\n", ""))
    ran: list[list[str]] = field(default_factory=list)

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        if list(argv) == ["beside", "env", "aiperf", "--version"]:
            return self.version
        assert list(argv) == ["beside", "nvidia-smi", "-q", "-x"]
        raise PipelineError("nvidia-smi is not installed")

    def spawn(self, argv: Sequence[str], *, log: Path) -> FakeChild:
        words = list(argv)
        assert words[:2] == ["beside", "env"]
        self.ran.append(words)
        out = Path(words[words.index("--artifact-dir") + 1])
        log.write_text("console\n")

        def last_act() -> None:
            lay_out(self.name, out)
            self.meanwhile()

        return FakeChild(self.polls, self.code, last_act)
