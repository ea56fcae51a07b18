"""What a live job costs beside engine start, warm-up and measurement; part of ``nox -s bench -- live``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.errors import MeasureError
from tests.fakes.launch_specs import GB300

RUNS = 3
NEEDED = ("start", "ready", "warm-up", "measure")


def one_job(work: Path, number: int) -> tuple[float, float]:
    """Seconds of a job of three points that are none of ``NEEDED``, and those of them that the load client took beside its loops."""
    results = work / str(number)
    argv = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        str(work / "plan.json"),
        "--job",
        GB300,
        "--out",
        str(results),
    ]
    start = time.perf_counter()
    code = subprocess.run(argv, check=False, stdout=subprocess.DEVNULL).returncode
    wall = time.perf_counter() - start
    if code not in {
        0,
        MeasureError.exit_code,
    }:  # a point that other work on the machine made untrustworthy costs the same
        raise RuntimeError(f"run ended with exit code {code}")
    (job,) = results.glob("bench-*/job.json")
    stages = json.loads(job.read_text())["provenance"]["stages_s"]
    return wall - sum(stages[name] for name in NEEDED), stages["client"]


def main() -> list[tuple[str, list[float], str]]:
    """Rows of a table: name, seconds, what was promised."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        argv = [
            sys.executable,
            "-m",
            "pipeline",
            "plan",
            "--cluster",
            "local-live",
            "--select",
            GB300,
            "--out",
            str(work / "plan.json"),
        ]
        subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
        plan = json.loads((work / "plan.json").read_text())
        recipe = plan["jobs"][0]["recipe"]
        recipe["conc"], recipe["client"]["requests_per_conc"] = [1, 4, 16], 3
        (work / "plan.json").write_text(json.dumps(plan))
        found = [one_job(work, number) for number in range(RUNS)]
    return [
        (
            "overhead of a job of three points",
            [whole for whole, _ in found],
            "promised: 10 s on 2 idle cores",
        ),
        (
            "  of which load client",
            [client for _, client in found],
            "its start and its files, and a pause between loops",
        ),
        ("  of which ours", [whole - client for whole, client in found], ""),
    ]
