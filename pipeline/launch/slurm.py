"""Launcher of a Slurm site: one batch job for each deployment, one step for each of its processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.deployment.layout import Layout, instances, place
from pipeline.edge import prometheus
from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.edge.files import file_errors
from pipeline.edge.http import Http
from pipeline.edge.journal import NAME, read
from pipeline.errors import FileError, LaunchError
from pipeline.launch import dynamo, mocker, probe, ready, slurm_script
from pipeline.launch.addresses import Addresses
from pipeline.launch.base import LaunchSpec
from pipeline.launch.describe import Command
from pipeline.launch.slurm_client import JobState, Phase, Slurm
from pipeline.launch.slurm_job import RunningJob
from pipeline.launch.slurm_place import SlurmPlace, prefix
from pipeline.schema.cluster import Cluster, SlurmSite
from pipeline.schema.endpoint import Cause, DeploymentChange, Instance, scratch_prefix
from pipeline.schema.event import JobStatus
from pipeline.schema.recipe import ROLES

BEAT = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "bash",
    "-c",
    "while :; do date >heartbeat; sleep 5; done",
)  # the sign of life: it ends with this process, however that ends
END_S = 60.0  # beyond the time that processes have to stop, until a job is out of the queue
SILENT_S = 2.0  # limit of one answer, when some do not come
BACKEND = "DYN_DISCOVERY_BACKEND"
FOLDERS = ("logs", "state", "work", "discovery")


def manifest(spec: LaunchSpec, cluster: Cluster) -> str:
    """Return the batch script; the order of its trays is that of the allocation."""
    site = _site(cluster)
    _refuse_discovery(spec, cluster, site)
    layout = _layout(spec, site)
    addresses = _addresses(spec, site, layout, slurm_script.address)
    return slurm_script.text(spec, cluster, site, layout, _commands(spec, cluster, addresses))


@contextmanager
def deployed(spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path) -> Iterator[Endpoint]:
    """Submit the job, wait until its deployment answers, yield its endpoint, and end it."""
    site = _site(cluster)
    layout = _layout(spec, site)
    with ExitStack() as stack:
        job, ending = stack.enter_context(_submitted(spec, cluster, clients, logs))
        waited = job.wait_running(site.queue_s)
        began, trays = clients.clock.monotonic(), job.trays()
        addresses = _addresses(spec, site, layout, lambda tray: trays[tray][1])
        beside = _beside(spec, site, clients, job, trays[layout.head_tray][0])
        stack.callback(beside.http.close)
        clients.journal.add("identify", what=f"nodes {' '.join(name for name, _ in trays)}")
        nodes = job.wait_identified(spec.job.recipe.limits.ready_s)
        probe.check(nodes, _needs(spec, cluster, layout))
        clients.journal.add("ready", what="engines start")
        expected = _expected(spec, addresses)
        watch = ready.Watch(beside.http, clients.clock, job.changes, spec.job.recipe.limits.ready_s)
        ids = ready.wait(expected, watch)
        places = {one.name: trays[one.tray][0] for one in layout.processes}

        def changes() -> list[DeploymentChange]:
            if found := job.changes() or ready.changes(ids, expected.url, beside.http):
                return job.changes(fresh=True) or _silent(found, _instances(addresses), places, beside.http)
            return found

        ending.changes = changes
        queued_s, start_s = waited[Phase.QUEUED], waited[Phase.CONFIGURING]
        yield Endpoint(
            url=expected.url,
            served_name=spec.llm.served_name,
            tokenizer=spec.model_path,
            instances=_instances(addresses),
            place=beside,
            frontend_log=job.log("frontend"),
            changes=ending.look,
            versions={"slurm": job.slurm.version(), **probe.versions(nodes)},
            gpus=probe.gpus(nodes),
            stages_s={"queue": queued_s, "start": start_s, "ready": clients.clock.monotonic() - began},
            commands=_argvs(spec, site, _commands(spec, cluster, addresses)),
        )
        ending.is_planned = True


def status(run_id: str, cluster: Cluster, *, clients: Clients) -> list[JobStatus]:
    """Return the jobs of a run in the queue, each with its last event on shared storage."""
    site, slurm = _site(cluster), Slurm(clients.shell)
    found = []
    for one in slurm.jobs():
        if not slurm_script.is_of(one.comment, run_id, None):
            continue
        _, _, job, attempt = one.comment.split(":")
        state = slurm.state(one.id)
        folders = Path(site.work_dir or "").glob(f"{scratch_prefix(run_id, job)}{attempt}-*/{NAME}")
        last = [event for path in folders for event in read(path)][-1:]
        found.append(
            JobStatus(
                job=job,
                attempt=int(attempt),
                stage=last[0].stage if last else "unknown",
                state=str(state),
                since=last[0].time if last else "",
                nodes=state.nodes,
                what=f"Slurm job {one.id}",
            )
        )
    return found


def sweep(run_id: str, cluster: Cluster, *, clients: Clients, job: str | None = None) -> list[str]:
    """Cancel the jobs of a run, or of one job of it, and remove its folders; return one line for each."""
    site, slurm = _site(cluster), Slurm(clients.shell)
    found = [one for one in slurm.jobs() if slurm_script.is_of(one.comment, run_id, job)]
    for one in found:
        slurm.cancel(one.id)
    for one in found:
        RunningJob(one.id, Path(), slurm, clients.clock).wait_ended(END_S)
    lines = [f"cancelled Slurm job {one.id} ({one.comment})" for one in found]
    with file_errors("remove"):
        for folder in sorted(Path(site.work_dir or "").glob(f"{scratch_prefix(run_id, job)}*")):
            shutil.rmtree(folder)
            lines.append(f"removed {folder}")
    return lines


@dataclass(slots=True)
class _Ending:
    """How a job ends: as planned with a signal to its script, otherwise by being cancelled."""

    spec: LaunchSpec
    site: SlurmSite
    clients: Clients
    slurm: Slurm
    logs: Path
    job: RunningJob | None = None
    is_planned: bool = False
    changes: Callable[[], list[DeploymentChange]] = list
    seen: list[DeploymentChange] = field(default_factory=list)

    def look(self) -> list[DeploymentChange]:
        """Return the changes of the deployment, and remember that there were some."""
        self.seen = self.changes()
        return self.seen

    def end(self) -> None:
        """Take the job out of the queue; LaunchError where its planned end is none in the eyes of Slurm."""
        job = self.job
        if job is None:  # interrupted while it was submitted
            comment = slurm_script.names(self.spec, self.site).comment
            for one in self.slurm.jobs():
                if one.comment == comment:
                    self.slurm.cancel(one.id)
            return
        limit_s = self.site.stop_s + END_S
        is_good = self.is_planned and not self.seen
        is_out = False
        if job.state().phase is Phase.RUNNING:
            self.slurm.signal_script(job.id, "USR2" if is_good else "HUP")
            is_out = job.wait_ended(limit_s)
        if not is_out:
            self.slurm.cancel(job.id)
            is_out = job.wait_ended(limit_s)
        state = job.state()
        self._record(job, state)
        if not is_out:
            raise LaunchError(f"job {job.id} is still in the queue: {state}", hint=f"scancel {job.id}")
        if is_good and not state.is_success:
            raise LaunchError(f"the job did not end as planned: {state}", where=f"Slurm job {job.id}")

    def _record(self, job: RunningJob, state: JobState) -> None:
        text = f"job {job.id}: {state}\nnodes {state.nodes}\n"
        text += "".join(f"lost {node}\n" for node in job.lost)
        (job.folder / "logs" / "slurm.log").write_text(text, encoding="utf-8")


@contextmanager
def _submitted(
    spec: LaunchSpec, cluster: Cluster, clients: Clients, logs: Path
) -> Iterator[tuple[RunningJob, _Ending]]:
    """Submit the job, and end it; its folder and its sign of life exist around that."""
    site, slurm, text = _site(cluster), Slurm(clients.shell), manifest(spec, cluster)
    layout = _layout(spec, site)
    options = _options(slurm, site, layout, spec)
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(spec, site, logs))
        if cluster.engine_override == "mocker":
            mocker.write_tables(
                spec, _simulated(spec, site, _addresses(spec, site, layout, slurm_script.address))
            )
        (folder / "job.sbatch").write_text(text, encoding="utf-8")
        stack.enter_context(clients.shell.spawn(BEAT, log=folder / "beat.log", cwd=folder))
        ending = _Ending(spec, site, clients, slurm, logs)
        stack.callback(ending.end)  # before the job exists: it is found by its comment
        clients.journal.also(folder / NAME)
        job_id = slurm.submit(folder / "job.sbatch", options)
        job = RunningJob(job_id, folder, slurm, clients.clock, clients.journal)
        clients.journal.add("submit", what=f"job {job_id}")
        ending.job = job
        named = _commands(spec, cluster, _addresses(spec, site, layout, slurm_script.address))
        job.processes = frozenset(one.name for one in named)
        yield job, ending


@contextmanager
def _folder(spec: LaunchSpec, site: SlurmSite, logs: Path) -> Iterator[Path]:
    """Make the folder of the job on shared storage; keep its logs and remove it at the end."""
    folder = Path(slurm_script.names(spec, site).folder)
    try:
        folder.mkdir(mode=0o700)
        for name in FOLDERS:
            (folder / name).mkdir()
    except FileExistsError as error:
        sweep = f"python -m pipeline sweep --run-id {spec.run_id} --cluster NAME"
        what = "this run has a job of this recipe already"
        raise LaunchError(
            what, where=str(folder), hint=f"it is still there, or was killed: {sweep}"
        ) from error
    except OSError as error:
        raise FileError.from_os_error(error, "create", folder, hint="see site.work_dir") from error
    try:
        yield folder
    finally:
        try:
            logs.mkdir(parents=True, exist_ok=True)
            for log in sorted((folder / "logs").glob("*.log")):
                shutil.copyfile(log, logs / log.name)
        finally:  # also where there is no space for the logs
            shutil.rmtree(folder, ignore_errors=True)  # a concurrent sweep may have removed it


def _site(cluster: Cluster) -> SlurmSite:
    """Return the parameters of this launcher; LaunchError names fields that are missing."""
    site = cluster.site
    missing = ["site"] if not isinstance(site, SlurmSite) else list(cluster.needs())
    if isinstance(site, SlurmSite) and not site.work_dir:
        missing.append("site.work_dir")
    if isinstance(site, SlurmSite) and cluster.engine_override == "mocker" and site.time_scale is None:
        missing.append("site.time_scale")
    if not isinstance(site, SlurmSite) or missing:
        what = f"launcher slurm needs {', '.join(missing)}"
        raise LaunchError(what, where=f"cluster {cluster.id}", hint="add it to the cluster document")
    return site


def _layout(spec: LaunchSpec, site: SlurmSite) -> Layout:
    """Return the layout; LaunchError where a job that must stay in one NVLink domain needs more trays than it has."""
    layout = place(spec.job.recipe, spec.sku.gpus_per_tray)
    if site.segment and layout.trays > spec.sku.trays:
        what = f"{layout.trays} trays, and an NVLink domain of {spec.sku.id} has {spec.sku.trays}"
        hint = "use fewer workers, or a site with segment: false"
        raise LaunchError(what, where=spec.job.id, hint=hint)
    return layout


def _refuse_discovery(spec: LaunchSpec, cluster: Cluster, site: SlurmSite) -> None:
    """Raise LaunchError where the recipe's Dynamo cannot find its instances in a folder, as far as is known."""
    known = spec.dynamo
    if site.discovery == "file" and known and BACKEND not in known.engine.variables:
        what = f"Dynamo {known.engine.version} has no {BACKEND}: it finds instances by etcd only"
        raise LaunchError(what, where=f"cluster {cluster.id}", hint="set site.discovery: etcd")


