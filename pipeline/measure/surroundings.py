"""What a result has to say of the machine it was measured on: processor, GPUs as their driver describes them, environment."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline.edge.shell import Shell
from pipeline.errors import PipelineError
from pipeline.schema.result import Gpu, Host

READ_BY_ENGINES = ("CUDA_", "NCCL_", "NVSHMEM_", "UCX_", "NIXL_", "VLLM_", "DYN_", "TORCH_", "TILELANG_", "HF_HUB_", "TRANSFORMERS_")
SENSITIVE = (
    r"(?:(?<!PER[_-])TOKEN(?!S|I[SZ])|SECRET|PASSW|PASSPHRASE|(?<![A-Z])(?:PASS|PWD)(?![A-Z_])|CREDENTIAL|AUTH|BEARER|HEADERS|COOKIE|SIGNATURE"
    r"|(?:API|ACCESS|PRIVATE)[_-]?KEY|(?<![A-Z])N?KEY(?![A-Z]))"
)  # how many TOKENS, bytes PER_TOKEN and which TOKENIZER are settings
SECRET = re.compile(SENSITIVE, re.IGNORECASE)
REDACTED = "(redacted)"
SAID = rf"[\w-]*{SENSITIVE}[\w-]*"
IN_VALUES = (  # users, queries and signatures in addresses, what an Authorization header holds, options, fields, and what gives itself away
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL), REDACTED),
    (re.compile(r"//[^@\s]+@"), f"//{REDACTED}@"),
    (re.compile(r"(://[^\s?]*\?)\S+"), rf"\1{REDACTED}"),
    (re.compile(r"\b(bearer|basic|token)\s+[^\s-]\S*", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(rf"(--{SAID}\s+)[^\s-]\S*", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(rf"({SAID}[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}}\"']+)", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|nvapi-|sk-|glpat-|AKIA)[\w-]{16,}"), REDACTED),
)
QUERY = ("nvidia-smi", "-q", "-x")
QUERY_S = 60.0
UNKNOWN = {"", "N/A", "Unknown Error", "Not Supported", "Insufficient Permissions", "Requested functionality has been deprecated"}
NO_CLUSTER = re.compile(r"[0-]+")


def host() -> Host:
    """The machine that this runs on."""
    return Host(
        machine=platform.machine(),
        cpus=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        name=platform.node() or None,
        cpu=_cpu(Path("/proc/cpuinfo")),
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables that engines and libraries read, by name; whatever looks like a secret is redacted."""
    found = {name: value for name, value in sorted(variables.items()) if name.startswith(READ_BY_ENGINES)}
    return {name: REDACTED if SECRET.search(name) else _without_secrets(value) for name, value in found.items()}


def command(argv: Sequence[str]) -> tuple[str, ...]:
    """An argument list as long as it was, secrets redacted: in its words, and after an option that is named like one."""
    kept = []
    before = ""
    for word in argv:
        is_secret = before.startswith("--") and "=" not in before and SECRET.search(before) and not word.startswith("-")
        kept.append(REDACTED if is_secret else _without_secrets(word))
        before = word
    return tuple(kept)


def _without_secrets(value: str) -> str:
    for secret, shown in IN_VALUES:
        value = secret.sub(shown, value)
    return value


def gpus(shell: Shell, beside: Callable[[Sequence[str]], list[str]]) -> tuple[Gpu, ...] | None:
    """GPUs of the node that ``beside`` runs on; None where there is no driver to ask."""
    try:
        found, node = (shell.run(beside(argv), timeout_s=QUERY_S) for argv in (QUERY, ("uname", "-n")))
    except PipelineError:
        return None
    return described(found.stdout, node.stdout.strip() or "unknown") if not found.code else None


def described(text: str, node: str) -> tuple[Gpu, ...] | None:
    """What ``nvidia-smi -q -x`` says; None when that is not its XML. Written from the driver's documentation, unproven on a rack."""
    try:
        log = ET.fromstring(text[text.index("<nvidia_smi_log") :])  # noqa: S314  # our own driver's answer
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
    """``1965 MHz``, ``1000.00 W``."""
    found = re.match(r"\d+(\.\d+)?", _text(element, path) or "")
    return float(found[0]) if found else None


def _cpu(path: Path) -> str | None:
    """Model name of the first processor; Arm's kernel does not give one."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found[1].strip() if found else None
