"""Another try of a launch that failed because of the site: bounded, and without the nodes that were lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from pipeline.edge.clients import Clients
from pipeline.edge.endpoint import Endpoint
from pipeline.errors import FailureKind, LaunchError
from pipeline.launch.base import Launcher, LaunchSpec
from pipeline.schema.cluster import Cluster

# Not what was never scheduled: that has waited as long as the site allows.
TRIED_AGAIN = (FailureKind.NODE_LOST, FailureKind.PREEMPTED)


@contextmanager
def deployed(
    launcher: Launcher, spec: LaunchSpec, cluster: Cluster, *, clients: Clients, logs: Path
) -> Iterator[Endpoint]:
    """Yield the deployment; where its launch fails because of the site, launch it again, as often as the site allows.

    A measurement is not repeated, and what the recipe caused is not tried again.
    """
    for number in count(1):
        with ExitStack() as stack:
            try:
                endpoint = stack.enter_context(launcher.deployed(spec, cluster, clients=clients, logs=logs))
            except LaunchError as error:
                if number > cluster.site.retries or error.kind not in TRIED_AGAIN:
                    raise
                what = f"try {number} failed, the next one begins: {error.what}"
                clients.journal.add("submit", node=error.node, kind=error.kind, what=what)
                spec = replace(spec, excluded=(*spec.excluded, *filter(None, [error.node])))
                _keep(logs, number)
                continue
            yield endpoint
            return


def _keep(logs: Path, number: int) -> None:
    """Give the logs of a try names that the next one does not use."""
    for log in logs.glob("*.log"):
        log.rename(log.with_name(f"try-{number}.{log.name}"))
