"""Names of vLLM options, to report misspelt ones. The list is not complete: an unknown name is a warning."""

from __future__ import annotations

KNOWN = frozenset(
    """
    all2all-backend allowed-local-media-path api-server-count async-scheduling attention-backend
    attention-config block-size calculate-kv-scales chat-template code-revision compilation-config
    config-format cpu-offload-gb cuda-graph-sizes cudagraph-capture-sizes custom-all-reduce
    disable-cascade-attn disable-chunked-mm-input disable-custom-all-reduce disable-hybrid-kv-cache-manager
    disable-log-requests disable-log-stats disable-sliding-window distributed-executor-backend dtype
    eplb-config enable-chunked-prefill enable-dbo enable-eplb enable-ep-weight-filter
    enable-flashinfer-autotune enable-lora enable-prefix-caching enable-prompt-tokens-details
    enable-sleep-mode enforce-eager expert-placement-strategy generation-config gpu-memory-utilization
    hf-config-path hf-overrides hf-token ignore-patterns kernel-config kv-cache-dtype kv-cache-memory-bytes
    kv-events-config kv-offloading-size kv-sharing-fast-prefill kv-transfer-config limit-mm-per-prompt
    load-format logits-processors long-prefill-token-threshold max-cudagraph-capture-size max-logprobs
    max-long-partial-prefills max-model-len max-num-batched-tokens max-num-partial-prefills max-num-seqs
    max-parallel-loading-workers mm-processor-cache-gb model-impl moe-backend numa-bind
    num-gpu-blocks-override offload-backend offload-group-size offload-num-in-group offload-prefetch-step
    optimization-level otlp-traces-endpoint override-attention-dtype prefix-caching-hash-algo
    profiler-config pt-load-map-location quantization reasoning-parser revision safetensors-load-strategy
    scheduler-cls scheduling-policy seed show-hidden-metrics-for-version skip-tokenizer-init
    speculative-config stream-interval structured-outputs-config swap-space tokenizer tokenizer-mode
    tokenizer-revision tool-call-parser trust-remote-code ubatch-size use-tqdm-on-load worker-cls
    """.split()
)
