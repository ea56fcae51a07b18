"""The cluster document of the test cluster, and plans for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.schema.cluster import Cluster
from tests.fakes import launch_specs
from tests.slurm import bed

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / ".nox/client/bin/aiperf"
PATIENCE_S = 240  # this machine may be ten times slower than an idle one


def make_image(name: str = "engine.sqsh", **programs: str) -> Path:
    """An image whose `python3` is the environment of the tests, or these shell scripts by name."""
    path = bed.folder() / "images" / name
    path.touch()
    here = path.with_name(f"{name}.d") / "bin"
    here.mkdir(parents=True, exist_ok=True)
    for program, text in {"python3": f'exec {sys.executable} "$@"\n', **programs}.items():
        (here / program).write_text(f"#!/bin/bash\n{text}")
        (here / program).chmod(0o755)
    return path


def work_dir() -> Path:
    """The folder that login node and trays share."""
    path = bed.folder() / "work"
    path.mkdir(exist_ok=True)
    return path


def document(**site: Any) -> dict[str, Any]:
    """The cluster document of the test cluster as a plan holds it."""
    here = launch_specs.cluster()
    image = str(make_image())
    found = here.model_dump(mode="json") | {
        "id": "slurm-test",
        "title": "Slurm of the tests",
        "client": str(CLIENT),
        "images": {"vllm/vllm-openai:v0.20.0-ubuntu2404": image},
        "model_paths": {"deepseek-v4-pro": str(launch_specs.MODEL)},
        "racks": 2,
    }
    found["site"] = {
        "launcher": "slurm",
        "partition": "racka",
        "segment": True,
        "work_dir": str(work_dir()),
        "discovery": "file",
        "time_scale": 2.0,
        "queue_s": 60,
        "stop_s": 5,
        "watchdog_s": 15,
        **site,
    }
    return found


def cluster(**site: Any) -> Cluster:
    """The test cluster."""
    return Cluster.model_validate_json(json.dumps(document(**site)))


def make_plan(path: Path, *recipes: str, conc: tuple[int, ...] = (4,), osl: int = 32, **site: Any) -> None:
    """Write a plan of smoke recipes for the test cluster, reduced further."""
    argv = [sys.executable, "-m", "pipeline", "plan", "--cluster", "local-live", "--out", str(path)]
    subprocess.run([*argv, "--select", " ".join(recipes)], cwd=ROOT, check=True, capture_output=True)
    plan = json.loads(path.read_text())
    plan["cluster"] = document(**site)
    for job in plan["jobs"]:
        recipe = job["recipe"]
        recipe["conc"], recipe["workload"]["osl"] = list(conc), osl
        recipe["client"] |= {"requests_per_conc": 6, "warmup_per_conc": 1}
        recipe["limits"] = {"ready_s": PATIENCE_S, "time_s": 900}
    path.write_text(json.dumps(plan))
