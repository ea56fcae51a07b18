"""A nightly of two racks on a real Slurm: from plans to ingested, valid results, with real engines' processes and load client."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipeline import collect
from pipeline.edge import processes
from pipeline.launch.base import RUN
from tests.slurm import site
from tests.slurm.conftest import Run, nothing_is_left, output
from tests.slurm.site import GB200, GB300, PATIENCE_S, RACKS, ROOT


@pytest.mark.quick
def test_a_nightly_of_two_racks_ends_as_valid_points_in_the_history(tmp_path, run_id):
    recipes = site.write_recipes(tmp_path, conc=(2, 4))
    run = Run(tmp_path, run_id)
    plans = tmp_path / "plans"
    run.pipeline("matrix", "--clusters", " ".join(RACKS), "--recipes", recipes, "--out", plans)
    children = []
    for name in RACKS:
        argv = [
            sys.executable,
            "-m",
            "pipeline",
            "run",
            str(plans / f"{name}.json"),
            "--out",
            str(tmp_path / name),
        ]
        argv += ["--run-id", run_id, "--recipes", str(recipes)]
        children.append(subprocess.Popen(argv, cwd=ROOT))
    assert [child.wait(timeout=PATIENCE_S) for child in children] == [0, 0]
    for name, job, trays in (("slurm-a", GB200, 7), ("slurm-b", GB300, 4)):
        found = collect.read(tmp_path / name / collect.folder_name(run_id, 1, job))
        assert [(point.conc, point.status, point.gpus_held) for point in found.points] == [
            (2, "ok", trays * 4),
            (4, "ok", trays * 4),
        ]
        provenance = found.record.provenance
        assert provenance.versions["slurm"].startswith("2")
        assert {
            "queue",
            "start",
            "ready",
            "warm-up",
            "measure",
            "client",
            "teardown",
        } <= provenance.stages_s.keys()
        assert provenance.time_scale == 2.0
        run.pipeline("ingest", tmp_path / name, "--history", run.history)
    rows = json.loads(
        run.pipeline(
            "query", "select sku, conc, status from points order by all", "--history", run.history, "--json"
        )
    )
    assert len(rows) == 4
    assert {row["status"] for row in rows} == {"ok"}
    page = tmp_path / "page"
    run.pipeline("report", ROOT / "reports/smoke.yaml", "--history", run.history, "--out", page)
    assert "## Held GPU time" in (page / "README.md").read_text()
    nothing_is_left(run_id)


@pytest.mark.quick
def test_processes_stand_on_the_trays_of_the_layout_and_have_no_variable_of_the_runner(run):
    run.prepare(per_conc=20)
    run.start()
    run.up()
    names = ("prefill-0-0", "prefill-0-1", "decode-0-0", "decode-1-0")
    first = run.tray("frontend").number - 1
    assert [run.tray(name).number - first for name in names] == [1, 2, 3, 5]
    steps = output("squeue", "-s", "-h", "-o", "%j %N")
    for name in names:
        assert f"{name} {run.tray(name).name}" in steps
    run.under_load()
    (now,) = json.loads(
        run.pipeline("status", run.id, "--cluster", run.cluster, "--recipes", run.recipes, "--json")
    )
    assert (now["job"], now["stage"], now["state"], now["what"]) == (
        run.job,
        "measure",
        "RUNNING",
        f"Slurm job {run.slurm_id()}",
    )
    marked = processes.marked({RUN: run.id})
    assert {one.settings["RACKBENCH_PROCESS"] for one in marked if "RACKBENCH_PROCESS" in one.settings} >= {
        *names,
        "frontend",
        "client",
        "relay",
    }
    assert [
        one for one in marked if "RUNNER_SECRET" in one.settings and "SLURM_STEP_ID" in one.settings
    ] == []
    assert run.end() == 0
    assert [point.status for point in run.result().points] == ["ok"]
