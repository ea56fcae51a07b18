"""GPUs as their driver describes them: the XML of ``nvidia-smi -q -x``."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from pipeline.schema.result import Gpu

UNKNOWN = {
    "",
    "N/A",
    "Unknown Error",
    "Not Supported",
    "Insufficient Permissions",
    "Requested functionality has been deprecated",
}
NO_CLUSTER = re.compile(r"[0-]+")


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
