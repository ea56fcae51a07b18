"""Replay in virtual time: Dynamo's own scheduler runs a closed loop at full concurrency.

There is one simulated worker for each DP rank.

Simulated: continuous batching, chunked prefill, the KV block pool, hand-off, queueing. Not simulated:
kernels, expert imbalance, HTTP and tokenisation. Pass and step times come from the calibrated timing tables.
What ranks in lock-step add to the wait for the first token is added to the hand-over (deployment/lock_step.py).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from pipeline.deployment import simulated
from pipeline.deployment.closed_loop import RequestLengths
from pipeline.deployment.lock_step import lock_step_wait_s
from pipeline.deployment.scheduler import max_num_seqs, mean_lengths
from pipeline.deployment.worker_kinds import decode_timing, prefill_timing
from pipeline.edge import files
from pipeline.edge.clock import Clock
from pipeline.errors import MeasureError, lacking
from pipeline.measure import points
from pipeline.measure.lengths import draw, trace
from pipeline.measure.observation import Observation
from pipeline.measure.requests import Request
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Recipe, Role
from pipeline.schema.result import Measurement, Point, RawFile
from pipeline.schema.timing import SkuTiming

PACKAGES = ("ai-dynamo", "ai-dynamo-runtime", "numpy")
TRACE_BLOCK = 512
UUID = re.compile(rb'"uuid":"[^"]*",')
SESSION = re.compile(rb'"session_id":"request_(\d+)"')


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """One job on its SKU with its timing, how much is measured, and a folder for the output."""

    job: Job
    sku: Sku
    timing: SkuTiming
    requests_per_conc: int
    seed: int
    staging: Path


def measure(settings: ReplaySettings, *, clock: Clock) -> Measurement:
    """Measure every concurrency of a job, one after the other.

    Raw per-request files are written to ``staging/raw``.
    """
    start = clock.monotonic()
    engine = Engine.load()
    loaded = clock.monotonic()
    with files.file_errors("write", settings.staging, hint="no point is kept"):
        measured = tuple(point(engine, settings, conc) for conc in settings.job.recipe.conc)
    stages = {"load": loaded - start, "measure": clock.monotonic() - loaded}
    return Measurement(
        points=measured, versions={name: metadata.version(name) for name in PACKAGES}, stages_s=stages
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """The two names of Dynamo that are used; imported late, since Dynamo is an extra."""

    replay: Any
    arguments: Any

    @classmethod
    def load(cls) -> Engine:
        """Import Dynamo; PipelineError names the extra where it is missing."""
        try:
            return cls(
                import_module("dynamo.replay").run_trace_replay, import_module("dynamo.mocker").MockEngineArgs
            )
        except ModuleNotFoundError as error:
            raise lacking("virtual-time measurement", "simulate", error.name) from error


@dataclass(frozen=True, slots=True)
class ReplayedLoop:
    """One closed loop: its requests, and what lock-step adds to the mean hand-over of a prompt."""

    conc: int
    lengths: RequestLengths
    lock_step_wait_s: float


def with_wait(prefill: Mapping[str, Any], loop: ReplayedLoop) -> dict[str, Any]:
    """Return the arguments of a prefill worker, with a hand-over that takes the wait longer on average.

    Dynamo takes ``tokens · kv_bytes_per_token / bandwidth`` for it, and runs passes meanwhile.
    """
    bandwidth = prefill["kv_transfer_bandwidth"]
    transfer_s = float(np.mean(loop.lengths.inputs)) * prefill["kv_bytes_per_token"] / (bandwidth * 1e9)
    return {**prefill, "kv_transfer_bandwidth": bandwidth * transfer_s / (transfer_s + loop.lock_step_wait_s)}


def point(engine: Engine, settings: ReplaySettings, conc: int) -> Point:
    """Measure one closed loop at ``conc``; MeasureError when a request was lost or cut."""
    recipe, timing = settings.job.recipe, settings.timing
    requests = conc * settings.requests_per_conc
    inputs, outputs = draw(recipe.workload, recipe.client, requests=requests, seed=settings.seed)
    requests_file = settings.staging / f"requests-c{conc}.jsonl"
    lengths = RequestLengths(tuple(inputs.tolist()), tuple(outputs.tolist()))
    wait_s = lock_step_wait_s(recipe, timing, conc, lengths)
    report = _replay(engine, settings, ReplayedLoop(conc, lengths, wait_s), requests_file)
    _refuse_incomplete(report, requests, settings.job, conc)
    raw, records = keep(requests_file, settings.staging / "raw" / f"{requests_file.name}.gz")
    _refuse_short(records, outputs.tolist(), settings.job, conc)
    # In virtual time no stream is lost, no request changes its worker and no clock is set.
    observation = Observation(
        conc,
        requests,
        tuple(_request(record) for record in records),
        cut_streams=0,
        migrations=0,
        clock_step_s=0.0,
    )
    duration = float(report["duration_ms"]) / 1000 + timing.overhead_s
    found = points.point(recipe, settings.sku, observation, duration_s=duration, timing=timing)
    added = {"overhead_s": timing.overhead_s, "lock_step_wait_s": wait_s}
    return found.model_copy(update={**added, "raw": (raw,)})


def _request(record: Mapping[str, Any]) -> Request:
    return Request(
        start_s=record["arrival_time_ms"] / 1000,
        end_s=record["terminal_time_ms"] / 1000,
        ttft_ms=record["ttft_ms"],
        asked=record["requested_output_length"],
        output=record["output_length"],
        input=record["input_length"],
        latency_ms=record["e2e_latency_ms"],
        held_ms=0.0,
    )


def _replay(
    engine: Engine,
    settings: ReplaySettings,
    loop: ReplayedLoop,
    requests_file: Path,
) -> Mapping[str, Any]:
    recipe, conc = settings.job.recipe, loop.conc
    lines = trace(*map(np.array, (loop.lengths.inputs, loop.lengths.outputs)), block=TRACE_BLOCK)
    prefill = worker("prefill", settings, prompts_at_once(settings, conc))
    trace_file = requests_file.with_name(f"trace-c{conc}.jsonl")
    trace_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    replay = partial(
        engine.replay,
        str(trace_file),
        prefill_engine_args=engine.arguments(**with_wait(prefill, loop)),
        decode_engine_args=engine.arguments(**worker("decode", settings, max_num_seqs(recipe, "decode"))),
        num_prefill_workers=recipe.prefill.ranks,
        num_decode_workers=recipe.decode.ranks,
        replay_concurrency=conc,
        trace_block_size=TRACE_BLOCK,
        report_jsonl_path=str(requests_file),
    )
    report = beside_main_thread(replay)
    trace_file.unlink()
    return report


def beside_main_thread(call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Run Dynamo in a separate thread, so that the main thread handles signals at once.

    MeasureError for any of its errors.
    """
    done: list[Mapping[str, Any]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            done.append(call())
        except Exception as error:  # noqa: BLE001  # Dynamo's engine raises nothing more specific
            failed.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise MeasureError(f"Dynamo's replay failed: {failed[0]}") from failed[0]
    return done[0]


def worker(role: Role, settings: ReplaySettings, sequences: int) -> dict[str, Any]:
    """Return the engine arguments of one simulated worker: one DP rank (or one TP group) of the pool."""
    arguments = simulated.arguments(settings.job, role, settings.sku, sequences=sequences)
    return {
        "worker_type": role,
        **arguments,
        "planner_profile_data": str(table(role, settings.job.recipe, settings.timing, settings.staging)),
    }


def prompts_at_once(settings: ReplaySettings, conc: int) -> int:
    """Return how many prompts a simulated prefill rank admits: one, or eight where its queue never empties.

    See docs/decisions/0004. With free slots, Dynamo 1.4.2 holds finished prompts back until it has no more to
    admit. A rank that admits one prompt at a time has no free slot. Where prefill is the bottleneck the queue
    never empties: eight at once give the same rate there in half of the computing time.
    """
    recipe, timing = settings.job.recipe, settings.timing
    isl, osl = mean_lengths(recipe)
    prefill, decode = prefill_timing(recipe, timing), decode_timing(recipe, timing)
    sequences = min(conc / recipe.decode.ranks, max_num_seqs(recipe, "decode"))
    step_ms = decode.step_ms + decode.us_per_kv_ktoken * sequences * (isl + osl / 2) / 1e6
    decode_req_s = sequences * recipe.decode.ranks / (osl * step_ms / 1000)
    prefill_req_s = prefill.tok_s_gpu * recipe.prefill.gpus / isl
    return 8 if prefill_req_s < decode_req_s else 1


def table(role: Role, recipe: Recipe, timing: SkuTiming, staging: Path) -> Path:
    """Write the timing table (NPZ, float64) of one role and return its path."""
    path = staging / f"timing-{role}.npz"
    columns: dict[str, Any] = {
        name: np.array(column) for name, column in simulated.table(role, recipe, timing).items()
    }
    np.savez(path, **columns)
    return path


def keep(requests_file: Path, target: Path) -> tuple[RawFile, list[dict[str, Any]]]:
    """Compress the per-request file, in request order and without its random uuids."""
    lines = [UUID.sub(b"", line, count=1) for line in requests_file.read_bytes().splitlines()]
    lines.sort(key=_session)
    packed = gzip.compress(b"\n".join(lines) + b"\n", compresslevel=6, mtime=0)
    files.write(target, packed)
    requests_file.unlink()
    raw = RawFile(path=f"raw/{target.name}", sha256=files.sha256(packed), bytes=len(packed))
    return raw, [json.loads(line) for line in lines]


def _session(line: bytes) -> int:
    found = SESSION.search(line)
    if found is None:
        raise MeasureError(
            "a line of the per-request file has no session id",
            hint="supported version of Dynamo: 1.4.2",
        )
    return int(found[1])


def _refuse_incomplete(report: Mapping[str, Any], requests: int, job: Job, conc: int) -> None:
    done = int(report["completed_requests"])
    if done != requests:
        blocks = ", ".join(f"{h.role} {h.kv_budget_gb:.1f} GB for KV" for h in job.hbm)
        raise MeasureError(
            f"{done} of {requests} requests completed at conc {conc}",
            where=job.id,
            hint=f"is the KV pool too small? {blocks}",
        )


def _refuse_short(records: list[dict[str, Any]], outputs: list[int], job: Job, conc: int) -> None:
    short = sum(
        r["output_length"] != asked or r["terminal_status"] != "completed"
        for r, asked in zip(records, outputs, strict=True)
    )
    if short:
        raise MeasureError(
            f"{short} of {len(outputs)} requests ended before their last token at conc {conc}", where=job.id
        )
