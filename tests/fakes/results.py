"""Result folders and arrivals: small, valid, and wrong only where a test makes them so."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

from pipeline.collect import collect
from pipeline.schema.base import digest
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import Failure, JobRecord, Measurement, Point, RawFile, ResultFolder
from tests.fakes import rows

CONCS = (4, 8)


def recipe(name: str = "1p1d-dep4-dep8", **changed: Any) -> Recipe:
    return rows.recipe(name, **{"conc": CONCS, **changed})


def record(of: Recipe | None = None, *, run: str = "101", **changed: Any) -> JobRecord:
    return rows.record(of or recipe(), run=run, **changed)


def failure(what: str = "never became ready") -> Failure:
    return Failure(
        error="LaunchError", what=what, where="slurm-7.out", hint="look there", exit_code=5, retryable=True
    )


def result_folder(
    of: Recipe | None = None, *, tok_s_gpu: float = 1000.0, failed: str = "", **changed: Any
) -> ResultFolder:
    """An arrival as ``collect.read`` gives it; another ``tok_s_gpu`` is other content. ``changed`` goes to ``record``."""
    made = record(of, **changed)
    points = (
        ()
        if failed
        else tuple(rows.point(made.job.recipe, conc, tok_s_gpu, 30.0) for conc in made.job.recipe.conc)
    )
    provenance = made.provenance
    return ResultFolder(
        folder=f"bench-{provenance.run_id}-{provenance.attempt}-{made.job.id}",
        record=made,
        points=points,
        failure=failure(failed) if failed else None,
        sums_sha256=digest([made.to_json(), tok_s_gpu, failed]),
    )


def measurement(staging: Path, of: Recipe | None = None) -> Measurement:
    """What a measure leaves in ``staging``: one raw file a point."""
    (staging / "raw").mkdir(parents=True)
    points = tuple(_measured(staging, of or recipe(), conc) for conc in (of or recipe()).conc)
    return Measurement(points=points, versions={"ai-dynamo": "1.4.2"}, stages_s={"measure": 1.5})


def _measured(staging: Path, of: Recipe, conc: int) -> Point:
    name, packed = f"raw/requests-c{conc}.jsonl.gz", gzip.compress(b'{"ttft_ms": 1.0}\n' * conc, mtime=0)
    (staging / name).write_bytes(packed)
    raw = RawFile(path=name, sha256=hashlib.sha256(packed).hexdigest(), bytes=len(packed))
    return whole_point(of, conc).model_copy(update={"raw": (raw,)})


def whole_point(of: Recipe, conc: int, interactivity: float = 30.0) -> Point:
    """A point that breaks no invariant: mean lengths, a second to the first token, nine tenths of conc in flight."""
    n, mean = of.client.requests_per_conc * conc, (1 + of.client.shortest) / 2
    inputs, outputs = round(of.workload.isl * mean), round(of.workload.osl * mean)
    e2e_ms = 1000 + 1000 / interactivity * (outputs - 1)
    duration_s = e2e_ms / 1000 * n / (0.9 * conc)
    return rows.point(
        of, conc, n * (inputs + outputs) / duration_s / of.gpus_counted, interactivity
    ).model_copy(
        update={
            "input_tokens": n * inputs,
            "output_tokens": n * outputs,
            "duration_s": duration_s,
            "e2e_ms": rows.statistics(e2e_ms, n),
        }
    )


def folder(out: Path, made: JobRecord | None = None) -> Path:
    """A complete result folder below ``out``."""
    made = made or record()
    staging = out / ".staging"
    packed = collect(measurement(staging, made.job.recipe), made, staging, out)
    (staging / "raw").rmdir()
    staging.rmdir()
    return packed
