"""What a result has to say of the machine it was measured on: processor, GPUs as their driver describes them, environment."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pipeline.edge.shell import Shell
from pipeline.errors import PipelineError
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
SENSITIVE = (
    r"(?:(?<!PER[_-])(?<!\bNO-)TOKEN(?!I[SZ]|S[A-Z])S?|SECRET|PASSW|PASS[_-]?PHRASE|(?<![A-Z])(?:PASS|PWD)(?![A-Z_-])"
    r"|(?<![A-Z])(?:PW|CREDS?)(?![A-Z])|CREDENTIAL|AUTH(?!OR(?!I[SZ]))|BEARER|HEADERS|COOKIE|SIGNATURE"
    r"|(?:API|ACCESS|PRIVATE)[_-]?KEY|(?<![A-Z])N?KEYS?(?![A-Z]))"
)  # bytes PER_TOKEN and which TOKENIZER are settings, NO-TOKENS is a reason of ours, and an AUTHORITY is a host
SECRET = re.compile(SENSITIVE, re.IGNORECASE)
TOKENS = {"TOKEN", "TOKENS"}
COUNT = re.compile(
    r"\d{1,9}(?:\.\d+)?[KMG]?|auto|none|null|true|false", re.IGNORECASE
)  # of tokens: what a secret is not
REDACTED = "(redacted)"
USER_OPTIONS = ("-u", "--user", "--proxy-user")
USER = r"(?!\d+:\d+\b)[^\s:]+:\S+"  # and a password; a user and a group in numbers are none
GIVEN = (  # in quotes, escaped or never closed; in brackets; or bare, with a header's name before it and the rest of a list after it
    r"(?P<quote>\\*[\"'])(?:(?s:.*?)(?<!\\)(?P=quote)|.*)|\[[^\]]*\]?|\{[^}]*\}?"
    r"|(?:[\w-]+[=:]\s+)*(?:(?:bearer|basic|token)\s+)?[^\s,;&}\"'][^\s,;&}]*(?:,\s*[^\s,;&}=:]+(?![^\s,;&}]|\s*[=:]))*"
)
NAMED = re.compile(  # a field or an option; a name is read once, for logs have long words
    rf"(?<![\w-])(?=[\w-]*?{SENSITIVE})([\w-]++\\*[\"']?\s*[=:]\s*|(?=-)[\w-]++(?:[\"'],)?\s+(?![\"']?--))({GIVEN})",
    re.IGNORECASE,
)
IN_VALUES = (  # users, queries and signatures in addresses, what an Authorization header holds, and what gives itself away
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL), REDACTED),
    (re.compile(r"//(?:[^\s/@\"']*:[^\s\"']*|[^\s/]+)@(?!sha\d+:)"), f"//{REDACTED}@"),
    (re.compile(r"(?<![\w/.:+-])[\w.+-]++:(?!//)[^\s\"',;]+@(?!sha\d+:)"), f"{REDACTED}@"),
    (re.compile(r"(://[^\s?]*\?)\S+"), rf"\1{REDACTED}"),
    (re.compile(rf"(?<!\S)({'|'.join(USER_OPTIONS)})([\s=]+){USER}"), rf"\1\2{REDACTED}"),
    (
        re.compile(r"\b(bearer|basic|token(?=\s+(?:\S{16}|(?=\S*\d)\S*[a-z])))\s+[^\s-]\S*", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (
        re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|nvapi-|sk-|glpat-|AKIA|AIza|xox[a-z]-)[\w-]{16,}"),
        REDACTED,
    ),
    (re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]*"), REDACTED),
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
    return {
        name: _shown(name, value)
        for name, value in sorted(variables.items())
        if name.startswith(READ_BY_ENGINES)
    }


def command(argv: Sequence[str]) -> tuple[str, ...]:
    """An argument list as long as it was, secrets redacted: in its words, and after an option that is named like one."""
    return tuple(_word(before, word) for before, word in zip(("", *argv), argv, strict=False))


def without_secrets(text: str) -> str:
    """What may be told of a text: below names of secrets nothing, if it is JSON; else all but what looks like a secret."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
            shown = _below(found)
        except (ValueError, RecursionError):
            pass
        else:
            return text if shown == found else json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    for secret, instead in IN_VALUES:
        text = secret.sub(instead, text)
    return NAMED.sub(_said, text)


def _word(before: str, word: str) -> str:
    """A word of a command: the value of the option before it, a name with its value, or just a word."""
    if (
        before.startswith("-")
        and "=" not in before
        and not word.startswith("--")
        and _is_secret(before, word)
    ):
        return REDACTED
    name, is_given, value = word.partition("=")
    return (
        f"{name}={_shown(name, value)}"
        if is_given and re.fullmatch(r"[\w.-]+", name)
        else without_secrets(word)
    )


def _shown(name: str, value: str) -> str:
    return REDACTED if _is_secret(name, value) else without_secrets(value)


def _is_secret(name: str, value: str) -> bool:
    """By its name, unless that speaks of nothing but tokens and the value is how many; a user is one with a password."""
    if name in USER_OPTIONS:
        return re.fullmatch(USER, value) is not None
    words = {word.upper() for word in SECRET.findall(name)}
    return bool(words) and not (words <= TOKENS and COUNT.fullmatch(value))


def _said(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    return f"{name}{REDACTED}" if _is_secret(name, value.partition(",")[0]) else match[0]


def _below(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            without_secrets(key): REDACTED if _is_secret(key, str(value)) else _below(value)
            for key, value in found.items()
        }
    if isinstance(found, list):
        return (
            [*command(found)]
            if all(isinstance(value, str) for value in found)
            else [_below(value) for value in found]
        )
    return without_secrets(found) if isinstance(found, str) else found


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
        found = re.search(
            r"^model name\s*:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
    except OSError:
        return None
    return found[1].strip() if found else None
