"""Cluster documents: SKUs, launcher and measure of a site, and its names of models and images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from pipeline.schema.base import DISTINCT, Document, digest
from pipeline.schema.recipe import Count, Purpose, Text

Positive = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1024, le=32767)]


class Site(Document):
    """Base of the launcher-specific part of a cluster document.

    The rest of the pipeline asks these questions and never tests which launcher it is. A new launcher adds
    one subclass, with a field ``launcher`` of its own name, and adds it to ``AnySite``.
    """

    on_this_machine: ClassVar[bool] = False  # engines and load client run where the pipeline runs
    cluster_fields: ClassVar[tuple[str, ...]] = ()  # optional fields of Cluster that this launcher requires

    @property
    def measured(self) -> dict[str, JsonValue]:
        """The fields that change a measurement; they are part of the point key."""
        return {}

    @property
    def slowdown(self) -> float | None:
        """Factor on the times of simulated engines; None where times are not scaled."""
        return None

    @property
    def teardown_s(self) -> int:
        """Seconds that processes have to stop before they are killed."""
        return 0

    @property
    def retries(self) -> int:
        """How often a launch that failed because of the site is tried again."""
        return 0

    @property
    def queued_s(self) -> int:
        """Longest wait in a queue, in seconds, before a deployment starts."""
        return 0


class NoLauncher(Site):
    """No deployment: points come from a replay in virtual time."""

    launcher: Literal["none"]


class LocalSite(Site):
    """A deployment of real processes on this machine. Seconds are wall clock."""

    on_this_machine: ClassVar[bool] = True
    cluster_fields: ClassVar[tuple[str, ...]] = ("engine_override",)  # it starts simulated engines only

    launcher: Literal["local"]
    isolation: Literal["network-namespace", "none"] = Field(
        description="network-namespace: the deployment cannot be reached from outside; "
        "none: some of its sockets listen on every interface"
    )
    time_scale: Positive = Field(
        description="simulated engines take this many times as long as calibrated; part of the point key"
    )
    ready_s: Count = Field(description="limit from the first process to the first answer")
    time_s: Count = Field(description="limit of the whole deployment; its processes end by themselves then")
    stop_s: Count = Field(description="time that processes have to stop before they are killed")
    first_port: Port = Field(description="the first free block of ports from here on is used")
    last_port: Port
    processes_per_core: Count = Field(
        description="upper limit of engine processes for each core; a larger deployment is rejected"
    )

    @property
    def measured(self) -> dict[str, JsonValue]:
        """The time scale."""
        return {"time_scale": self.time_scale}

    @property
    def slowdown(self) -> float | None:
        """The time scale."""
        return self.time_scale

    @property
    def teardown_s(self) -> int:
        """The stop time."""
        return self.stop_s


class SlurmSite(Site):
    """Parameters of jobs on a Slurm site."""

    launcher: Literal["slurm"]
    account: str | None = None
    partition: Text
    work_dir: str | None = Field(
        default=None,
        description="folder, absolute, that the machine of the pipeline and all trays see at the same path;"
        " each job has a folder in it; required to launch",
    )
    segment: bool = Field(
        description="keep a job in one NVLink domain: --segment, or --switches=1 where this Slurm lacks it"
    )
    gpus_per_node_directive: bool = True
    sbatch_options: tuple[str, ...] = Field(default=(), description="further options, e.g. --qos=bench")
    container_mounts: tuple[str, ...] = ()
    container_writable: bool = False
    environment: dict[str, str] = Field(
        default_factory=dict, description="variables of every process, e.g. UCX_NET_DEVICES"
    )
    discovery: Literal["etcd", "file"] = Field(
        default="etcd",
        description="etcd: etcd and NATS on the first tray; file: a folder below work_dir, and neither of them",
    )
    services_image: str | None = Field(
        default=None, description="container with nats-server and etcd; null = programs of the tray"
    )
    client_image: str | None = Field(
        default=None, description="container of the load client; null = a program of the tray"
    )
    time_scale: Positive | None = Field(
        default=None,
        description="for simulated engines: they take this many times as long; part of the point key",
    )
    queue_s: Count = Field(default=86_400, description="limit of the wait in the queue")
    stop_s: Count = Field(default=30, description="time that processes have to stop before they are killed")
    tries: Annotated[int, Field(ge=1, le=4)] = Field(
        default=2, description="most launches of a deployment; another one only where the site was the cause"
    )
    watchdog_s: Count = Field(
        default=300, description="a job ends itself when the pipeline has shown no sign of life for this long"
    )

    @property
    def measured(self) -> dict[str, JsonValue]:
        """Whether KV may have to leave its NVLink domain; variables of every process and the time scale, if any."""
        found: dict[str, JsonValue] = {"segment": self.segment}
        if self.environment:
            found["environment"] = dict(self.environment)
        return found if self.time_scale is None else {**found, "time_scale": self.time_scale}

    @property
    def slowdown(self) -> float | None:
        """The time scale."""
        return self.time_scale

    @property
    def teardown_s(self) -> int:
        """The stop time."""
        return self.stop_s

    @property
    def retries(self) -> int:
        """How often a launch that failed because of the site is tried again."""
        return self.tries - 1

    @property
    def queued_s(self) -> int:
        """The limit of the wait in the queue."""
        return self.queue_s


class KubernetesSite(Site):
    """Where on a Kubernetes cluster the deployment runs."""

    launcher: Literal["kubernetes"]
    namespace: Text
    gpu_product: Text
    model_claim: Text
    compute_domain: bool = Field(description="claim an IMEX channel for MNNVL")

    @property
    def measured(self) -> dict[str, JsonValue]:
        """The GPUs, and whether KV crosses trays over NVLink."""
        return {"gpu_product": self.gpu_product, "compute_domain": self.compute_domain}


AnySite = Annotated[NoLauncher | LocalSite | SlurmSite | KubernetesSite, Field(discriminator="launcher")]


class Cluster(Document):
    """A named site: its SKUs, what measures a recipe there, and the launcher with its parameters."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: Text
    skus: Annotated[tuple[str, ...], Field(min_length=1), DISTINCT]
    site: AnySite = Field(description="the launcher and its parameters")
    measure: Literal["replay", "aiperf"]
    engine_override: Literal["mocker"] | None = None
    runs_on: Annotated[tuple[str, ...], Field(min_length=1), DISTINCT] = Field(
        description="labels of the GitHub runner"
    )
    purpose: Purpose = Field(
        default="benchmark", description="which recipes run here: those of the same purpose"
    )
    racks: Count = Field(description="deployments that can run at once; the matrix's max-parallel")
    timing: Text | Annotated[tuple[Text, ...], Field(min_length=1), DISTINCT] | None = Field(
        default=None,
        description="timing document below recipes/, or several of them, for simulated engines",
    )
    model_paths: dict[str, str] = Field(
        default_factory=dict,
        description="LLM -> where its files are; for launcher local a folder below recipes/ or an absolute path",
    )
    images: dict[str, str] = Field(
        default_factory=dict, description="image of a recipe -> its name at this site"
    )
    client: Text = Field(
        default="aiperf",
        description="program of the load client, for measure aiperf: on PATH, or an absolute path",
    )
    notes: str = ""

    @property
    def timings(self) -> tuple[str, ...]:
        """Timing documents below recipes/; of several, the one for the LLM of a recipe counts."""
        return (self.timing,) if isinstance(self.timing, str) else self.timing or ()

    @property
    def is_simulated(self) -> bool:
        """Whether its figures come from timing documents."""
        return self.measure == "replay" or self.engine_override == "mocker"

    @property
    def launcher(self) -> str | None:
        """Name of the launcher, or None where nothing is deployed."""
        return None if isinstance(self.site, NoLauncher) else self.site.launcher

    @property
    def measured_digest(self) -> str:
        """Digest of the fields that can change a measurement; the location of weights cannot."""
        content = self.model_dump(mode="json", include={"id", "measure", "engine_override", "images"})
        content["launcher"] = self.launcher
        if self.launcher is not None:
            content[self.launcher] = self.site.measured
        return digest(content)

    def needs(self) -> dict[str, str]:
        """Return the fields that the document lacks, each with what requires it."""
        required = dict.fromkeys(self.site.cluster_fields, f"launcher {self.launcher}")
        if self.engine_override == "mocker":
            required["timing"] = "engine mocker"
        if self.measure == "replay":
            required["timing"] = "measure replay"
        if self.measure == "aiperf":
            required["launcher"] = "measure aiperf"
        return {field: source for field, source in required.items() if getattr(self, field) is None}
