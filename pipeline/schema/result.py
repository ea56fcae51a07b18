"""Results of a job. Derived figures are written for readers of the files and computed again on reading."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pipeline.errors import FailureKind
from pipeline.plaintext import safe_line
from pipeline.schema.base import Document, Stored, digest, schema
from pipeline.schema.plan import Job
from pipeline.schema.published import StatedPoint
from pipeline.schema.recipe import LARGEST, Client, Conc, Count, Text
from pipeline.schema.timing import Extrapolation
from pipeline.schema.upgrades import Raw

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it is a part of file names
Origin = Literal["measured", "simulated", "published"]
Line = Annotated[str, AfterValidator(safe_line)]  # of logs and of strangers
Number = Annotated[int, Field(ge=0, le=LARGEST)]
DERIVED = ("total_tok_s_gpu", "input_tok_s_gpu", "output_tok_s_gpu", "interactivity")
# An extrapolated point is shown and marked. It enters no frontier, verdict or headline.
PointStatus = Literal["ok", "extrapolated", "invalid"]
Measure = Literal["replay", "aiperf", "sa-bench", "article"]


class Statistics(Document):
    """Mean and linearly interpolated quantiles of one quantity over ``n`` requests; p99 is null below 662 requests.

    662 is the smallest count at which MLPerf LoadGen's early-stopping bound allows a p99 claim at 99 % confidence.
    """

    n: int = Field(ge=0)
    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None


class RawFile(Document):
    """A file of the load client, unchanged, relative to the result folder."""

    path: Text
    sha256: Text
    bytes: int


class Point(Document):
    """One concurrency of one deployment. Token counts, seconds and milliseconds as measured.

    The rest is derived.
    """

    conc: Conc
    status: PointStatus
    reasons: tuple[Line, ...] = Field(
        default=(), description="why the point is invalid, each `name: what was found`"
    )
    extrapolated: tuple[Extrapolation, ...] = Field(
        default=(), description="what is outside of the range that the timing was fitted to; () when measured"
    )
    not_evaluated: tuple[Line, ...] = Field(
        default=(), description="what could not be evaluated, and why; it does not make the point invalid"
    )
    gpus_prefill: Number
    gpus_decode: Number
    gpus_held: Number
    requests: int
    completed: int
    input_tokens: int
    output_tokens: int
    duration_s: float = Field(gt=0, description="wall clock of the run, ramp and drain included")
    overhead_s: float = Field(
        default=0.0, description="fixed part of duration_s that the timing model adds; 0 when measured"
    )
    lock_step_wait_s: float = Field(
        default=0.0, description="part of the mean TTFT that the timing model adds; 0 when measured"
    )
    ttft_ms: Statistics
    tpot_ms: Statistics
    e2e_ms: Statistics
    preempted: int | None = None
    effective_conc: float | None = Field(
        default=None, description="requests in flight on the steady window; null = there was none"
    )
    steady_s: float | None = Field(default=None, description="length of the steady window")
    decode_sequences: float | None = Field(
        default=None,
        description="sequences of a decode rank at once, mean over the steady window; null = no window",
    )
    raw: tuple[RawFile, ...] = ()

    @property
    def total_tok_s_gpu(self) -> float:
        """(input + output) tokens per second and prefill + decode GPU."""
        return (self.input_tokens + self.output_tokens) / self.duration_s / self.gpus_counted

    @property
    def input_tok_s_gpu(self) -> float | None:
        """Input tokens per second and prefill GPU; null without prefill GPUs."""
        return self.input_tokens / self.duration_s / self.gpus_prefill if self.gpus_prefill else None

    @property
    def output_tok_s_gpu(self) -> float:
        """Output tokens per second and decode GPU (all GPUs where there is no decode pool)."""
        return self.output_tokens / self.duration_s / (self.gpus_decode or self.gpus_prefill)

    @property
    def interactivity(self) -> float | None:
        """tok/s/user = 1000 / median TPOT."""
        return 1000 / self.tpot_ms.p50 if self.tpot_ms.p50 else None

    @property
    def gpus_counted(self) -> int:
        """Denominator of ``total_tok_s_gpu``."""
        return self.gpus_prefill + self.gpus_decode


class Host(Document):
    """The machine that measured or simulated."""

    machine: str
    cpus: int
    kernel: str
    python: str
    name: str | None = None
    cpu: str | None = Field(default=None, description="model name of the processor")


class Gpu(Document):
    """One GPU as its driver describes it when the measurement ends; null = not stated."""

    node: str
    index: str
    name: str | None
    uuid: str | None
    driver: str | None
    vbios: str | None
    sm_mhz: float | None
    memory_mhz: float | None
    power_limit_w: float | None
    fabric_cluster: str | None = Field(description="UUID of the NVLink cluster")
    fabric_clique: str | None


class Provenance(Document):
    """The origin of a result: run, code, cluster, client settings, software and machine."""

    run_id: Text
    attempt: Count
    plan_id: Text
    git_sha: str | None
    git_dirty: bool
    cluster: Text
    origin: Origin
    measure: Measure
    requests_per_conc: Count
    seed: int
    time_scale: float | None = Field(
        default=None, description="factor by which simulated engines ran slower than calibrated; null = 1"
    )
    versions: dict[str, str]
    host: Host | None
    started_at: Text
    finished_at: Text
    stages_s: dict[str, float] = Field(default_factory=dict, description="seconds by stage")
    commands: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="argument list by name of the process"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="variables that engines and libraries read, secrets redacted"
    )
    gpus: tuple[Gpu, ...] | None = Field(default=None, description="null = unknown")
    image_digest: str | None = Field(default=None, description="digest of the image that ran; null = unknown")
    recipe_digest: str | None = Field(default=None, description="SHA-256 of the whole resolved recipe")


class JobRecord(Stored):
    """job.json: the job, and where it ran."""

    schema_version: int = schema(2)
    job: Job
    provenance: Provenance

    def point_key(self, conc: int) -> str:
        """Return the key of what may share a series, a baseline or a frontier (docs/contracts.md, section 1)."""
        return point_key(self, conc, deployment_digest=self.job.deployment_digest)

    def series_key(self, conc: int) -> str:
        """Return the point key without the deployment digest: a verdict compares points of one series key."""
        return point_key(self, conc, deployment_digest="")

    @property
    def client_settings(self) -> dict[str, Any]:
        """The settings of the load client in the point key.

        Of the seed only whether it is fixed or chosen.
        """
        client: Client = self.job.recipe.client
        settings = client.model_dump(mode="json", exclude={"seed"})
        fixed = self.provenance.seed == client.seed
        settings["requests_per_conc"] = self.provenance.requests_per_conc
        return {**settings, "seed_policy": f"fixed {client.seed}" if fixed else "chosen"}

    @property
    def is_reduced(self) -> bool:
        """Whether there were fewer requests than the recipe states."""
        return self.provenance.requests_per_conc < self.job.recipe.client.requests_per_conc


def point_key(record: JobRecord, conc: int, *, deployment_digest: str) -> str:
    """Return the SHA-256 over everything that two points of one series have in common."""
    provenance, recipe = record.provenance, record.job.recipe
    parts = {
        "recipe": recipe.id,
        "deployment": deployment_digest,
        "conc": conc,
        "client": record.client_settings,
    }
    if provenance.time_scale is not None:
        parts["time_scale"] = provenance.time_scale
    return digest({**parts, "origin": provenance.origin, "measure": provenance.measure, "sku": recipe.sku})


class Failure(Stored):
    """error.json: why there are no points."""

    schema_version: int = schema(2)
    error: Line
    kind: FailureKind | None = Field(
        default=None, description="class of a failed launch; null = another error, or not classified"
    )
    what: Line
    where: Line = ""
    hint: Line = ""
    exit_code: int
    retryable: bool


class Result(Stored):
    """results.json: the points of one job."""

    schema_version: int = schema(3)
    points: Annotated[tuple[Point, ...], Field(min_length=1)]

    def to_json(self) -> str:
        """Return the document with each point's derived figures beside it, for readers of the file."""
        raw = self.model_dump(mode="json", by_alias=True)
        for written, point in zip(raw["points"], self.points, strict=True):
            written |= {name: getattr(point, name) for name in DERIVED}
        return json.dumps(raw, indent=1) + "\n"

    @classmethod
    def without_derived(cls, raw: Raw) -> Raw:
        """Return the raw document without the derived figures: they are computed again from what was measured."""
        points = raw.get("points")
        if not isinstance(points, list):
            return raw
        return {
            **raw,
            "points": [
                {name: value for name, value in point.items() if name not in DERIVED}
                if isinstance(point, dict)
                else point
                for point in points
            ],
        }


class ResultFolder(Document):
    """One result folder as read: a job with its points, or with its failure."""

    folder: Text
    record: JobRecord
    points: tuple[Point | StatedPoint, ...] = ()
    failure: Failure | None = None
    sums_sha256: Text = Field(description="SHA-256 of the folder's SHA256SUMS: the identity of its content")


class Measurement(Document):
    """What a measure passes to ``collect``: points whose raw files are in a staging folder, and the seconds of each stage."""

    points: tuple[Point, ...]
    versions: dict[str, str]
    stages_s: dict[str, float]
    commands: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    gpus: tuple[Gpu, ...] | None = None
