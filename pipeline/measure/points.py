"""A point from the requests of a closed loop, computed alike for every client and simulator."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from pipeline import secret_values
from pipeline.deployment.timing_range import extrapolations, is_recorded
from pipeline.edge import files
from pipeline.measure import redaction
from pipeline.measure.observation import Observation, Reason
from pipeline.measure.requests import Request, decoding, steady_window
from pipeline.measure.statistics import summarise
from pipeline.measure.validity import assess
from pipeline.schema.catalogue import Sku
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import Point, RawFile
from pipeline.schema.timing import SkuTiming


def point(
    recipe: Recipe,
    sku: Sku,
    observation: Observation,
    *,
    duration_s: float,
    timing: SkuTiming | None,
) -> Point:
    """Return sums and statistics over the whole answers, and what every gate says of the loop.

    ``duration_s`` is the run's wall clock, ramp and drain included. ``timing`` is that of simulated engines;
    None on hardware.
    """
    whole = [request for request in observation.requests if request.is_whole]
    assessment = assess(observation)
    running = decoding(observation.requests, steady_window(observation.requests, observation.conc))
    sequences = None if running is None else running / recipe.decode.ranks
    beyond = extrapolations(recipe, timing, sequences) if timing else ()
    unknown = _unknown_range(recipe, timing, sequences) if timing else ()
    return Point(
        conc=observation.conc,
        status="invalid" if assessment.reasons else "extrapolated" if beyond else "ok",
        reasons=tuple(map(str, assessment.reasons)),
        extrapolated=beyond,
        not_evaluated=tuple(map(str, (*assessment.not_evaluated, *unknown))),
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
        decode_sequences=sequences,
    )


def _unknown_range(recipe: Recipe, timing: SkuTiming, sequences: float | None) -> tuple[Reason, ...]:
    """Return why it is not known whether a simulated point is inside the range of its fit."""
    if not is_recorded(recipe, timing):
        text = "the timing document does not state what it was fitted to; calibrate again"
        return (Reason("fitted range", text),)
    if sequences is None:
        return (Reason("fitted range", "sequences per rank are unknown without a steady window"),)
    return ()


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
