"""The machine of a measurement: processor, GPUs as reported by their driver, environment."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline import secret_values
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
UNKNOWN = {
    "",
    "N/A",
    "Unknown Error",
    "Not Supported",
    "Insufficient Permissions",
    "Requested functionality has been deprecated",
}
NO_CLUSTER = re.compile(r"[0-]+")


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


def described(text: str, node: str) -> tuple[Gpu, ...] | None:
    """Return the GPUs in the XML of ``nvidia-smi -q -x``; None for other text.

    Written from the documentation of the driver; unproven on a rack.
    """
    try:
        log = ET.fromstring(text[text.index("<nvidia_smi_log") :])  # noqa: S314  # a driver's output
    except (ValueError, ET.ParseError):
        return None
    driver = _text(log, "driver_version")
    return tuple(_gpu(one, index, node, driver) for index, one in enumerate(log.iter("gpu")))


def _gpu(one: ET.Element, index: int, node: str, driver: str | None) -> Gpu:
    power = _number(one, "gpu_power_readings/current_power_limit")
    cluster = _text(one, "fabric/clusterUuid")
    return Gpu(
        node=node,
        index=str(index),
        name=_text(one, "product_name"),
        uuid=_text(one, "uuid"),
        driver=driver,
        vbios=_text(one, "vbios_version"),
        sm_mhz=_number(one, "clocks/sm_clock"),
        memory_mhz=_number(one, "clocks/mem_clock"),
        power_limit_w=_number(one, "power_readings/power_limit") if power is None else power,
        fabric_cluster=None if cluster is None or NO_CLUSTER.fullmatch(cluster) else cluster,
        fabric_clique=_text(one, "fabric/cliqueId"),
    )


def _text(element: ET.Element, path: str) -> str | None:
    found = (element.findtext(path) or "").strip()
    return None if found.strip("[]") in UNKNOWN else found


def _number(element: ET.Element, path: str) -> float | None:
    """Return the number of a text such as ``1965 MHz`` or ``1000.00 W``."""
    found = re.match(r"\d+(\.\d+)?", _text(element, path) or "")
    return float(found[0]) if found else None


def _cpu(path: Path) -> str | None:
    """Return the model name of the first processor; kernels for Arm have none."""
    try:
        found = re.search(
            r"^model name\s*:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
    except OSError:
        return None
    return found[1].strip() if found else None
