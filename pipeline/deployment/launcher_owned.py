"""Options and variables that the launcher sets on every engine process, so a recipe must not.

Each has what determines it, as advice to the author of a recipe. ``{role}`` is the role of the pool.
"""

from __future__ import annotations

from collections.abc import Mapping

_PORTS = "the layout of the processes on their trays"
_ADDRESSES = "the trays that the scheduler gives"
_DISCOVERY = "the cluster document"

OPTIONS: Mapping[str, str] = {
    "tensor-parallel-size": "{role}.tp",
    "pipeline-parallel-size": "{role}.pp",
    "data-parallel-size": "{role}.dp",
    "data-parallel-size-local": "{role}.dp",
    "data-parallel-rank": "{role}.dp",
    "data-parallel-start-rank": "{role}.dp",
    "data-parallel-address": "{role}.dp",
    "data-parallel-rpc-port": "{role}.dp",
    "data-parallel-hybrid-lb": "dp_launch",
    "data-parallel-external-lb": "dp_launch",
    "enable-expert-parallel": "{role}.ep",
    "nnodes": "{role}.tp",
    "node-rank": "{role}.tp",
    "master-addr": "{role}.tp",
    "master-port": "{role}.tp",
    "headless": "{role}.tp",
    "device-ids": _PORTS,
    "disaggregation-mode": "the role of the pool ({role})",
    "is-prefill-worker": "the role of the pool ({role})",
    "is-decode-worker": "the role of the pool ({role})",
    "model": "model",
    "served-model-name": "model",
    "host": _ADDRESSES,
    "port": _PORTS,
    "request-plane": _DISCOVERY,
    "event-plane": _DISCOVERY,
    "discovery-backend": _DISCOVERY,
    "dump-config-to": "the log folder of the run",
}

VARIABLES: Mapping[str, str] = {
    "CUDA_VISIBLE_DEVICES": _PORTS,
    "NVIDIA_VISIBLE_DEVICES": _PORTS,
    "DYN_SYSTEM_PORT": _PORTS,
    "DYN_SYSTEM_HOST": _ADDRESSES,
    "DYN_HTTP_PORT": _PORTS,
    "DYN_HTTP_HOST": _ADDRESSES,
    "DYN_VLLM_KV_EVENT_PORT": _PORTS,
    "VLLM_NIXL_SIDE_CHANNEL_HOST": _ADDRESSES,
    "VLLM_NIXL_SIDE_CHANNEL_PORT": _PORTS,
    "VLLM_PORT": _PORTS,
    "VLLM_HOST_IP": _ADDRESSES,
    "VLLM_DP_RANK": "{role}.dp",
    "VLLM_DP_RANK_LOCAL": "{role}.dp",
    "VLLM_DP_SIZE": "{role}.dp",
    "VLLM_DP_MASTER_IP": "{role}.dp",
    "VLLM_DP_MASTER_PORT": "{role}.dp",
    "MASTER_ADDR": "{role}.tp",
    "MASTER_PORT": "{role}.tp",
    "RANK": "{role}.tp",
    "LOCAL_RANK": "{role}.tp",
    "WORLD_SIZE": "{role}.tp",
    "DYN_REQUEST_PLANE": _DISCOVERY,
    "DYN_EVENT_PLANE": _DISCOVERY,
    "DYN_EVENT_PLANE_HOST": _ADDRESSES,
    "DYN_DISCOVERY_BACKEND": _DISCOVERY,
    "DYN_FILE_KV": _DISCOVERY,
    "DYN_TCP_RPC_HOST": _ADDRESSES,
    "DYN_TCP_RPC_PORT": _PORTS,
    "DYN_TCP_RESPONSE_STREAM_HOST": _ADDRESSES,
    "ETCD_ENDPOINTS": _DISCOVERY,
    "NATS_SERVER": _DISCOVERY,
    "HEAD_NODE_IP": _ADDRESSES,
}