def _options(slurm: Slurm, site: SlurmSite, layout: Layout, spec: LaunchSpec) -> list[str]:
    """Return what is not in the script: what keeps a job in one NVLink domain here, and nodes that were lost."""
    excluded = [f"--exclude={','.join(spec.excluded)}"] if spec.excluded else []
    if not site.segment:
        return excluded
    segment = f"--segment={layout.trays}" if slurm.has_option("--segment") else "--switches=1"
    return [*excluded, segment]


def _addresses(spec: LaunchSpec, site: SlurmSite, layout: Layout, of: Callable[[int], str]) -> Addresses:
    folder = slurm_script.names(spec, site).folder
    return Addresses(layout, of, folder / "discovery" if site.discovery == "file" else None)


def _simulated(spec: LaunchSpec, site: SlurmSite, addresses: Addresses) -> mocker.MockerSettings:
    folder = slurm_script.names(spec, site).folder
    return mocker.MockerSettings("python3", folder, addresses, site.time_scale or 1.0)


def _commands(spec: LaunchSpec, cluster: Cluster, addresses: Addresses) -> tuple[Command, ...]:
    if cluster.engine_override == "mocker":
        return mocker.commands(spec, addresses.layout, _simulated(spec, _site(cluster), addresses))
    return dynamo.commands(
        spec.job.recipe,
        served_name=spec.llm.served_name,
        model_path=spec.model_path,
        addresses=addresses,
        vllm=spec.vllm,
    )


