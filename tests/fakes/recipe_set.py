"""A small recipes folder as texts: one LLM, one SKU of 2 trays, one cluster, one recipe."""

from __future__ import annotations

from pipeline.schema.engine import Engine
from pipeline.schema.timing import DecodeTiming, PrefillTiming, SkuTiming, Timing
from tests.fakes import rows

SKUS = """\
tiny-2x4:
  title: Tiny rack
  aliases: [Tiny Rack, tiny]
  vendor: nvidia
  hbm_gb: 288.0
  hbm_usable_mib: 284208
  hbm_tb_s: 8.0
  fp8_tflops: 5000.0
  bf16_tflops: 2500.0
  scaleup: NVLink 5
  scaleup_gb_s: 900.0
  domain_gpus: 16
  gpus_per_tray: 4
  kw_per_gpu: 2.1
  prices:
    - {tier: hyperscaler, usd_per_gpu_hour: 2.0, source: invented, date: "2026-01-01"}
  source: invented
  date: "2026-01-01"
"""
LLM = """\
title: Small expert model
served_name: small
layers: 4
hidden: 1024
vocabulary: 1000
attention_heads: 16
head_dim: 64
experts: 96
experts_per_token: 2
shared_experts: 1
expert_intermediate: 256
parameters_total: 1000000000.0
parameters_active: 100000000.0
precisions:
  fp4: {routed_gb: 800.0, shared_gb: 4.0, attention_gb: 16.0, embeddings_gb: 4.0, replicated_gb: 3.0}
kv: {bytes_per_token: {fp8-indexer: 5511.0, fp4-indexer: 5031.0}, bytes_per_sequence: 23300000.0, auto: fp8}
max_model_len: 16384
overhead_gb: 4.2
source: invented
"""
CLUSTER = """\
title: This machine
skus: [tiny-2x4]
site: {launcher: none}
measure: replay
runs_on: [ubuntu-latest]
racks: 1
timing: timing/small.json
"""
BASE = """\
model: small
precision: fp4
sku: tiny-2x4
engine: vllm
image: vllm/vllm-openai@sha256:0123
versions: {dynamo: "1.2.0", vllm: "0.20.0"}
dp_launch: per-gpu
source: invented
workload: {isl: 8192, osl: 1024}
client:
  requests_per_conc: 10
  warmup_per_conc: 2
  warmup_req_s: 250.0
  shortest: 0.8
  seed: 0
  ignore_eos: true
  chat_template: true
infra_trays: 1
limits: {time_s: 3600, ready_s: 600}
prefill:
  flags: {block-size: 256, max-num-seqs: 16, max-num-batched-tokens: 16384, gpu-memory-utilization: 0.9, no-enable-prefix-caching: true}
decode:
  flags: {block-size: 256, max-num-seqs: 64, max-num-batched-tokens: 512, gpu-memory-utilization: 0.9, no-enable-prefix-caching: true}
both: {flags: {kv-transfer-config: {kv_connector: NixlConnector, kv_role: kv_both}}}
"""
RECIPE = """\
title: One prefill, one decode
conc: [4, 8]
prefill:
  workers: 1
  tp: 1
  pp: 1
  dp: 4
  ep: 4
decode:
  workers: 1
  tp: 1
  pp: 1
  dp: 8
  ep: 8
"""
FOLDER = "small-fp4/tiny-2x4/8k1k"
PATH = f"{FOLDER}/1p1d-dep4-dep8.yaml"
ID = "small-fp4.tiny-2x4.8k1k.1p1d-dep4-dep8"


def timing() -> Timing:
    """A timing document for the LLM, the SKU and both worker kinds of the recipe."""
    one = SkuTiming(
        sku="tiny-2x4",
        overhead_s=1.0,
        prefill=(PrefillTiming(kind="DEP4", tok_s_gpu=10000.0),),
        decode=(DecodeTiming(kind="DEP8", step_ms=20.0, us_per_kv_ktoken=4.0, slope_of="DEP8"),),
    )
    return rows.timing().model_copy(update={"model": "small", "skus": (one,)})


def texts(*engines: Engine, **changed: str) -> dict[str, str]:
    """The folder's files by path; keywords replace ``skus``, ``llm``, ``cluster``, ``base`` or ``recipe``."""
    return {
        **{f"engines/{one.engine}/{one.version}.json": one.to_json() for one in engines},
        "skus.yaml": changed.get("skus", SKUS),
        "models/small.yaml": changed.get("llm", LLM),
        "clusters/here.yaml": changed.get("cluster", CLUSTER),
        "_base.yaml": changed.get("base", BASE),
        PATH: changed.get("recipe", RECIPE),
    }
