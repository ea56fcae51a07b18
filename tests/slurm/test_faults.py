"""Faults with real processes: verdict and exit code, and nothing left in the queue, on the nodes or on shared storage."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from pipeline.edge import journal
from pipeline.schema.result import Failure
from tests.slurm import bed, configuration, site
from tests.slurm.conftest import Run, nothing_is_left, output

QUICK = pytest.mark.quick  # of `nox -s slurm`; all of them are in `nox -s slurm-faults`


def failure(run: Run) -> Failure:
    """The error of a run that has no points."""
    (path,) = run.results.glob(f"bench-{run.id}-*/error.json")
    return Failure.from_json(path.read_text(), where=str(path))


def reasons(run: Run) -> str:
    """Why the points of a run are invalid."""
    points = run.result().points
    assert {point.status for point in points} == {"invalid"}
    return "; ".join(reason for point in points for reason in point.reasons)


def submit(*options: str) -> str:
    """Submit a job of a user who has nothing to do with the project; return its id."""
    argv = ["sbatch", "--parsable", "--output=/dev/null", *options, "--wrap=sleep 600"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def state(job: str) -> str:
    return output("squeue", "-h", "-j", job, "-o", "%T").strip()


def submitted() -> int:
    """How many jobs the cluster knows."""
    return len(output("scontrol", "-o", "show", "jobs").splitlines())


@QUICK
def test_a_node_that_dies_under_load_is_named_and_refuses_the_point(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    node = run.tray("decode-0-0")
    bed.kill_node(node)
    try:
        assert run.end() == 6
    finally:
        bed.start_node(node)
    assert f"node {node.name}" in reasons(run)
    (folder,) = run.results.glob(f"bench-{run.id}-*")
    events = journal.read(folder / "events.jsonl")
    assert [one.stage for one in events][:1] == ["submit"]
    assert node.name in {one.node for one in events if one.kind == "node-lost"}


@QUICK
def test_a_job_cancelled_from_outside_refuses_the_point_and_says_so(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    job = run.slurm_id()
    output("scancel", job)
    assert run.end() == 6
    assert f"job {job} was cancelled from outside" in reasons(run)


def test_a_job_at_its_time_limit_ends_orderly_and_says_so(run):
    run.prepare(per_conc=400, limits={"time_s": 70, "ready_s": 50})
    run.start()
    assert run.end() in (5, 6)
    text = reasons(run) if run.result().points else failure(run).what
    assert "wall-clock limit" in text or "did not end within 70 s" in text


@QUICK
def test_an_image_that_cannot_be_imported_fails_the_launch_with_the_words_of_the_plugin(run):
    run.prepare()
    plan = json.loads(run.plan.read_text())
    plan["cluster"]["images"] = {site.IMAGE: "/images/missing.sqsh"}
    run.plan.write_text(json.dumps(plan))
    run.start()
    assert run.end() == 5
    found = failure(run)
    assert (found.kind, found.retryable) == ("image", False)
    assert "/images/missing.sqsh" in found.what


def test_a_model_that_is_missing_on_one_node_is_found_there(run):
    run.prepare()
    model, empty = site.ROOT / "recipes/tokenizers/tiny", bed.folder() / "empty"
    empty.mkdir()
    node = configuration.Node(4)  # of decode-0-0: the first nodes are idle
    subprocess.run(bed.inside(node, "mount", "--bind", str(empty), str(model)), check=True)
    try:
        run.start()
        assert run.end() == 5
    finally:
        subprocess.run(bed.inside(node, "umount", str(model)), check=True)
    found = failure(run)
    assert (found.kind, found.where) == ("contradiction", f"node {node.name}")
    assert "tokenizer.json" in found.what


SMI = """\
driver=580.65; [[ $SLURMD_NODENAME == gb05 ]] && driver=575.10
echo "<nvidia_smi_log><driver_version>$driver</driver_version>"
for gpu in 0 1 2 3; do
  echo "<gpu><product_name>NVIDIA GB200</product_name><fabric><clusterUuid>c1</clusterUuid><cliqueId>7</cliqueId></fabric></gpu>"
