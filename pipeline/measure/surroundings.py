"""The machine of a measurement: processor, GPUs as reported by their driver, environment."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline import secret_values
from pipeline.deployment.driver import described
from pipeline.edge.shell import Shell
from pipeline.errors import PipelineError
from pipeline.measure import redaction
from pipeline.schema.result import Gpu, Host

READ_BY_ENGINES = (
    "CUDA_",
    "NCCL_",
    "NVSHMEM_",
    "UCX_",
    "NIXL_",
    "VLLM_",
    "DYN_",
    "TORCH_",
    "TILELANG_",
    "HF_HUB_",
    "TRANSFORMERS_",
)
QUERY = ("nvidia-smi", "-q", "-x")
QUERY_S = 60.0


def host() -> Host:
    """Return the machine that this process runs on."""
    return Host(
        machine=platform.machine(),
        cpus=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        name=platform.node() or None,
        cpu=_cpu(Path("/proc/cpuinfo")),
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that engines and libraries read, by name; what looks like a secret is redacted."""
    secrets = secret_values.of(variables)
    return {
        name: secret_values.without(redaction.redacted(name, value), secrets)
        for name, value in sorted(variables.items())
        if name.startswith(READ_BY_ENGINES)
    }


def gpus(shell: Shell, beside: Callable[[Sequence[str]], list[str]]) -> tuple[Gpu, ...] | None:
    """Return the GPUs of the node that ``beside`` runs on; None without a driver."""
    try:
        found, node = (shell.run(beside(argv), timeout_s=QUERY_S) for argv in (QUERY, ("uname", "-n")))
    except PipelineError:
        return None
    return described(found.stdout, node.stdout.strip() or "unknown") if not found.code else None


def _cpu(path: Path) -> str | None:
    """Return the model name of the first processor; kernels for Arm have none."""
    try:
        found = re.search(
            r"^model name\s*:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
    except OSError:
        return None
    return found[1].strip() if found else None