def _argvs(spec: LaunchSpec, site: SlurmSite, commands: Sequence[Command]) -> dict[str, tuple[str, ...]]:
    marks = slurm_script.marks(spec, site)
    variables = {one.name: {**marks, **one.env} for one in commands}
    return {
        one.name: ("env", *(f"{name}={value}" for name, value in variables[one.name].items()), *one.argv)
        for one in commands
    }


def _beside(spec: LaunchSpec, site: SlurmSite, clients: Clients, job: RunningJob, head: str) -> SlurmPlace:
    variables = slurm_script.marks(spec, site)
    image = site.client_image
    inside = [f"--container-image={image}", *slurm_script.container(spec, site)] if image else []
    return SlurmPlace(clients.shell, prefix(job.id, head, variables), inside, job.folder)


def _needs(spec: LaunchSpec, cluster: Cluster, layout: Layout) -> probe.Needs:
    """Return what the deployment needs of each node; simulated engines need no GPU."""
    gpus = 0 if cluster.engine_override == "mocker" else layout.gpus_per_tray
    return probe.Needs(spec.job.recipe, spec.model_path, gpus, _site(cluster).segment)


def _expected(spec: LaunchSpec, addresses: Addresses) -> ready.Expected:
    found = _instances(addresses)
    metrics = tuple(one.metrics_url for one in found if one.role == "prefill" and one.metrics_url)
    return ready.Expected(
        addresses.frontend_url(), spec.llm.served_name, instances(addresses.layout), metrics
    )


def _silent(
    changes: list[DeploymentChange], found: Sequence[Instance], nodes: Mapping[str, str], http: Http
) -> list[DeploymentChange]:
    """Return the changes, after the nodes on which no instance answers: Slurm names a lost node only minutes later."""
    if changes[0].cause is not Cause.INSTANCES_CHANGED:
        return changes
    answers = {one.name: prometheus.read(one.metrics_url or "", http, timeout_s=SILENT_S) for one in found}
    alive = {nodes[name] for name, metrics in answers.items() if metrics is not None}
    silent = dict.fromkeys(nodes[one.name] for one in found if nodes[one.name] not in alive)
    return [*(DeploymentChange(Cause.NODE_SILENT, node) for node in silent), *changes]


def _instances(addresses: Addresses) -> tuple[Instance, ...]:
    return tuple(
        Instance(one.name, role, addresses.metrics_url(one.tray, one.devices[0]))
        for role in ROLES
        for one in addresses.layout.processes
        if one.role == role and not one.headless
    )
