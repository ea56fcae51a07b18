"""Virtual time: Dynamo's own scheduler replays a closed loop at full concurrency, one simulated worker per DP rank.

Simulated: continuous batching, chunked prefill, the KV block pool, hand-off, queueing. Not simulated: kernels, lock-step of DP ranks,
expert imbalance, HTTP and tokenisation. Pass and step times come from the calibrated timing tables.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import numpy as np

from pipeline.edge.clock import Clock
from pipeline.errors import MeasureError, PipelineError
from pipeline.measure.lengths import draw, trace
from pipeline.measure.statistics import summarise
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Recipe, Role
from pipeline.schema.result import Measurement, Point, RawFile
from pipeline.schema.timing import DecodeTiming, PrefillTiming, SkuTiming, Timing, worker_kind

PACKAGES = ("ai-dynamo", "ai-dynamo-runtime", "numpy")
TRACE_BLOCK = 512
LONGEST_PASS = 1 << 20  # tokens; the tables are linear, so two points say everything
MOST_KV = 1 << 25  # tokens
UUID = re.compile(rb'"uuid":"[^"]*",')
SESSION = re.compile(rb'"session_id":"request_(\d+)"')


@dataclass(frozen=True, slots=True)
class Setup:
    """One job on its SKU with the timing to use, how much is measured, and a folder for what comes out."""

    job: Job
    sku: Sku
    timing: SkuTiming
    requests_per_conc: int
    seed: int
    staging: Path


def measure(setup: Setup, *, clock: Clock) -> Measurement:
    """Every concurrency of a job, one after the other; raw per-request files go to ``staging/raw``."""
    start = clock.monotonic()
    engine = Engine.load()
    loaded = clock.monotonic()
    try:
        points = tuple(point(engine, setup, conc) for conc in setup.job.recipe.conc)
    except OSError as error:
        raise MeasureError(
            f"cannot write: {error.strerror}", where=str(setup.staging), hint="is the disk full? nothing was kept"
        ) from error
    stages = {"load": loaded - start, "measure": clock.monotonic() - loaded}
    return Measurement(points=points, versions={name: metadata.version(name) for name in PACKAGES}, stages_s=stages)


def sku_timing(timing: Timing, sku: str) -> SkuTiming:
    """The parameters of one SKU; MeasureError when nothing was calibrated for it."""
    found = next((one for one in timing.skus if one.sku == sku), None)
    if found is None:
        raise MeasureError(f"no timing for {sku}", where=timing.points, hint="calibrate it: python -m pipeline calibrate POINTS --out FILE")
    return found


@dataclass(frozen=True, slots=True)
class Engine:
    """The two names of Dynamo that are used, imported late: they are an extra."""

    replay: Any
    arguments: Any

    @classmethod
    def load(cls) -> Engine:
        """Import Dynamo, or say which extra is missing."""
        try:
            return cls(import_module("dynamo.replay").run_trace_replay, import_module("dynamo.mocker").MockEngineArgs)
        except ModuleNotFoundError as error:
            raise PipelineError(
                f"virtual-time measurement needs the extra `simulate` ({error.name} is not installed)",
                hint="pip install 'rackbench[simulate]' (from a checkout: pip install -e '.[simulate]')",
            ) from error


def point(engine: Engine, setup: Setup, conc: int) -> Point:
    """One closed loop at ``conc``; MeasureError when a request was lost or cut."""
    recipe, timing = setup.job.recipe, setup.timing
    requests = conc * setup.requests_per_conc
    inputs, outputs = draw(recipe.workload, recipe.client, requests=requests, seed=setup.seed)
    requests_file = setup.staging / f"requests-c{conc}.jsonl"
    report = _replay(engine, setup, conc, trace(inputs, outputs, block=TRACE_BLOCK), requests_file)
    _refuse_incomplete(report, requests, setup.job, conc)
    raw, records = keep(requests_file, setup.staging / "raw" / f"{requests_file.name}.gz")
    _refuse_short(records, outputs.tolist(), setup.job, conc)
    ttft, e2e = np.array([r["ttft_ms"] for r in records]), np.array([r["e2e_latency_ms"] for r in records])
    gaps = np.array([r["output_length"] - 1 for r in records])
    return Point(
        conc=conc,
        status="ok",
        gpus_prefill=recipe.prefill.gpus,
        gpus_decode=recipe.decode.gpus,
        gpus_held=recipe.gpus_counted + recipe.infra_trays * setup.sku.gpus_per_tray,
        requests=requests,
        completed=int(report["completed_requests"]),
        input_tokens=int(inputs.sum()),
        output_tokens=int(outputs.sum()),
        duration_s=float(report["duration_ms"]) / 1000 + timing.overhead_s,
        overhead_s=timing.overhead_s,
        ttft_ms=summarise(ttft),
        tpot_ms=summarise((e2e - ttft)[gaps > 0] / gaps[gaps > 0]),
        e2e_ms=summarise(e2e),
        raw=(raw,),
    )


def _replay(engine: Engine, setup: Setup, conc: int, lines: Iterable[str], requests_file: Path) -> Mapping[str, Any]:
    recipe = setup.job.recipe
    trace_file = requests_file.with_name(f"trace-c{conc}.jsonl")
    trace_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    replay = partial(
        engine.replay,
        str(trace_file),
        prefill_engine_args=engine.arguments(**worker("prefill", setup, prompts_at_once(setup, conc))),
        decode_engine_args=engine.arguments(**worker("decode", setup, max_num_seqs(recipe, "decode"))),
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
    """Run Dynamo in a thread of its own, so that the main thread answers a signal at once; MeasureError for whatever it raises."""
    done: list[Mapping[str, Any]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            done.append(call())
        except Exception as error:  # noqa: BLE001  # Dynamo's engine raises nothing more special
            failed.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise MeasureError(f"Dynamo's replay failed: {failed[0]}") from failed[0]
    return done[0]


def worker(role: Role, setup: Setup, sequences: int) -> dict[str, Any]:
    """Engine arguments of one simulated worker, which is one DP rank (or one TP group) of the pool."""
    recipe = setup.job.recipe
    hbm = next((one for one in setup.job.hbm if one.role == role), None)
    if hbm is None:
        raise MeasureError(
            f"the KV pool of {role} is unknown", where=recipe.id, hint=f"usable HBM of {recipe.sku} is not recorded in skus.yaml"
        )
    block = int(_given(recipe.pools[role].flags.get("block-size"), "block-size", recipe, role))
    blocks, longest = hbm.kv_blocks(block), recipe.workload.isl + recipe.workload.osl
    if blocks * block < longest:  # Dynamo would complete nothing, or take 0 for "not said"
        what = f"{role} has KV for {blocks * block} tokens, and a request may take {longest}"
        raise MeasureError(what, where=recipe.id, hint=f"{hbm.kv_budget_gb:.1f} GB are left for KV; {hbm.sequences} sequences must fit")
    simulated = getattr(recipe.simulate, role)
    return {
        "worker_type": role,
        "block_size": block,
        "num_gpu_blocks": blocks,
        "max_num_seqs": sequences,
        "max_num_batched_tokens": _flag(recipe, role, "max-num-batched-tokens", simulated.max_num_batched_tokens),
        "enable_prefix_caching": not recipe.pools[role].flags.get("no-enable-prefix-caching", False),
        "planner_profile_data": str(table(role, recipe, setup.timing, setup.staging)),
        "kv_bytes_per_token": round(hbm.kv_bytes_per_token),
        "kv_transfer_bandwidth": setup.sku.scaleup_gb_s,
    }


def max_num_seqs(recipe: Recipe, role: Role) -> int:
    """Sequences that one scheduler may run."""
    return int(_flag(recipe, role, "max-num-seqs", getattr(recipe.simulate, role).max_num_seqs))


def prompts_at_once(setup: Setup, conc: int) -> int:
    """Prompts that a simulated prefill rank admits: one, or eight where its queue never empties (docs/decisions/0004).

    With free slots, Dynamo 1.4.2 holds finished prompts back until it has no more to admit. A rank that admits one prompt at a time
    has no free slot. Where prefill is the bottleneck the queue never empties: eight at once give the same rate there in half of the
    computing time.
    """
    recipe, timing = setup.job.recipe, setup.timing
    isl, osl = mean_lengths(recipe)
    prefill, decode = prefill_timing(recipe, timing), decode_timing(recipe, timing)
    sequences = min(conc / recipe.decode.ranks, max_num_seqs(recipe, "decode"))
    step_ms = decode.step_ms + decode.us_per_kv_ktoken * sequences * (isl + osl / 2) / 1e6
    decode_req_s = sequences * recipe.decode.ranks / (osl * step_ms / 1000)
    prefill_req_s = prefill.tok_s_gpu * recipe.prefill.gpus / isl
    return 8 if prefill_req_s < decode_req_s else 1


def mean_lengths(recipe: Recipe) -> tuple[float, float]:
    """Mean input and output tokens of a request."""
    mean = (1 + recipe.client.shortest) / 2
    return recipe.workload.isl * mean, recipe.workload.osl * mean


def _flag(recipe: Recipe, role: Role, name: str, declared: int | None) -> Any:
    return _given(recipe.pools[role].flags.get(name, declared), name, recipe, role)


def _given(value: Any, name: str, recipe: Recipe, role: Role) -> Any:
    if value is None:
        raise MeasureError(f"{role} of {recipe.id} leaves {name} open", hint=f"say it in {role}.flags or declare it under simulate.{role}")
    return value


def prefill_timing(recipe: Recipe, timing: SkuTiming) -> PrefillTiming:
    """Timing of the recipe's prefill workers; MeasureError when their kind was never calibrated."""
    kind = worker_kind(recipe, "prefill")
    return next((one for one in timing.prefill if one.kind == kind), None) or _refuse_kind("prefill", kind, timing, recipe)


