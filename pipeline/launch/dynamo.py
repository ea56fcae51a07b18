"""Command lines of the processes of a deployment.

Trays have the addresses that a launcher states, or names (``n0``, ``n1``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.deployment.layout import Layout, Process
from pipeline.launch.addresses import HTTP_PORT, SYSTEM_PORT, Addresses, tray_name
from pipeline.launch.describe import Command, describe, settings
from pipeline.launch.options import render_flags
from pipeline.schema.engine import Engine, EngineChoice
from pipeline.schema.recipe import ROLES, Pool, Recipe, Role

__all__ = ["Command", "alike", "commands", "describe", "tray_name"]

KV_EVENT_PORT = 5200  # + first GPU of the process
NIXL_PORT = 5400  # + first GPU of the worker; vLLM adds the data-parallel rank
DP_RPC_PORT = 13345  # + first GPU of the worker on its leader's tray
VLLM_PORT, VLLM_PORTS = 20000, 50  # a block for each GPU
PLACE = re.compile(
    r".*(-address|-addr|-port|-rank|-ids|-nnodes|-config-to|PORT=|HOST=|_IP=|DEVICES=|ENDPOINTS=|SERVER=)"
)  # settings that depend on the tray of a process


class _Devices(NamedTuple):
    argv: tuple[str, ...]
    env: dict[str, str]


def commands(
    recipe: Recipe,
    *,
    served_name: str,
    model_path: str,
    addresses: Addresses,
    vllm: EngineChoice | None,
) -> tuple[Command, ...]:
    """Return the commands of a deployment in the order of starting: services, workers, frontend.

    ``vllm`` is the catalogue entry of the recipe's vLLM version, or of the nearest one; None where there is none.
    """
    layout, shared = addresses.layout, addresses.variables()
    engine = vllm.engine if vllm else None
    workers = []
    for process in layout.processes:
        pool = recipe.pools[process.role]
        processes = layout.worker(process.role, process.worker)
        model = [
            "--model",
            model_path,
            "--served-model-name",
            served_name,
            "--disaggregation-mode",
            process.role,
        ]
        parallel = _parallel(pool, process, processes, addresses, per_tray=recipe.dp_launch == "per-tray")
        gpus = _devices(process, engine)
        flags = _worker_flags(pool, process, [*gpus.argv, *parallel], engine)
        argv = ["python3", "-m", "dynamo.vllm", *model, *flags]
        ports = _ports(process, addresses, crosses_trays=processes[-1].tray != processes[0].tray)
        env = {**pool.env, **shared, **ports, **gpus.env}
        workers.append(Command(process.name, process.role, tray_name(process.tray), tuple(argv), env))
    return (*addresses.services(), *workers, _frontend(layout, shared))


def alike(commands: Sequence[Command]) -> dict[Role, dict[str, str]]:
    """Return options and variables that all workers of a role share, without those that depend on a tray."""
    found: dict[Role, dict[str, str]] = {}
    for role in ROLES:
        first, *others = [settings(one) for one in commands if one.role == role]
        shared = {
            name: value for name, value in first.items() if all(one.get(name) == value for one in others)
        }
        found[role] = {name: value for name, value in shared.items() if not PLACE.fullmatch(name)}
    return found


def _devices(process: Process, vllm: Engine | None) -> _Devices:
    """Return how a process is told its GPUs: by an option where its vLLM has one (0.25 and later), else by CUDA."""
    numbers = ",".join(map(str, process.devices))
    if vllm is not None and vllm.option("device-ids"):
        return _Devices(("--device-ids", numbers), {})
    return _Devices((), {"CUDA_VISIBLE_DEVICES": numbers})


def _worker_flags(pool: Pool, process: Process, place: list[str], vllm: Engine | None) -> list[str]:
    """Return the arguments after the model's: KV transfer, GPUs and parallelism, the recipe's flags by name."""
    kv_transfer = {name: value for name, value in pool.flags.items() if name == "kv-transfer-config"}
    others = {name: value for name, value in pool.flags.items() if name != "kv-transfer-config"}
    dumped = [
        "--dump-config-to",
        f"{process.name}.json",
    ]  # one file for each process: ranks that share a name would overwrite it
    return [
        *render_flags(kv_transfer, vllm),
        *place,
        "--request-plane",
        "tcp",
        *dumped,
        *render_flags(others, vllm),
    ]


def _parallel(
    pool: Pool, process: Process, processes: tuple[Process, ...], addresses: Addresses, *, per_tray: bool
) -> list[str]:
    """Return the parallelism arguments: shape, part of this process, and address of the worker's leader."""
    leader = processes[0]
    is_cut = processes[-1].headless  # tensor or pipeline parallelism of one rank crosses trays
    address = addresses.of(leader.tray)
    argv = ["--tensor-parallel-size", str(pool.tp), "--pipeline-parallel-size", str(pool.pp)]
    if pool.dp > 1:
        argv += ["--data-parallel-size", str(pool.dp)]
        if per_tray and not is_cut:
            argv += [
                "--data-parallel-size-local",
                str(process.dp_ranks),
                "--data-parallel-start-rank",
                str(process.dp_rank),
            ]
        elif not is_cut:
            argv += ["--data-parallel-rank", str(process.dp_rank)]
        argv += [
            "--data-parallel-address",
            address,
            "--data-parallel-rpc-port",
            str(DP_RPC_PORT + leader.seat),
        ]
        argv += ["--data-parallel-hybrid-lb"] if per_tray and not is_cut else []
    if is_cut:
        argv += ["--master-addr", address, "--nnodes", str(len(processes)), "--node-rank", str(process.rank)]
        argv += ["--headless"] if process.headless else []
    return [*argv, "--enable-expert-parallel"] if pool.ep > 1 else argv


def _ports(process: Process, addresses: Addresses, *, crosses_trays: bool) -> dict[str, str]:
    """Return ports that differ between the processes of a tray."""
    first = process.devices[0]
    ports = {
        "DYN_SYSTEM_PORT": str(SYSTEM_PORT + first),
        "DYN_VLLM_KV_EVENT_PORT": str(KV_EVENT_PORT + first),
        "VLLM_NIXL_SIDE_CHANNEL_HOST": addresses.of(process.tray),
        "VLLM_NIXL_SIDE_CHANNEL_PORT": str(NIXL_PORT + process.seat),
    }
    # Unset for a worker on several trays, whose processes would compete for the same block.
    return ports if crosses_trays else {**ports, "VLLM_PORT": str(VLLM_PORT + VLLM_PORTS * first)}


def _frontend(layout: Layout, shared: dict[str, str]) -> Command:
    """Return the command of the frontend, on the head."""
    argv = ("python3", "-m", "dynamo.frontend", "--http-port", str(HTTP_PORT))
    return Command("frontend", "frontend", tray_name(layout.head_tray), argv, shared)
