"""Builders of small history rows and report data: say what the test is about, the rest is filled in."""

from __future__ import annotations

from typing import Any

from pipeline.schema.catalogue import Price, Sku
from pipeline.schema.hbm import Hbm
from pipeline.schema.history import HistoryRow
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Client, Limits, Pool, Recipe, Workload
from pipeline.schema.report import Definition, ReportData
from pipeline.schema.result import Failure, Host, JobRecord, Point, Provenance, RawFile, Statistics
from pipeline.schema.timing import DecodeTiming, PointError, PrefillTiming, SkuTiming, Timing

GB200, GB300 = "gb200-nvl72", "gb300-nvl72"
PREFIX = "deepseek-v4-pro-fp4"
SECONDS = 100.0
SHA = "0123456789abcdef" * 4


def pool(shape: str, workers: int, **flags: Any) -> Pool:
    """``pool("DEP8", 2)``: two workers of tp 1, dp 8, ep 8."""
    kind, width = shape.rstrip("0123456789"), int(shape.lstrip("TDEP"))
    sizes = {"DEP": (1, width, width), "TEP": (width, 1, width), "TP": (width, 1, 1)}[kind]
    return Pool(workers=workers, tp=sizes[0], pp=1, dp=sizes[1], ep=sizes[2], flags=flags)


def recipe(
    name: str = "6p1d-dep4-dep8", *, sku: str = GB300, conc: tuple[int, ...] = (4096,), **changed: Any
) -> Recipe:
    """``recipe("6p1d-dep4-dep8")``: the shape is read off the name; ``decode_flags`` and any field can be set."""
    counts, first, second = name.upper().split("-")[:3]
    prefills, decodes = (int(part) for part in counts.rstrip("D").split("P"))
    decode_flags = changed.pop("decode_flags", {"max-num-seqs": 512})
    fields: dict[str, Any] = {
        "id": f"{PREFIX}.{sku}.8k1k.{name}",
        "title": name,
        "source": "a test",
        "model": "deepseek-v4-pro",
        "precision": "fp4",
        "sku": sku,
        "engine": "vllm",
        "image": "vllm/vllm-openai:v0.20.0",
        "versions": {"vllm": "0.20.0"},
        "dp_launch": "per-gpu",
        "workload": Workload(isl=8192, osl=1024),
        "client": client(),
        "conc": conc,
        "prefill": pool(first, prefills),
        "decode": pool(second, decodes, **decode_flags),
        "infra_trays": 1,
        "limits": Limits(time_s=3600, ready_s=900),
    }
    return Recipe(**{**fields, **changed})


def client(**changed: Any) -> Client:
    fields = {
        "requests_per_conc": 10,
        "warmup_per_conc": 2,
        "warmup_req_s": 250.0,
        "shortest": 0.8,
        "seed": 0,
    }
    return Client(**{**fields, "ignore_eos": True, "chat_template": False, **changed})


def statistics(p50: float | None, n: int = 40960) -> Statistics:
    return Statistics(
        n=n, mean=p50, p50=p50, p90=p50 and p50 * 1.5, p99=p50 * 2 if p50 and n >= 662 else None
    )


def point(
    of: Recipe,
    conc: int,
    tok_s_gpu: float,
    interactivity: float,
    *,
    ttft_s: float = 1.0,
    reasons: tuple[str, ...] = (),
) -> Point:
    """A point with exactly this tok/s/GPU (nine tenths of the tokens are input) and, to rounding, this interactivity."""
    total, n = round(tok_s_gpu * SECONDS * of.gpus_counted), 10 * conc
    return Point(
        conc=conc,
        status="invalid" if reasons else "ok",
        reasons=reasons,
        gpus_prefill=of.prefill.gpus,
        gpus_decode=of.decode.gpus,
        gpus_held=of.gpus_counted + 4 * of.infra_trays,
        requests=n,
        completed=n,
        input_tokens=total - total // 10,
        output_tokens=total // 10,
        duration_s=SECONDS,
        ttft_ms=statistics(1000 * ttft_s, n),
        tpot_ms=statistics(1000 / interactivity, n),
        e2e_ms=statistics(1000 * ttft_s + 1e6 / interactivity, n),
        raw=(RawFile(path=f"raw/conc-{conc}.jsonl.gz", sha256=SHA, bytes=1),),
    )


def record(of: Recipe, *, run: str = "101", **changed: Any) -> JobRecord:
    """``changed``: fields of the provenance; ``environment`` and ``hbm`` of the job."""
    environment = changed.pop(
        "environment", {"sku": "a" * 64, "llm": "b" * 64, "cluster": "c" * 64, "timing": "d" * 64}
    )
    hbm = changed.pop("hbm", ())
    job = Job(
        id=of.id,
        recipe=of,
        deployment_digest=of.deployment_digest,
        environment=environment,
        hbm=hbm,
        gpu_hours=None,
    )
    fields: dict[str, Any] = {
        "run_id": run,
        "attempt": 1,
        "plan_id": f"plan-{run}",
        "git_sha": "f" * 40,
        "git_dirty": False,
        "cluster": "laptop",
        "origin": "simulated",
        "measure": "replay",
        "requests_per_conc": 10,
        "seed": 0,
        "versions": {"ai-dynamo": "1.4.2"},
        "host": Host(machine="x86_64", cpus=2, kernel="Linux 6.1", python="3.12.3"),
        "started_at": "2026-11-23T02:00:00Z",
        "finished_at": "2026-11-23T02:05:00Z",
        "stages_s": {"replay": 55.0},
    }
    return JobRecord(job=job, provenance=Provenance(**{**fields, **changed}))


