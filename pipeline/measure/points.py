"""A point from the requests of a closed loop, computed alike for every client and simulator."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from pipeline import secret_values
from pipeline.edge import files
from pipeline.measure import redaction
from pipeline.measure.observation import Assessment, Observation
from pipeline.measure.requests import Request
from pipeline.measure.statistics import summarise
from pipeline.schema.catalogue import Sku
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import Point, RawFile


def point(
    recipe: Recipe, sku: Sku, observation: Observation, assessment: Assessment, *, duration_s: float
) -> Point:
    """Return sums and statistics over the whole answers.

    ``duration_s`` is the run's wall clock, ramp and drain included.
    """
    whole = [request for request in observation.requests if request.is_whole]
    return Point(
        conc=observation.conc,
        status="invalid" if assessment.reasons else "ok",
        reasons=tuple(map(str, assessment.reasons)),
        not_evaluated=tuple(map(str, assessment.not_evaluated)),
        gpus_prefill=recipe.prefill.gpus,
        gpus_decode=recipe.decode.gpus,
        gpus_held=recipe.gpus_held(sku.gpus_per_tray),
        requests=observation.sent,
        completed=len(whole),
        input_tokens=sum(request.input or 0 for request in whole),
        output_tokens=sum(request.output or 0 for request in whole),
        duration_s=duration_s,
        ttft_ms=summarise([r.ttft_ms for r in whole if r.ttft_ms is not None]),
        tpot_ms=summarise([r.tpot_ms for r in whole if r.tpot_ms is not None]),
        e2e_ms=summarise([r.e2e_ms for r in whole]),
        effective_conc=assessment.effective_conc,
        steady_s=assessment.steady_s,
    )


def span_s(requests: Sequence[Request]) -> float:
    """Return the seconds from the first request sent to the last answer; 0 without requests."""
    return max(r.end_s for r in requests) - min(r.start_s for r in requests) if requests else 0.0


def pack(source: Path, staging: Path, name: str, *, secrets: tuple[str, ...] = ()) -> RawFile:
    """Keep a file as ``raw/NAME.gz`` below ``staging`` without these values; equal files give equal bytes."""
    target = staging / "raw" / f"{name}.gz"
    with (
        files.replacing(target) as temporary,
        source.open("rb") as content,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
    ):
        pieces = secret_values.pieces(content, secrets)
        for piece in redaction.log_without_secrets(pieces) if name.endswith(".log") else pieces:
            packed.write(piece)
    return RawFile(
        path=target.relative_to(staging).as_posix(),
        sha256=files.sha256_of_file(target),
        bytes=target.stat().st_size,
    )
