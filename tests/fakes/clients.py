"""A load client that plays back what AIPerf once left, an endpoint to run it beside, and their counters; anything unexpected fails."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.edge.endpoint import Endpoint
from pipeline.edge.http import Response
from pipeline.edge.place import Here
from pipeline.edge.shell import Completed
from pipeline.errors import PipelineError
from pipeline.schema.endpoint import DeploymentChange, Instance
from tests.fakes.launch_specs import MODEL

PLAYED = Path(__file__).parents[1] / "unit" / "aiperf"
NAMES = {"prefill-0": "prefill", "decode-0": "decode", "decode-1": "decode"}


def played(name: str, file: str) -> str:
    """A file as AIPerf left it."""
    return gzip.decompress((PLAYED / name / f"{file}.gz").read_bytes()).decode()


def asked(name: str) -> dict[str, list[int]]:
    """What it was asked for: input and output tokens by session."""
    return json.loads(played(name, "asked.json"))


def in_one_piece(line: str) -> str:
    """A record whose first token came with its last."""
    record = json.loads(line)
    record["metrics"]["time_to_first_token"] = record["metrics"]["request_latency"]
    return f"{json.dumps(record)}\n"


def lay_out(name: str, folder: Path, *, without: Sequence[str] = (), buffered: bool = False) -> Path:
    """An artifact folder as AIPerf left it, or as it had left it had it been killed before these phases, or been behind a buffer."""
    folder.mkdir(parents=True, exist_ok=True)
    records = played(name, "profile_export.jsonl").splitlines(keepends=True)
    kept = [line for line in records if json.loads(line)["metadata"]["phase_name"] not in without]
    (folder / "profile_export.jsonl").write_text("".join(map(in_one_piece, kept) if buffered else kept))
    if not without:
        for file in ("profile_export_aiperf.json", "phase_manifest.json"):
            (folder / file).write_text(played(name, file))
    return folder


def endpoint(logs: Path, *, changes: Callable[[], list[DeploymentChange]] = list) -> Endpoint:
    logs.mkdir(exist_ok=True)
    (logs / "frontend.log").touch()
    return Endpoint(
        url="http://127.0.0.1:18000",
        served_name="deepseek-ai/DeepSeek-V4-Pro",
        tokenizer=str(MODEL),
        instances=tuple(Instance(name, role, f"http://127.0.0.1/{name}") for name, role in NAMES.items()),
        place=Here(FakeHttp(), lambda argv: ["beside", *argv]),
        frontend_log=logs / "frontend.log",
        changes=changes,
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

    def request(self, method: str, url: str, **_: object) -> Response:
        assert method == "GET"
        if url == "http://127.0.0.1:18000/metrics":
            return self._answer(
                self.migrations, "dynamo_frontend_model_migration_total", 'migration_type="ongoing_request"'
            )
        name = url.removeprefix("http://127.0.0.1/")
        labels = f'dynamo_endpoint="generate",worker_id="{self.ids.get(name, name)}"'
        return self._answer(self.served[name], "dynamo_component_requests_total", labels)

    def _answer(self, value: int | None, name: str, labels: str) -> Response:
        if value is None:
            raise PipelineError("no answer")
        noise = f'# TYPE {name} counter\n{name}{{dynamo_endpoint="kv_query"}} 1000\n'
        return Response(
            200, {}, f"{noise if 'component' in name else ''}{name}{{{labels}}} {value}\n".encode()
        )


@dataclass
class FakeChild:
    """Comes to the next act after some polls each; leaves with a code after the last of them, or when it is told to."""

    acts: list[Callable[[], None]]
    leave: Callable[[], None]
    polls: int
    code: int
    polled: int = 0
    ended: bool = False

    def poll(self) -> int | None:
        if self.ended:
            return -15
        self.polled += 1
        if self.polled % self.polls:
            return None
        if self.acts:
            self.acts.pop(0)()
            return None
        self.leave()
        return self.code

    def end(self) -> int:
        if not self.ended:
            self.leave()
        self.ended = True
        return -15

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True


@dataclass
class FakeClient:
    """A shell in which AIPerf plays back ``name``, loop by loop; ``meanwhile`` happens before a loop ends."""

    name: str = "whole"
    meanwhile: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    code: int = 0
    polls: int = 2  # until a loop has ended, and from the last of them until the end
    without: Sequence[str] = ()  # phases that it does not come to: what ends the run in the first of them
    hurries: bool = False  # writes down the end of a loop when the next has already begun
    silent: bool = False  # keeps no log
    buffered: bool = False  # sees each answer in one piece
    begins: bool = False  # logs that its first loop has begun, whatever comes of it
    console: str = "console"
    ran: list[list[str]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        assert list(argv) == ["beside", "nvidia-smi", "-q", "-x"]
        raise PipelineError("nvidia-smi is not installed")

    def spawn(self, argv: Sequence[str], *, log: Path) -> FakeChild:
        words = list(argv)
        assert words[:2] == ["beside", "env"]
        assert words[-3:-1] == ["profile", "--config"]
        self.ran.append(words)
        out = Path(words[-1]).parent
        self.loads.append(json.loads((out / "load.json").read_text()))
        log.write_text(f"{self.console}\n")
        (out / "logs").mkdir()
        phases = {phase["name"]: phase["kind"] for phase in self.loads[-1]["benchmark"]["phases"]}
        loops = [name for name, kind in phases.items() if kind == "profiling"]
        if self.begins:
            (out / "logs/aiperf.log").write_text(
                f"20:15:26.769 - PhaseRunner - NOTICE - Phase {loops[0]} (profiling) started | phase_index=1\n"
            )
        without = [*self.without, *({one.rpartition("-")[0] for one in asked(self.name)} - phases.keys())]
        acts = [self._loop(out, loop, last=loop == loops[-1]) for loop in loops if loop not in self.without]
        return FakeChild(
            acts,
            lambda: lay_out(self.name, out, without=without, buffered=self.buffered),
            self.polls,
            self.code,
        )

    def _loop(self, out: Path, loop: str, *, last: bool) -> Callable[[], None]:
        said = played(self.name, "aiperf.log").splitlines(keepends=True)
        ends = next(at for at, line in enumerate(said) if f"Phase {loop} (profiling) complete" in line)
        after = next(
            (
                at
                for at, line in enumerate(said)
                if at > ends and re.search(r"Phase warmup-\S+ \(warmup\) started", line)
            ),
            ends,
        )

        def act() -> None:
            self.meanwhile.get(loop, list)()
            if not self.silent:
                (out / "logs/aiperf.log").write_text(
                    "".join(said[: (after if self.hurries and not last else ends) + 1])
                )

        return act
