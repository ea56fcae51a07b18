"""Command lines of a deployment with Dynamo's simulated engine.

The topology is the real one: on trays, or on one machine without etcd or NATS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from pipeline.deployment import simulated
from pipeline.deployment.layout import Layout, Process
from pipeline.deployment.scheduler import max_num_seqs
from pipeline.edge.files import file_errors
from pipeline.errors import LaunchError
from pipeline.launch.addresses import HTTP_PORT, SYSTEM_PORT, Addresses, tray_name
from pipeline.launch.base import LaunchSpec
from pipeline.launch.describe import Command
from pipeline.schema.recipe import ROLES, Role

HOST = "127.0.0.1"
# In a prefill rank: with free slots, Dynamo 1.4.2 holds finished prompts back (docs/decisions/0004).
PROMPTS_AT_ONCE = 1
PLAIN = {
    "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
    "DYN_LOG": "info",
    "DYN_LOGGING_CONSOLE_FORMAT": "plain",
    "DYN_SDK_DISABLE_ANSI_LOGGING": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "critical",
}  # plain logs, and nothing is downloaded
FLAGS = {
    "block_size": "block-size",
    "num_gpu_blocks": "num-gpu-blocks-override",
    "max_num_seqs": "max-num-seqs",
    "max_num_batched_tokens": "max-num-batched-tokens",
    "kv_bytes_per_token": "kv-bytes-per-token",
    "kv_transfer_bandwidth": "kv-transfer-bandwidth",
}


@dataclass(frozen=True, slots=True)
class MockerSettings:
    """The Python to run, a folder for discovery and timing tables, the network, and the time scale."""

    python: str
    state: PurePath
    network: int | Addresses  # the first port on the loopback interface, or the trays
    time_scale: float


def commands(spec: LaunchSpec, layout: Layout, settings: MockerSettings) -> tuple[Command, ...]:
    """Return the commands of the frontend and of each engine process that registers an instance.

    A process with several data-parallel ranks simulates as many schedulers; a headless one registers no
    instance and is omitted.
    """
    network = settings.network
    processes = [one for one in layout.processes if not one.headless]
    if isinstance(network, Addresses):
        variables, here = PLAIN | network.variables(), tray_name(layout.head_tray)
        http = ["--http-port", str(HTTP_PORT)]
        places = [(tray_name(one.tray), SYSTEM_PORT + one.devices[0]) for one in processes]
        services = network.services()
    else:
        variables, here, services = PLAIN | _loopback(settings), "this machine", ()
        http = ["--http-host", HOST, "--http-port", str(network)]
        places = [(here, network + number) for number in range(1, len(processes) + 1)]
    frontend = (settings.python, "-m", "dynamo.frontend", *http)
    workers = [
        Command(
            one.name,
            one.role,
            tray,
            _worker(spec, one, settings),
            {**variables, "DYN_SYSTEM_PORT": str(port)},
        )
        for one, (tray, port) in zip(processes, places, strict=True)
    ]
    return (*services, Command("frontend", "frontend", here, frontend, variables), *workers)


def table_path(role: Role, settings: MockerSettings) -> PurePath:
    """Return the path of the timing table of a role."""
    return settings.state / f"timing-{role}.npz"


def write_tables(spec: LaunchSpec, settings: MockerSettings) -> None:
    """Write the timing table of each role; LaunchError without timing."""
    if spec.timing is None:
        raise LaunchError(f"no timing for {spec.sku.id}", hint="set timing in the cluster document")
    for role in ROLES:
        columns: dict[str, Any] = {
            name: np.array(column)
            for name, column in simulated.table(role, spec.job.recipe, spec.timing).items()
        }
        path = table_path(role, settings)
        with file_errors("write", path):
            np.savez(str(path), **columns)


def _worker(spec: LaunchSpec, process: Process, settings: MockerSettings) -> tuple[str, ...]:
    role, recipe = process.role, spec.job.recipe
    sequences = PROMPTS_AT_ONCE if role == "prefill" else max_num_seqs(recipe, role)
    values = simulated.arguments(spec.job, role, spec.sku, sequences=sequences)
    values["kv_transfer_bandwidth"] /= settings.time_scale  # Dynamo's speed-up ratio does not apply to it
    argv = [
        settings.python,
        "-m",
        "dynamo.mocker",
        "--model-path",
        spec.model_path,
        "--model-name",
        spec.llm.served_name,
    ]
    argv += [
        "--disaggregation-mode",
        role,
        "--engine-type",
        "vllm",
        "--data-parallel-size",
        str(process.dp_ranks),
    ]
    for name, flag in FLAGS.items():
        argv += [f"--{flag}", f"{values[name]:g}" if isinstance(values[name], float) else str(values[name])]
    argv.append(
        "--enable-prefix-caching" if values["enable_prefix_caching"] else "--no-enable-prefix-caching"
    )
    argv += [
        "--planner-profile-data",
        str(table_path(role, settings)),
        "--speedup-ratio",
        repr(1 / settings.time_scale),
    ]
    return tuple(argv)


def _loopback(settings: MockerSettings) -> dict[str, str]:
    """Return the environment of processes on one machine: discovery by files, TCP, ZeroMQ, loopback only."""
    return {
        "DYN_DISCOVERY_BACKEND": "file",
        "DYN_FILE_KV": str(settings.state / "discovery"),
        "DYN_REQUEST_PLANE": "tcp",
        "DYN_EVENT_PLANE": "zmq",
        "DYN_TCP_RPC_HOST": HOST,
        "DYN_EVENT_PLANE_HOST": HOST,
        "DYN_SYSTEM_HOST": HOST,
        "DYN_HTTP_HOST": HOST,
        "DYN_TCP_RESPONSE_STREAM_HOST": "lo",  # Dynamo 1.4.2 expects the name of an interface here
        "TMPDIR": str(settings.state),  # each process of Dynamo 1.4.2 leaves a file there
    }
