"""What became of a job or of all jobs of a plan: the error that a run ends with, and error.json."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline import secret_values
from pipeline.errors import LaunchError, MeasureError, PipelineError
from pipeline.measure import redaction
from pipeline.schema.plan import Job
from pipeline.schema.result import Failure, Measurement


def failure(error: PipelineError) -> Failure:
    """Return error.json; secrets are removed, because an error may quote the end of a log."""
    return Failure(
        error=type(error).__name__,
        kind=error.kind if isinstance(error, LaunchError) else None,
        what=redaction.without_secrets(error.what),
        where=redaction.without_secrets(error.where),
        hint=redaction.without_secrets(error.hint),
        exit_code=error.exit_code,
        retryable=error.retryable,
    )


def without_values(found: Failure, env: Mapping[str, str]) -> Failure:
    """Return error.json without the values of secrets of the environment."""
    secrets = secret_values.of(env)
    texts = {name: secret_values.without(getattr(found, name), secrets) for name in ("what", "where", "hint")}
    return found.model_copy(update=texts)


def untrusted(measured: Measurement, job: Job) -> MeasureError | None:
    """Return the error of a job whose points are stored and not all to be trusted; None when all are good."""
    invalid = [point for point in measured.points if point.status == "invalid"]
    missing = sorted(set(job.recipe.conc) - {point.conc for point in measured.points})
    if not invalid and not missing:
        return None
    parts = [f"c{point.conc} {reason}" for point in invalid for reason in point.reasons]
    parts += [f"c{conc} was not measured" for conc in missing]
    return MeasureError(
        f"{len(invalid)} of {len(job.recipe.conc)} points invalid: {'; '.join(parts)}", where=job.id
    )


def process_failed(job_id: str, code: int, last_output: str) -> LaunchError:
    """Return the error of a measuring process that ended without writing one itself; a negative code is a signal."""
    cause = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return LaunchError(f"the measuring process {cause}", where=job_id, hint=last_output[-500:])


def check_jobs(codes: Mapping[str, int], where: str) -> None:
    """Raise the error of a run whose jobs ended with these exit codes, when one failed.

    Its exit code is theirs when all failed alike, else that of a launch error.
    """
    failed = {name: code for name, code in codes.items() if code}
    if not failed:
        return
    error = PipelineError(
        f"{len(failed)} of {len(codes)} jobs failed: {', '.join(sorted(failed))}",
        where=where,
        hint="error.json or the invalid points in each folder say why",
    )
    distinct = {code if code > 0 else LaunchError.exit_code for code in failed.values()}
    error.exit_code = distinct.pop() if len(distinct) == 1 else LaunchError.exit_code
    raise error
