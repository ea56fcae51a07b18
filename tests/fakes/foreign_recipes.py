"""Recipes of other projects as ours, as far as the rules of `validate` read them (srt-slurm, schema 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "fixtures" / "foreign"
SKUS = {"gb200": "gb200-nvl72", "gb300": "gb300-nvl72", "b200": "b200-sxm", "b300": "b300-sxm"}
FROM_SHAPE = re.compile(r"(tensor|pipeline|data)-parallel-.*|enable-expert-parallel|served-model-name|model")


def listed() -> list[dict[str, Any]]:
    """The recipes that are known to have run: file, source, evidence, and warnings that are true of them."""
    return yaml.safe_load((FOLDER / "ran.yaml").read_text())


def document(file: str) -> dict[str, Any]:
    """One of them in our terms."""
    theirs = yaml.safe_load((FOLDER / file).read_text())
    resources, benchmark = theirs["resources"], theirs["benchmark"]
    health = theirs.get("health_check", {"max_attempts": 180, "interval_seconds": 10})
    hours, minutes, seconds = map(int, theirs.get("slurm", {}).get("time_limit", "8:00:00").split(":"))
    return {
        "id": theirs["name"],
        "title": theirs["name"],
        "source": file,
        "model": "deepseek-v4-pro" if "dsv4" in file else theirs["model"]["path"].lower(),
        "precision": theirs["model"]["precision"],
        "sku": SKUS[resources["gpu_type"]],
        "engine": "vllm",
        "image": theirs["model"]["container"],
        "versions": _versions(theirs),
        "dp_launch": "per-gpu",
        "workload": {"isl": benchmark["isl"], "osl": benchmark["osl"]},
        "client": {
            "requests_per_conc": benchmark.get("num_prompts_mult", 10),
            "warmup_per_conc": benchmark.get("num_warmup_mult", 2),
            "warmup_req_s": 250.0,
            "shortest": benchmark.get("random_range_ratio", 0.8),
            "seed": 0,
            "ignore_eos": True,
            "chat_template": True,
        },
        "conc": [int(one) for one in str(benchmark["concurrencies"]).split("x")],
        "infra_trays": 0,
        "limits": {
            "time_s": hours * 3600 + minutes * 60 + seconds,
            "ready_s": health["max_attempts"] * health["interval_seconds"],
        },
        **{role: _pool(theirs, role) for role in ("prefill", "decode")},
    }


def _pool(theirs: Mapping[str, Any], role: str) -> dict[str, Any]:
    flags = theirs["backend"]["vllm_config"][role]
    tp, dp = flags.get("tensor-parallel-size", 1), flags.get("data-parallel-size", 1)
    environment = theirs["backend"].get(f"{role}_environment", {})
    return {
        "workers": theirs["resources"][f"{role}_workers"],
        "tp": tp,
        "pp": flags.get("pipeline-parallel-size", 1),
        "dp": dp,
        "ep": tp * dp if flags.get("enable-expert-parallel") else 1,
        "crosses_trays": True,
        # `false` and null drop an option there
        "flags": {
            name: value
            for name, value in flags.items()
            if value not in (False, None) and not FROM_SHAPE.fullmatch(name)
        },
        "env": {name: str(value) for name, value in environment.items()},
    }


def _versions(theirs: Mapping[str, Any]) -> dict[str, str]:
    """The engine versions of a recipe; a measured one (lock file) before a stated one before the image's."""
    stated = dict(theirs.get("identity", {}).get("frameworks", {}))
    stated.setdefault("dynamo", str(theirs["dynamo"].get("wheel") or theirs["dynamo"].get("version")))
    for check in theirs.get("lock", {}).get("verification", {}).get("checks", []):
        found = re.search(r"got '([^']+)'", check["message"])
        if found:
            stated[check["field"].removeprefix("frameworks.")] = found[1]
    image = re.search(r"(\d+\.\d+\.\d+)", theirs["model"]["container"].partition("@")[0])
    if "vllm" not in stated and image:
        stated["vllm"] = image[1]
    return stated