def row(
    of: Recipe,
    conc: int,
    figures: tuple[float, float] | None = None,
    *,
    failure: str = "",
    ttft_s: float = 1.0,
    reasons: tuple[str, ...] = (),
    **changed: Any,
) -> HistoryRow:
    """One row: ``figures`` = (tok/s/GPU, tok/s/user), or a ``failure``; ``changed`` goes to ``record``."""
    made = record(of, **changed)
    return HistoryRow(
        date="2026-11-23",
        folder=f"bench-{made.provenance.run_id}-{made.provenance.attempt}-{of.id}",
        record=made,
        conc=conc,
        point=point(of, conc, *figures, ttft_s=ttft_s, reasons=reasons) if figures else None,
        failure=Failure(error="LaunchError", what=failure, exit_code=5, retryable=True) if failure else None,
        sums_sha256=SHA,
    )


def hbm(
    role: Any = "decode",
    *,
    capacity_gb: float = 298.01,
    kv_gb: float = 37.9392,
    routed_gb: float = 102.8,
    offload_gb: float = 0.0,
) -> Hbm:
    parts = {
        "shared_gb": 4.0,
        "attention_gb": 17.4,
        "embeddings_gb": 3.7,
        "replicated_gb": 3.5,
        "overhead_gb": 4.2,
        "activation_gb": 6.0,
        "mtp_gb": 0.0,
        "graphs_gb": 0.0,
    }
    kv = {
        "sequences": 512,
        "conc_per_rank": 512,
        "tokens": 1,
        "max_model_len": 1,
        "kv_bytes_per_token": kv_gb / 512 * 1e9 - 2.33e7,
        "kv_bytes_per_sequence": 2.33e7,
    }
    capacity = {
        "capacity_gb": capacity_gb,
        "utilisation": 0.9,
        "routed_gb": routed_gb,
        "offload_gb": offload_gb,
    }
    return Hbm(role=role, shape="DEP8", **capacity, **parts, **kv)


def sku(name: str = GB300, usd: float | None = 2.652, provisional: str | None = "a placeholder") -> Sku:
    price = Price(
        tier="hyperscaler",
        usd_per_gpu_hour=usd or 1.0,
        source="a price list",
        date="2026-05-22",
        provisional=provisional,
    )
    return Sku(
        id=name,
        title=name.replace("-nvl72", "").upper() + " NVL72",
        vendor="nvidia",
        hbm_gb=288.0,
        hbm_tb_s=8.0,
        fp8_tflops=5000.0,
        bf16_tflops=2500.0,
        scaleup="NVLink 5",
        scaleup_gb_s=900.0,
        domain_gpus=72,
        gpus_per_tray=4,
        kw_per_gpu=2.1,
        prices=(price,) if usd else (),
        source="a test",
        date="2026-05-22",
    )


def timing(*errors: PointError) -> Timing:
    one = SkuTiming(
        sku=GB300,
        overhead_s=1.5,
        prefill=(PrefillTiming(kind="DEP4", tok_s_gpu=13400.0),),
        decode=(DecodeTiming(kind="DEP8", step_ms=21.0, us_per_kv_ktoken=4.2, slope_of="DEP8"),),
    )
    fitted = {
        "points": "gb300-vs-gb200.csv",
        "points_sha256": SHA,
        "points_origin": "published",
        "fitted_on": "2026-11-20",
    }
    return Timing(
        model="deepseek-v4-pro",
        precision="fp4",
        **fitted,
        requests_per_conc=10,
        versions={"ai-dynamo": "1.4.2"},
        skus=(one,),
        errors=errors,
    )


def definition(**changed: Any) -> Definition:
    fields: dict[str, Any] = {
        "title": "GB300 against GB200",
        "select": "*",
        "skus": (GB200, GB300),
        "interactivity": (16.0, 27.0),
    }
    return Definition(
        **{**fields, "price_tier": "hyperscaler", "relevant_change": 0.01, "directional_gap": 10.0, **changed}
    )


def report_data(
    *rows: HistoryRow,
    previous: tuple[HistoryRow, ...] = (),
    planned: tuple[str, ...] | None = None,
    **changed: Any,
) -> ReportData:
    """Report data of these rows; planned = what ran, unless it is said."""
    ran = tuple(dict.fromkeys(row.record.job.recipe.id for row in rows))
    fields: dict[str, Any] = {
        "name": "gb300-vs-gb200",
        "definition": definition(),
        "skus": {GB200: sku(GB200, 2.21, None), GB300: sku()},
        "llms": {},
        "timing": None,
        "planned": ran if planned is None else planned,
        "rows": rows,
        "previous": previous,
    }
    return ReportData(**{**fields, **changed})
