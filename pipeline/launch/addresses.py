"""How the processes of a deployment on several trays find each other: addresses, fixed ports, discovery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from pipeline.deployment.layout import Layout
from pipeline.launch.describe import Command

HTTP_PORT = 8000
NATS_PORT = 4222
ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
SYSTEM_PORT = 7500  # + first GPU of the process


def tray_name(tray: int) -> str:
    """Return the name that stands for a tray where its address is not known."""
    return f"n{tray}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address of each tray, and where instances are listed: etcd with NATS, or a folder that all trays see."""

    layout: Layout
    of: Callable[[int], str] = tray_name
    discovery: PurePath | None = None  # the folder; None = etcd and NATS on the first tray

    def variables(self) -> dict[str, str]:
        """Return what every process of the deployment has in its environment."""
        head = {"DYN_REQUEST_PLANE": "tcp", "HEAD_NODE_IP": self.of(self.layout.head_tray)}
        if self.discovery is not None:
            files = {"DYN_DISCOVERY_BACKEND": "file", "DYN_FILE_KV": str(self.discovery)}
            return {**head, **files, "DYN_EVENT_PLANE": "zmq"}
        services = self.of(self.layout.services_tray)
        etcd, nats = f"http://{services}:{ETCD_PORT}", f"nats://{services}:{NATS_PORT}"
        return {**head, "ETCD_ENDPOINTS": etcd, "NATS_SERVER": nats}

    def services(self) -> tuple[Command, ...]:
        """Return the commands of NATS and etcd; none where a folder lists the instances."""
        if self.discovery is not None:
            return ()
        tray, host = tray_name(self.layout.services_tray), self.of(self.layout.services_tray)
        peer, client = f"http://{host}:{ETCD_PEER_PORT}", f"http://{host}:{ETCD_PORT}"
        listen = "http://0.0.0.0:{}"
        clients = ["--listen-client-urls", listen.format(ETCD_PORT), "--advertise-client-urls", client]
        peers = ["--listen-peer-urls", listen.format(ETCD_PEER_PORT), "--initial-advertise-peer-urls", peer]
        etcd = ("etcd", "--name", "default", *clients, *peers, "--initial-cluster", f"default={peer}")
        nats = ("nats-server", "--jetstream", "--port", str(NATS_PORT))
        return (Command("nats", "nats", tray, nats, {}), Command("etcd", "etcd", tray, etcd, {}))

    def frontend_url(self) -> str:
        """Return the URL of the frontend, without a path."""
        return f"http://{self.of(self.layout.head_tray)}:{HTTP_PORT}"

    def metrics_url(self, tray: int, first_gpu: int) -> str:
        """Return the URL of the metrics of the process whose first GPU this is."""
        return f"http://{self.of(tray)}:{SYSTEM_PORT + first_gpu}/metrics"