def decode_timing(recipe: Recipe, timing: SkuTiming) -> DecodeTiming:
    """Timing of the recipe's decode workers; MeasureError when their kind was never calibrated."""
    kind = worker_kind(recipe, "decode")
    return next((one for one in timing.decode if one.kind == kind), None) or _refuse_kind("decode", kind, timing, recipe)


def _refuse_kind(role: Role, kind: str, timing: SkuTiming, recipe: Recipe) -> NoReturn:
    known = sorted(one.kind for one in (timing.prefill if role == "prefill" else timing.decode))
    hint = f"calibrated: {', '.join(known)}; add a point of this shape and calibrate again"
    raise MeasureError(f"no timing for {role} workers {kind} on {timing.sku}", where=recipe.id, hint=hint)


def table(role: Role, recipe: Recipe, timing: SkuTiming, staging: Path) -> Path:
    """Write the timing table (NPZ, float64) of one role and return its path.

    A decode step reads the KV of the sequences that have a place. Dynamo counts that of requests waiting for one too, so the table
    ends where every place is taken by a sequence of mean length (docs/decisions/0004).
    """
    tokens, resident = np.array([0.0, LONGEST_PASS]), np.array([0.0, MOST_KV])
    passes, steps = np.zeros(2), np.zeros(2)
    if role == "prefill":
        passes = 1000 * tokens / (prefill_timing(recipe, timing).tok_s_gpu * recipe.prefill.gpus_per_rank)
    else:
        decode, (isl, osl) = decode_timing(recipe, timing), mean_lengths(recipe)
        resident = np.array([0.0, max_num_seqs(recipe, "decode") * (isl + osl / 2), MOST_KV])
        read = np.minimum(resident, resident[1])
        steps = decode.step_ms + decode.us_per_kv_ktoken / 1000 * read / 1000
    path = staging / f"timing-{role}.npz"
    np.savez(
        path,
        prefill_isl=tokens,
        prefill_ttft_ms=passes,
        decode_active_kv_tokens=resident,
        decode_context_length=np.array([0.0, LONGEST_PASS]),
        decode_itl=np.column_stack([steps, steps]),
    )
    return path


