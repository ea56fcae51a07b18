"""The test cluster as the pipeline sees it: images, cluster documents, and recipes that are reduced further."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.slurm import bed

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / ".nox/client/bin/aiperf"
IMAGE = "vllm/vllm-openai:v0.20.0-ubuntu2404"
RACKS = {"slurm-a": ("racka", "gb200-nvl72"), "slurm-b": ("rackb", "gb300-nvl72")}
GB200 = "deepseek-v4-pro-fp4.gb200-nvl72.1k64.1p2d-dep8-tp8"
GB300 = "deepseek-v4-pro-fp4.gb300-nvl72.1k64.1p2d-tep4-tp4"
PYTHON = f'exec {sys.executable} "$@"\n'  # the environment of the tests, as the program of an image
PATIENCE_S = 300  # this machine may be ten times slower than an idle one


def make_image(name: str = "engine.sqsh", **programs: str) -> Path:
    """An image whose `python3` is the environment of the tests, or these shell scripts by name."""
    path = bed.folder() / "images" / name
    path.touch()
    here = path.with_name(f"{name}.d") / "bin"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    for program, text in {"python3": PYTHON, **programs}.items():
        (here / program).write_text(f"#!/bin/bash\n{text}")
        (here / program).chmod(0o755)
    return path


def work_dir() -> Path:
    """The folder that login node and trays share."""
    path = bed.folder() / "work"
    path.mkdir(exist_ok=True)
    return path


def document(partition: str, sku: str, **site: Any) -> dict[str, Any]:
    """A cluster document: simulated engines on one rack."""
    return {
        "title": f"Slurm of the tests, {partition}",
        "skus": [sku],
        "measure": "aiperf",
        "engine_override": "mocker",
        "purpose": "smoke",
        "runs_on": ["self-hosted"],
        "racks": 1,
        "timing": "timing/deepseek-v4-pro-fp4.json",
        "client": str(CLIENT),
        "images": {IMAGE: str(make_image())},
        "model_paths": {"deepseek-v4-pro": str(ROOT / "recipes/tokenizers/tiny")},
        "site": {
            "launcher": "slurm",
            "partition": partition,
            "segment": True,
            "work_dir": str(work_dir()),
            "discovery": "file",
            "time_scale": 2.0,
            "queue_s": 60,
            "stop_s": 5,
            "watchdog_s": 15,
            **site,
        },
    }


def write_recipes(folder: Path, *, conc: tuple[int, ...] = (4,), per_conc: int = 6, **changes: Any) -> Path:
    """Copy the recipes, with both racks of the test cluster; ``changes``: of the smoke recipes, or of the site."""
    recipes = folder / "recipes"
    shutil.copytree(ROOT / "recipes", recipes)
    limits = {"ready_s": PATIENCE_S, "time_s": 900, **changes.pop("limits", {})}
    for name, (partition, sku) in RACKS.items():
        cluster = document(partition, sku, **changes)
        (recipes / "clusters" / f"{name}.yaml").write_text(json.dumps(cluster))
    (smoke,) = recipes.glob("*/_smoke.yaml")
    text = smoke.read_text().replace("conc: [1, 4, 16]", f"conc: {list(conc)}")
    text = text.replace(
        "warmup_req_s: 10.0", f"warmup_req_s: 10.0, requests_per_conc: {per_conc}, warmup_per_conc: 1"
    )
    smoke.write_text(text + f"limits: {json.dumps(limits)}\n")
    return recipes
