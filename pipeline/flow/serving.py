"""A live job: start its deployment, measure it with the load client, take everything down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline import secret_values
from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.edge.journal import NAME, Journal
from pipeline.errors import FileAction, FileError, LaunchError, PipelineError
from pipeline.flow import launch_specs, launching
from pipeline.flow.context import Context
from pipeline.launch.launchers import LAUNCHERS
from pipeline.measure import aiperf
from pipeline.measure.aiperf_load import LoadSettings
from pipeline.measure.points import pack
from pipeline.measure.provenance import Attempt
from pipeline.schema.result import Measurement
from pipeline.schema.timing import SkuTiming


def measure(context: Context, attempt: Attempt, staging: Path) -> Measurement:
    """Return the points of a live job, with commands, versions and stage times; logs are kept also of a failure."""
    journal = Journal(context.clock, staging / NAME)
    try:
        with _kept_logs(staging, secret_values.of(context.env)) as logs:
            return _measured(context, attempt, staging, logs, journal)
    except PipelineError as error:
        journal.add("end", what=error.what, kind=error.kind if isinstance(error, LaunchError) else None)
        raise
    except OSError as error:
        action: FileAction = "access" if error.filename else "write"
        raise FileError.from_os_error(
            error, action, error.filename or staging, hint="no point is kept"
        ) from error


def _measured(context: Context, attempt: Attempt, staging: Path, logs: Path, journal: Journal) -> Measurement:
    job, cluster = attempt.job, attempt.plan.cluster
    if cluster.site.on_this_machine and shutil.which(cluster.client, path=context.env.get("PATH")) is None:
        raise PipelineError(f"the load client {cluster.client!r} is not on PATH", hint=aiperf.INSTALL)
    spec = launch_specs.spec(context, attempt.plan, job, run_id=attempt.run_id, attempt=attempt.attempt)
    if cluster.launcher in LAUNCHERS:  # first, so that a launch that fails leaves what it would have started
        (staging / "manifest.txt").write_text(
            LAUNCHERS[cluster.launcher].manifest(spec, cluster), encoding="utf-8"
        )
        secrets = secret_values.of(context.env)
        pack(staging / "manifest.txt", staging, "manifest.txt", secrets=secrets)
    with launching.deployed(context, cluster, spec, logs, journal) as endpoint:
        clients = Clients(context.shell, endpoint.place.http, context.clock)
        journal.add("measure")
        measured = aiperf.measure(_setup(context, attempt, endpoint, staging, spec.timing), clients)
        journal.add("teardown")
        leaving = context.clock.monotonic()
    stages = {**endpoint.stages_s, **measured.stages_s, "teardown": context.clock.monotonic() - leaving}
    journal.add("end")
    return measured.model_copy(update={"stages_s": stages})


def _setup(
    context: Context, attempt: Attempt, endpoint: Endpoint, staging: Path, timing: SkuTiming | None
) -> LoadSettings:
    return LoadSettings(
        job=attempt.job,
        sku=attempt.plan.skus[attempt.job.recipe.sku],
        endpoint=endpoint,
        program=attempt.plan.cluster.client,
        run_id=attempt.run_id,
        requests_per_conc=attempt.requests_per_conc,
        seed=attempt.seed,
        staging=staging,
        secrets=secret_values.of(context.env),
        timing=timing,
    )


@contextmanager
def _kept_logs(staging: Path, secrets: tuple[str, ...]) -> Iterator[Path]:
    logs = staging / "logs"
    try:
        yield logs
    except BaseException:
        with suppress(FileError):  # the first error is the one that counts
            _pack_all(logs, staging, secrets)
        raise
    _pack_all(logs, staging, secrets)


def _pack_all(logs: Path, staging: Path, secrets: tuple[str, ...]) -> None:
    for log in sorted(logs.glob("*.log")):
        pack(log, staging, f"logs/{log.name}", secrets=secrets)
