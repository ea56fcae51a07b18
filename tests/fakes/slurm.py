"""The commands of Slurm without a Slurm: a job runs as soon as it is submitted, and its processes are marks in its folder."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipeline.edge.http import ConnectionLostError
from pipeline.edge.shell import Completed
from tests.fakes.dynamo import FakeChild, FakeDynamo


@dataclass
class FakeJob:
    """A submitted script, and what became of it."""

    id: str
    name: str
    comment: str
    state: str = "RUNNING"
    exit_code: str = "0:0"
    reason: str = "None"
    nodes: str = "gb[01-18]"
    preempt_time: str = "None"


@dataclass
class FakeDialogue:
    """The relay in a step: asks the fake deployment, as long as its job runs."""

    job: FakeJob
    dynamo: FakeDynamo

    def ask(self, line: bytes, *, timeout_s: float) -> bytes | None:
        if self.job.state != "RUNNING":
            return None
        asked = json.loads(line)
        body = None if asked["body"] is None else base64.b64decode(asked["body"])
        try:
            answer = self.dynamo.request(asked["method"], asked["url"], body=body, timeout_s=timeout_s)
        except ConnectionLostError as error:
            return json.dumps({"error": str(error)}).encode()
        text = base64.b64encode(answer.body).decode()
        return json.dumps({"status": answer.status, "headers": {}, "body": text}).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


@dataclass
class FakeSlurm:
    """Jobs by id, and what of them is about to go wrong."""

    dynamo: FakeDynamo
    dying: Mapping[str, str] = field(default_factory=dict)  # process -> last words
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # sbatch option -> Slurm's words
    failing: Mapping[str, Completed] = field(default_factory=dict)  # program -> how it fails
    ran: list[list[str]] = field(default_factory=list)
    lost: Mapping[str, str] = field(default_factory=dict)  # job id -> node that dies at once
    children: list[FakeChild] = field(default_factory=list)
    ends: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {"--signal=USR2": ("COMPLETED", "0:0"), "--signal=HUP": ("FAILED", "1:0")}
    )  # how a job ends that gets this signal

    @property
    def running(self) -> list[str]:
        children = [one.name for one in self.children if one.code is None]
        return [one.id for one in self.jobs.values() if one.state in ("RUNNING", "PENDING")] + children

    def run(self, argv: Sequence[str], **_how: object) -> Completed:
        words = list(argv)
        self.ran.append(words)
        if words[0] in self.failing:
            return self.failing[words[0]]
        return getattr(self, f"_{words[0]}")(words[1:])

    def spawn(self, argv: Sequence[str], **_how: object) -> FakeChild:
        assert list(argv)[:3] == ["setpriv", "--pdeathsig", "KILL"]
        self.children.append(FakeChild("heartbeat"))
        return self.children[-1]

    def talk(self, argv: Sequence[str], **_how: object) -> FakeDialogue:
        words = list(argv)
        assert words[0] == "srun"
        return FakeDialogue(self.jobs[words[1].removeprefix("--jobid=")], self.dynamo)

    def _sbatch(self, words: list[str]) -> Completed:
        known = {"--help": "  --switches=count\n", "--version": "slurm 22.05.8\n"}
        if words[0] in known:
            return Completed(0, known[words[0]], "")
        if words[0] in self.refused:
            return Completed(1, "", self.refused[words[0]])
        if words[0] == "--test-only":
            return Completed(0, "", "sbatch: Job 1 to start at 2026-01-01T00:00:00")
        assert words[0] == "--parsable"
        text = Path(words[-1]).read_text()
        options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
        job = FakeJob(str(100 + len(self.jobs)), options["job-name"], options["comment"])
        self.jobs[job.id] = job
        if job.id in self.lost:
            job.state, job.reason, job.exit_code = "NODE_FAIL", "NodeDown", "1:0"
        self._start(
            Path(options["chdir"]), int(options["nodes"]), re.findall(r"^ +start (\S+)", text, re.MULTILINE)
        )
        return Completed(0, f"{job.id}\n", "")

    def _start(self, folder: Path, trays: int, names: list[str]) -> None:
        lines = [f"gb{tray:02} 10.77.0.{tray}" for tray in range(1, trays + 1)]
        (folder / "trays").write_text("\n".join(lines) + "\n")
        (folder / "probe").mkdir()
        for tray in range(1, trays + 1):
            said = {"node": f"gb{tray:02}", "machine": "aarch64", "versions": {"vllm": "0.20.0"}}
            (folder / "probe" / f"{tray}.json").write_text(json.dumps({**said, "missing": [], "smi": None}))
        for name in names:
            (folder / "state" / f"{name}.started").touch()
            (folder / "logs" / f"{name}.log").write_text(self.dying.get(name, ""))
            if name in self.dying:
                (folder / "state" / f"{name}.exit").write_text("3\n")
                (folder / "state" / "ended").write_text(f"exited {name}\n")

    def _scontrol(self, words: list[str]) -> Completed:
        job = self.jobs.get(words[-1])
        if job is None:
            return Completed(1, "", "slurm_load_jobs error: Invalid job id specified\n")
        text = (
            f"JobId={job.id} JobName={job.name} JobState={job.state} Reason={job.reason} ExitCode={job.exit_code}"
            f" PreemptTime={job.preempt_time} NodeList={job.nodes} Comment={job.comment}\n"
        )
        return Completed(0, text, "")

    def _sacct(self, _words: list[str]) -> Completed:
        return Completed(1, "", "Slurm accounting storage is disabled\n")

    def _squeue(self, words: list[str]) -> Completed:
        wanted = next((word.removeprefix("--jobs=") for word in words if word.startswith("--jobs=")), None)
        up = [one for one in self.jobs.values() if one.id in self.running and wanted in (None, one.id)]
        rows = [one.id if wanted else f"{one.id}|{one.name}|{one.comment}" for one in up]
        return Completed(0, "".join(f"{row}\n" for row in rows), "")

    def _sinfo(self, _words: list[str]) -> Completed:
        lost = [self.lost[job] for job in self.jobs if job in self.lost]
        return Completed(0, "".join(f"{node} down*\n" for node in lost[-1:]), "")

    def _scancel(self, words: list[str]) -> Completed:
        job = self.jobs[words[-1]]
        if job.id in self.running:
            planned = next((self.ends[word] for word in words if word in self.ends), ("CANCELLED", "0:15"))
            job.state, job.exit_code = planned
        return Completed(0, "", "")
