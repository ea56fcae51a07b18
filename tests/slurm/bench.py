"""What the Slurm launcher adds to a job, with stub engines and an empty queue: ``nox -s bench -- slurm``."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.deployment.layout import place
from pipeline.edge.clients import Clients
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.launch import slurm
from pipeline.schema.cluster import Cluster
from tests.fakes import launch_specs
from tests.slurm import site

RUNS, OVERHEAD_S, MANY_S = 10, 15.0, 60.0
LARGEST = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.7p2d-dep4-dep16"


@dataclass(frozen=True)
class Launch:
    """Seconds of one deployment."""

    up_s: float  # from the submission until it answers
    down_s: float  # until the queue is empty
    processes: int


def stub_site() -> Cluster:
    document = site.document("racka", "gb300-nvl72")
    stub = Path(__file__).with_name("stub.py")
    python = f'[[ $1 == -m ]] && exec {sys.executable} -S -E {stub} "$@"\n{site.PYTHON}'
    document["images"] = {site.IMAGE: str(site.make_image("stub.sqsh", python3=python))}
    return Cluster.model_validate_json(json.dumps({"id": "slurm-a", **document}))


def launch(recipe: str, number: int) -> Launch:
    """Bring a deployment up and down once."""
    spec = launch_specs.spec(recipe, run_id=f"bench.{os.getpid()}.{number}")
    if recipe == LARGEST:  # what stands before the trays of the workers is idle
        layout = place(spec.job.recipe, spec.sku.gpus_per_tray)
        assert (len(layout.processes), layout.trays) == (60, 16)
    clients = Clients(Shell(), SystemHttp(), SystemClock())
    with tempfile.TemporaryDirectory() as logs:
        began = time.monotonic()
        with slurm.deployed(spec, stub_site(), clients=clients, logs=Path(logs)) as endpoint:
            up, count = time.monotonic(), len(endpoint.commands)
            assert endpoint.changes() == []
        listed = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout
        assert listed == ""
        return Launch(up - began, time.monotonic() - up, count)


def main() -> int:
    launches = [launch(launch_specs.GB300, number) for number in range(RUNS)]
    total = statistics.median(one.up_s + one.down_s for one in launches)
    up, down = (statistics.median(getattr(one, name) for one in launches) for name in ("up_s", "down_s"))
    print(
        f"submit until it answers, and down to an empty queue, median of {RUNS}: {up:.1f} s + {down:.1f} s"
        f" (limit {OVERHEAD_S:g} s)"
    )
    many = launch(LARGEST, RUNS)
    print(
        f"{many.processes} processes on 16 trays up and down: {many.up_s:.1f} s + {many.down_s:.1f} s (limit {MANY_S:g} s)"
    )
    return int(total > OVERHEAD_S or many.up_s + many.down_s > MANY_S)


if __name__ == "__main__":
    sys.exit(main())