done
echo "</nvidia_smi_log>"
"""


@QUICK
def test_a_node_with_another_driver_than_the_rest_ends_the_job_before_the_engines_start(run):
    run.prepare()
    site.make_image(**{"nvidia-smi": SMI})
    run.start()
    assert run.end() == 5
    found = failure(run)
    assert (found.kind, found.where) == ("contradiction", "node gb05")
    assert "575.10" in found.what


@QUICK
def test_a_full_queue_is_waited_for(run):
    run.prepare()
    other = submit("--partition=racka", "--nodes=18", "--exclusive")
    run.start()
    run.until(lambda: f"rackbench:{run.id}:" in output("squeue", "-h", "-t", "PD", "-o", "%k"))
    output("scancel", other)
    assert run.end() == 0
    assert [point.status for point in run.result().points] == ["ok"]


def test_a_network_cut_under_load_refuses_the_point(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    node = run.tray("decode-0-0")
    bed.set_link(node, "down")
    time.sleep(8)  # less than Slurm waits for a node
    bed.set_link(node, "up")
    assert run.end() == 6
    assert reasons(run)


@QUICK
def test_a_deployment_larger_than_a_rack_is_refused_before_it_is_submitted(run):
    run.prepare()
    plan = json.loads(run.plan.read_text())
    plan["jobs"][0]["recipe"]["decode"]["workers"] = 8
    run.plan.write_text(json.dumps(plan))
    before = submitted()
    run.start()
    assert run.end() == 5
    assert "19 trays" in failure(run).what
    assert submitted() == before


def test_a_controller_that_restarts_does_not_end_a_run(run):
    run.prepare(per_conc=30)
    run.start()
    run.under_load()
    bed.stop_controller()
    bed.start_controller(bed.folder())
    assert run.end() == 0
    assert [point.status for point in run.result().points] == ["ok"]


def test_a_controller_that_is_away_for_a_minute_does_not_end_a_run(run):
    run.prepare(per_conc=60)
    run.start()
    run.under_load()
    bed.stop_controller()
    time.sleep(60)
    bed.start_controller(bed.folder())
    assert run.end() == 0
    assert [point.status for point in run.result().points] == ["ok"]


def test_a_terminated_run_takes_its_job_along(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    run.child.send_signal(signal.SIGTERM)
    assert run.end() == 130


def test_the_job_of_a_killed_run_is_swept_by_its_id(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    job, others = run.slurm_id(), submit("--partition=racka", "--nodes=1")
    run.child.kill()
    run.child.wait()
    words = ("--run-id", run.id, "--cluster", run.cluster, "--recipes", run.recipes, "--out", run.results)
    lines = run.pipeline("sweep", *words)
    assert f"Slurm job {job} " in lines
    assert state(others) == "RUNNING"
    output("scancel", others)


def test_the_job_of_a_killed_run_ends_by_itself(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    run.child.kill()
    run.child.wait()
    end = time.monotonic() + site.PATIENCE_S
    while f"rackbench:{run.id}:" in output("squeue", "-h", "-o", "%k"):
        assert time.monotonic() < end
        time.sleep(0.5)
    words = ("--run-id", run.id, "--cluster", run.cluster, "--recipes", run.recipes, "--out", run.results)
    run.pipeline("sweep", *words)  # what is left is a folder


def test_one_engine_of_many_that_exits_with_9_ends_the_launch_with_its_words(run):
    run.prepare()
    own = 'if [[ $RACKBENCH_PROCESS == decode-1-0 ]]; then echo "cannot allocate this"; exit 9; fi\n'
    site.make_image(python3=own + site.PYTHON)
    run.start()
    assert run.end() == 5
    found = failure(run)
    assert found.kind == "engine-died"
    assert "decode-1-0 on gb06 exited with 9" in found.what
    assert "cannot allocate this" in found.what


def test_an_engine_killed_for_its_memory_is_classified(run):
    run.prepare()
    own = (
        "if [[ $RACKBENCH_PROCESS == decode-1-0 ]]; then"
        ' echo "slurmstepd: error: Detected 1 oom_kill event"; kill -9 $$; fi\n'
    )
    site.make_image(python3=own + site.PYTHON)
    run.start()
    assert run.end() == 5
    assert (failure(run).kind, failure(run).retryable) == ("out-of-memory", False)


def test_an_engine_killed_under_load_refuses_the_point(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    run.kill("decode-0-0")
    assert run.end() == 6
    assert "decode-0-0 on gb04 was killed by signal 9" in reasons(run)


def test_two_runs_of_one_job_do_not_share_a_deployment(run):
    run.prepare(per_conc=20)
    run.start()
    run.up()
    words = ("run", run.plan, "--job", run.job, "--out", run.folder / "other", "--run-id", run.id)
    run.pipeline(*words, "--recipes", run.recipes, code=5)
    assert run.end() == 0
    assert [point.status for point in run.result().points] == ["ok"]


def test_results_that_find_no_space_end_the_run_and_its_job(run):
    run.prepare()
    run.results = run.folder / "small"
    run.results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(run.results)], check=True)
    try:
        run.start()
        assert run.end() == 9
        assert "No space left on device" in run.stderr()
        nothing_is_left(run.id)
    finally:
        subprocess.run(["umount", str(run.results)], check=True)


def test_a_preempted_job_refuses_the_point_and_does_not_start_again(run):
    run.prepare(per_conc=40)
    run.start()
    run.under_load()
    job = run.slurm_id()
    other = submit("--partition=urgent", "--nodes=36", "--exclusive")
    assert run.end() == 6
    output("scancel", other)
    assert f"job {job} was preempted" in reasons(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"partition": "none"}, "invalid partition"),
        ({"work_dir": None}, "site.work_dir"),
        ({"work_dir": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
    ids=["partition", "work_dir", "folder"],
)
def test_a_site_that_is_described_wrongly_is_refused_with_the_field_or_the_words_of_slurm(run, change, said):
    run.prepare()
    plan = json.loads(run.plan.read_text())
    plan["cluster"]["site"] |= change
    run.plan.write_text(json.dumps(plan))
    before = submitted()
    run.start()
    assert run.end() == (9 if said == "/nowhere/at/all" else 5)
    found = failure(run)
    assert said in f"{found.what} {found.where}"
    assert submitted() == before
