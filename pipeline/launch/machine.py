"""Requirements of a deployment of real processes on this machine, checked before anything is started."""

from __future__ import annotations

import json
from importlib import metadata
from math import ceil
from pathlib import Path

from pipeline.edge import files, processes
from pipeline.errors import LaunchError, lacking
from pipeline.launch.base import JOB, PROCESS, RUN, LaunchSpec
from pipeline.schema.cluster import Cluster, LocalSite
from pipeline.schema.endpoint import scratch_prefix

FRONTEND_MB, ENGINE_MB, CLIENT_MB = 110, 130, 1000  # resident, Dynamo 1.4.2 and AIPerf 0.13
PACKAGES = ("ai-dynamo", "ai-dynamo-runtime")
SOCKET_PATH = 107  # maximum length of the path of a Unix socket
# Deepest socket of AIPerf 0.13, below its temporary folder.
DEEPEST = "xxxxxxxx/tmpxxxxxxxx/aiperf/dataset_manager_proxy_frontend.ipc"
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def end_run(run_id: str, job: str | None, *, grace_s: float) -> list[str]:
    """End all processes of a run on this machine, or of one job of it; return one line for each."""
    ended = processes.end({RUN: run_id} if job is None else {RUN: run_id, JOB: job}, grace_s=grace_s)
    return [
        f"ended process {one.pid} ({one.settings.get(PROCESS, 'measuring')} of {one.settings.get(JOB, run_id)})"
        for one in ended
    ]


def versions() -> dict[str, str]:
    """Return the versions of Dynamo's packages."""
    try:
        return {name: metadata.version(name) for name in PACKAGES}
    except metadata.PackageNotFoundError as error:
        raise lacking("launcher local", "simulate", error.name) from error


def refuse_model(spec: LaunchSpec, cluster: Cluster) -> None:
    """Raise LaunchError where the LLM's folder has no readable tokenizer."""
    missing = [name for name in FILES if not (Path(spec.model_path) / name).is_file()]
    if missing:
        hint = f"set model_paths in cluster {cluster.id}; a tokenizer and its config are enough, no weights"
        raise LaunchError(f"no {', '.join(missing)} for {spec.llm.id}", where=spec.model_path, hint=hint)
    for path in (Path(spec.model_path) / name for name in FILES):
        content = files.read(path)
        try:
            json.loads(content)
        except ValueError as error:
            raise LaunchError(
                f"not JSON: {error}", where=str(path), hint="Dynamo does not list an LLM without it"
            ) from error


def refuse_temporary(spec: LaunchSpec, folder: Path) -> None:
    """Raise LaunchError where a temporary folder's path is too long for the sockets of the load client."""
    excess = len(str(folder / (scratch_prefix(spec.run_id, spec.job.id) + DEEPEST)).encode()) - SOCKET_PATH
    if excess > 0:
        what = f"the path is too long for the sockets of the load client, by {excess} characters"
        raise LaunchError(what, where=str(folder), hint="set TMPDIR to a shorter path, e.g. /tmp")


def refuse_size(engines: int, site: LocalSite) -> None:
    """Raise LaunchError for more engine processes than cores and memory allow."""
    need_mb = FRONTEND_MB + engines * ENGINE_MB + CLIENT_MB
    need_cores = ceil(engines / site.processes_per_core)
    have_cores, have_mb = processes.cores(), processes.memory_free_mb()
    if need_cores > have_cores or need_mb > have_mb:
        what = (
            f"too large for this machine: {engines} engine processes, a frontend and a load client need"
            f" {need_cores} cores and {need_mb / 1000:.1f} GB,"
            f" there are {have_cores} cores and {have_mb / 1000:.1f} GB free"
        )
        raise LaunchError(
            what,
            hint="use fewer workers or dp_launch: per-tray, or measure in virtual time with cluster laptop",
        )