def keep(requests_file: Path, target: Path) -> tuple[RawFile, list[dict[str, Any]]]:
    """Compress the per-request file, in request order and without its random uuid, so that equal runs give equal bytes."""
    lines = [UUID.sub(b"", line, count=1) for line in requests_file.read_bytes().splitlines()]
    lines.sort(key=_session)
    target.parent.mkdir(exist_ok=True)
    packed = gzip.compress(b"\n".join(lines) + b"\n", compresslevel=6, mtime=0)
    target.write_bytes(packed)
    requests_file.unlink()
    raw = RawFile(path=f"raw/{target.name}", sha256=hashlib.sha256(packed).hexdigest(), bytes=len(packed))
    return raw, [json.loads(line) for line in lines]


def _session(line: bytes) -> int:
    found = SESSION.search(line)
    if found is None:
        raise MeasureError("a line of the per-request file has no session id", hint="another version of Dynamo? this one is read: 1.4.2")
    return int(found[1])


def _refuse_incomplete(report: Mapping[str, Any], requests: int, job: Job, conc: int) -> None:
    done = int(report["completed_requests"])
    if done != requests:
        blocks = ", ".join(f"{h.role} {h.kv_budget_gb:.1f} GB for KV" for h in job.hbm)
        raise MeasureError(
            f"{done} of {requests} requests completed at conc {conc}", where=job.id, hint=f"is the KV pool too small? {blocks}"
        )


def _refuse_short(records: list[dict[str, Any]], outputs: list[int], job: Job, conc: int) -> None:
    short = sum(r["output_length"] != asked or r["terminal_status"] != "completed" for r, asked in zip(records, outputs, strict=True))
    if short:
        raise MeasureError(f"{short} of {len(outputs)} requests ended before their last token at conc {conc}", where=job.id)
