"""The whole way as a user walks it: real commands, real Dynamo, in virtual time."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.calibrate.fitting import PASS_TOKENS
from pipeline.calibrate.points import COLUMNS
from pipeline.edge.scratch import sole
from pipeline.schema.timing import Timing

ROOT = Path(__file__).parents[2]
ONE = "deepseek-v4-pro-fp4.gb200-nvl72.8k1k.1p1d-dep8-tp8"  # ten requests: the smallest recipe
SIX = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.6p1d-dep4-dep8"
FOUR = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.4p1d-dep4-dep8"


class Place:
    """A folder with a copy of the recipes, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "recipes", folder / "recipes")

    def run(self, *words: str | Path, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        argv = [sys.executable, "-m", "pipeline", *map(str, words)]
        done = subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == code, (
            f"{' '.join(argv)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def plan(self, select: str) -> Path:
        self.run("plan", "--cluster", "laptop", "--select", select, "--out", "plan.json")
        return self.folder / "plan.json"

    def measure(self, run_id: str, *words: str) -> Path:
        self.run("run", "plan.json", "--out", f"results-{run_id}", "--run-id", run_id, *words)
        return self.folder / f"results-{run_id}"


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def result(folder: Path, run_id: str, recipe: str = ONE) -> dict:
    return json.loads((folder / f"bench-{run_id}-1-{recipe}" / "results.json").read_text())


def test_from_recipe_to_page_and_back_to_the_raw_file(place):
    place.plan("*.1p1d-dep8-tp8")
    results = place.measure("101")
    point = result(results, "101")["points"][0]
    assert point["completed"] == point["requests"] == 10
    assert (point["status"], point["not_evaluated"]) == (
        "ok",
        [],
    )  # there is nobody to ask in virtual time, and nothing to ask for
    timing = Timing.from_json((ROOT / "recipes/timing/deepseek-v4-pro-fp4.json").read_bytes(), where="")
    fitted = next(one for one in timing.errors if (one.recipe, one.conc) == (ONE, 1))
    assert point["total_tok_s_gpu"] == pytest.approx(fitted.fitted_total_tok_s_gpu, rel=0.001)
    assert point["total_tok_s_gpu"] == pytest.approx(32.8, rel=0.06)  # published, of ten requests
    place.run("ingest", results, "--history", "history")
    place.run("report", ROOT / "reports/gb300-vs-gb200.yaml", "--history", "history", "--out", "report")
    page = (place.folder / "report/README.md").read_text()
    assert "33." in page
    (row,) = json.loads(
        place.run(
            "query", "select folder, total_tok_s_gpu from points", "--history", "history", "--json"
        ).stdout
    )
    assert row["total_tok_s_gpu"] == point["total_tok_s_gpu"]
    assert row["folder"] in page
    raw = results / row["folder"] / point["raw"][0]["path"]
    packed = raw.read_bytes()
    assert hashlib.sha256(packed).hexdigest() == point["raw"][0]["sha256"]
    assert point["raw"][0]["sha256"][:12] in page
    requests = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert (
        sum(one["input_length"] + one["output_length"] for one in requests)
        == point["input_tokens"] + point["output_tokens"]
    )
    assert point["duration_s"] - point["overhead_s"] == pytest.approx(
        max(one["terminal_time_ms"] for one in requests) / 1000
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_lengths(place):
    place.plan("*.1p1d-dep8-tp8")
    first, again = result(place.measure("1"), "1"), result(place.measure("2"), "2")
    other = result(place.measure("3", "--seed", "7"), "3")
    assert first == again
    assert first["points"][0]["input_tokens"] != other["points"][0]["input_tokens"]


def test_a_second_night_gives_a_diff_with_the_changed_field_named(place):
    base = place.folder / "recipes/_base.yaml"
    base.write_text(
        base.read_text().replace("requests_per_conc: 10", "requests_per_conc: 4")
    )  # a steady state, in half the time
    place.plan("*[46]p1d-dep4-dep8")
    before = place.measure("1")
    shared = place.folder / "recipes/deepseek-v4-pro-fp4/gb300-nvl72/8k1k/_dep4-dep8.yaml"
    text = shared.read_text().replace(
        "max-num-batched-tokens: null", "max-num-batched-tokens: null, max-num-seqs: 256"
    )
    shared.write_text(text)
    place.plan("*[46]p1d-dep4-dep8")
    after = place.measure("2")
    place.run("ingest", before, after, "--history", "history")
    gated = place.run(
        "report",
        ROOT / "reports/gb300-vs-gb200.yaml",
        "--history",
        "history",
        "--out",
        "report",
        "--gate",
        code=20,
    )
    assert "decode.flags.max-num-seqs" in gated.stderr
    slower = (
        result(after, "2", SIX)["points"][0]["total_tok_s_gpu"]
        / result(before, "1", SIX)["points"][0]["total_tok_s_gpu"]
        - 1
    )
    same = (
        result(after, "2", FOUR)["points"][0]["total_tok_s_gpu"]
        / result(before, "1", FOUR)["points"][0]["total_tok_s_gpu"]
        - 1
    )
    assert slower == pytest.approx(
        -0.17, abs=0.03
    )  # -21 % at the recipe's own 10 x conc, where ramp and drain weigh less
    assert same == 0
    page = (place.folder / "report/README.md").read_text()
    changed = page[page.index("## What changed") : page.index("## Curves")]
    assert "decode.flags.max-num-seqs" in changed
    assert "512 → 256" in changed


def test_what_a_killed_run_leaves_is_never_ingested(place):
    place.plan("*.3p1d-dep8-dep8")
    results = place.folder / "results"
    argv = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        "plan.json",
        "--job",
        "deepseek-v4-pro-fp4.gb200-nvl72.8k1k.3p1d-dep8-dep8",
        "--out",
        "results",
    ]
    child = subprocess.Popen(
        argv, cwd=place.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: any(results.glob(".*/trace-*")))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert any(results.iterdir())
    refused = place.run("ingest", results, "--history", "history", code=7)
    assert "no result folder" in refused.stderr
    assert not (place.folder / "history").exists()


def test_a_terminated_run_ends_its_children_and_leaves_nothing(place):
    place.plan("*.[23]p1d-dep8-dep8")
    argv = [sys.executable, "-m", "pipeline", "run", "plan.json", "--out", "results"]
    child = subprocess.Popen(
        argv, cwd=place.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    results = place.folder / "results"
    wait_for(lambda: len(list(results.glob(".*/trace-*"))) == 2)
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=20)[1].endswith("interrupted by signal 15\n")
    assert child.returncode == 130
    assert list(results.iterdir()) == []
    assert running_in(place.folder) == []


def test_a_reader_of_prose_that_goes_away_changes_nothing_of_what_is_measured(place):
    place.plan("*.[23]p1d-dep8-dep8")
    argv = [sys.executable, "-m", "pipeline", "run", "plan.json", "--quick", "--workers", "1", "--out"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    gone, writer = os.pipe()
    os.close(gone)
    assert subprocess.run([*argv, "a"], stderr=writer, cwd=place.folder, env=env, check=False).returncode == 0
    os.close(writer)
    assert len(list((place.folder / "a").iterdir())) == 2
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *argv, "b"]
    done = subprocess.run(closed, capture_output=True, cwd=place.folder, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(list((place.folder / "b").iterdir())) == 2


def test_a_missing_extra_is_named(place):
    place.plan("*.1p1d-dep8-tp8")
    (place.folder / "shadow/dynamo").mkdir(parents=True)
    (place.folder / "shadow/dynamo/__init__.py").write_text("")
    shadow = f"{place.folder / 'shadow'}:{ROOT}"
    refused = place.run(
        "run", "plan.json", "--job", ONE, "--out", "results", "--run-id", "9", code=2, PYTHONPATH=shadow
    )
    assert "extra `simulate`" in refused.stderr
    failure = json.loads((place.folder / f"results/bench-9-1-{ONE}/error.json").read_text())
    assert "simulate" in failure["what"]
    place.run("ingest", "results", "--history", "history")
    (row,) = json.loads(
        place.run(
            "query", "select status, total_tok_s_gpu from points", "--history", "history", "--json"
        ).stdout
    )
    assert row == {"status": "failed", "total_tok_s_gpu": None}


def test_a_result_that_could_not_be_kept_is_not_measured(place):
    """A name that is taken or no name at all: said at once, not after hours on a rack."""
    place.plan("*.1p1d-dep8-tp8")
    words = ("run", "plan.json", "--job", ONE, "--out", "results", "--run-id")
    (place.folder / f"results/bench-9-1-{ONE}").mkdir(parents=True)
    shadow = place.folder / "shadow/dynamo/__init__.py"  # who imports it measures
    shadow.parent.mkdir(parents=True)
    shadow.write_text("raise SystemExit('measured')")
    env = {"PYTHONPATH": f"{place.folder / 'shadow'}:{ROOT}"}
    assert "of this name is already there" in place.run(*words, "9", code=7, **env).stderr
    assert "64 at most" in place.run(*words, "9" * 65, code=7, **env).stderr


def test_a_result_that_another_process_is_at_work_on_is_left_to_it(place):
    """The same run twice at once: whoever came second takes nothing away, neither its workplace nor its name."""
    place.plan("*.1p1d-dep8-tp8")
    words = ("run", "plan.json", "--quick", "--out", "results", "--run-id", "9")
    results = place.folder / "results"
    results.mkdir()
    workplace = results / f".bench-9-1-{ONE}"
    with sole(workplace):
        (workplace / "half").touch()
        assert (
            "another process is at work on the result of this name"
            in place.run(*words, "--job", ONE, code=7).stderr
        )
        assert "another process is at work on the result of this name" in place.run(*words, code=7).stderr
        assert [path.name for path in results.iterdir()] == [workplace.name]
        assert (workplace / "half").exists()
    place.run(*words)
    assert [path.name for path in results.iterdir()] == [workplace.name[1:]]


def test_a_kv_pool_too_small_for_a_request_is_a_measure_error(place):
    plan = place.plan("*.1p1d-dep8-tp8")
    document = json.loads(plan.read_text())
    decode = next(one for one in document["jobs"][0]["hbm"] if one["role"] == "decode")
    decode["capacity_gb"] = 128.6364  # weights and everything else fit, and half of a request
    plan.write_text(json.dumps(document))
    refused = place.run("run", "plan.json", "--job", ONE, "--out", "results", code=6)
    assert "decode has KV cache for 4608 tokens, but one request may need 9216" in refused.stderr


@pytest.mark.parametrize(("limit", "code"), [(500, 9), (7_000, 6)])
def test_a_disk_that_fills_ends_in_a_message_and_keeps_nothing_half(place, limit, code):
    """Too small for any file, so even the failure cannot be kept; then large enough for that, but not for the per-request file."""
    place.plan("*.1p1d-dep8-tp8")
    argv = [
        "prlimit",
        f"--fsize={limit}",
        sys.executable,
        "-m",
        "pipeline",
        "run",
        "plan.json",
        "--job",
        ONE,
        "--out",
        "results",
    ]
    done = subprocess.run(
        argv,
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "error: " in done.stderr
    assert "this is a bug" not in done.stderr
    assert [one for one in (place.folder / "results").iterdir() if not (one / "error.json").exists()] == []


def test_a_plan_that_cannot_be_written_says_where(place):
    refused = place.run("plan", "--cluster", "laptop", "--out", "/dev/null/plan.json", code=9)
    assert "cannot write /dev/null/plan.json: " in refused.stderr
    assert "bug" not in refused.stderr


def test_a_plan_of_nothing_says_why(place):
    refused = place.run("plan", "--cluster", "laptop", "--select", "*gb400*", "--out", "plan.json", code=4)
    assert "nothing to run" in refused.stderr
    assert not (place.folder / "plan.json").exists()
    assert (
        "did you mean `laptop`"
        in place.run("plan", "--cluster", "labtop", "--out", "plan.json", code=4).stderr
    )


def test_since_selects_what_a_change_affects(place):
    def git(*words: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *words], cwd=place.folder, check=True, capture_output=True)

    git("init", "-q")
    git("add", "recipes")
    git("commit", "-qm", "first")
    nothing = place.run("plan", "--cluster", "laptop", "--since", "HEAD", "--out", "plan.json", code=4)
    assert "unchanged since HEAD" in nothing.stderr
    base = place.folder / "recipes/deepseek-v4-pro-fp4/gb200-nvl72/_base.yaml"
    base.write_text(base.read_text().replace("NCCL_P2P_LEVEL: NVL", "NCCL_P2P_LEVEL: SYS"))
    title = place.folder / "recipes/deepseek-v4-pro-fp4/gb300-nvl72/8k1k/6p1d-dep4-dep8.yaml"
    title.write_text(title.read_text().replace("title: GB300", "title: A GB300"))
    place.run("plan", "--cluster", "laptop", "--since", "HEAD", "--out", "plan.json")
    planned = [job["id"] for job in json.loads((place.folder / "plan.json").read_text())["jobs"]]
    assert len(planned) == 5
    assert all("gb200" in one for one in planned)
    skus = place.folder / "recipes/skus.yaml"
    skus.write_text(skus.read_text().replace("hbm_usable_mib: 284208", "hbm_usable_mib: 284207"))
    place.run("plan", "--cluster", "laptop", "--since", "HEAD", "--out", "plan.json")
    assert len(json.loads((place.folder / "plan.json").read_text())["jobs"]) == 11
    assert (
        "git does not know 'nowhere'"
        in place.run("plan", "--cluster", "laptop", "--since", "nowhere", "--out", "plan.json", code=4).stderr
    )


def test_a_worker_kind_that_was_never_calibrated_is_refused_by_name(place):
    folder = place.folder / "recipes/deepseek-v4-pro-fp4/gb300-nvl72/8k1k"
    head = "extends: [_dep4-dep8]\ntitle: wider decode\nsource: ours\n"
    (folder / "2p1d-dep4-dep12.yaml").write_text(head + "prefill: {workers: 2}\ndecode: {dp: 12, ep: 12}\n")
    refused = place.run("plan", "--cluster", "laptop", "--select", "*dep12", "--out", "plan.json", code=4)
    assert "no timing for decode workers DEP12 on gb300-nvl72" in refused.stderr


def test_what_history_has_is_skipped_on_demand(place):
    place.plan("*.1p1d-dep8-tp8")
    quick = place.measure("0", "--quick")
    place.run("ingest", quick, "--history", "history")
    place.run(
        "plan",
        "--cluster",
        "laptop",
        "--select",
        "*.1p1d-dep8-tp8",
        "--skip-measured",
        "history",
        "--out",
        "p.json",
    )
    results = place.measure("1")
    place.run("ingest", results, "--history", "history")
    refused = place.run(
        "plan",
        "--cluster",
        "laptop",
        "--select",
        "*.1p1d-dep8-tp8",
        "--skip-measured",
        "history",
        "--out",
        "p.json",
        code=4,
    )
    assert "measured already" in refused.stderr
    place.run("retract", "1", "--reason", "a trial", "--history", "history")
    place.run(
        "plan",
        "--cluster",
        "laptop",
        "--select",
        "*.1p1d-dep8-tp8",
        "--skip-measured",
        "history",
        "--out",
        "p.json",
    )


def wait_for(is_true, limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def running_in(folder: Path) -> list[str]:
    """Processes whose working directory is ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder.resolve():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_calibrate_fits_points_with_their_ttft_and_its_timing_simulates_them(place):
    """The whole flow, with a surrogate in processes, replays and leave-one-out."""
    concs = (1, 8, 16)
    path = place.folder / "recipes/deepseek-v4-pro-fp4/gb200-nvl72/8k1k/1p1d-dep8-tp8.yaml"
    path.write_text(path.read_text().replace("conc: [1]", f"conc: {list(concs)}"))
    given = {1: (33.0, 13.3, 663), 8: (240.0, 14.0, 800), 16: (430.0, 15.0, 950)}
    rows = [
        f"deepseek-v4-pro,fp4,gb200-nvl72,8192,1024,{conc},{rate},{tpot},1,1,8,8,1,8,1,1,{ttft}"
        for conc, (rate, tpot, ttft) in given.items()
    ]
    (place.folder / "points.csv").write_text("\n".join([",".join([*COLUMNS, "ttft_ms"]), *rows]) + "\n")
    told = place.run("calibrate", "points.csv", "--out", "recipes/timing/deepseek-v4-pro-fp4.json").stdout
    assert "TTFT s given" in told
    timing = Timing.from_json(
        (place.folder / "recipes/timing/deepseek-v4-pro-fp4.json").read_bytes(), where=""
    )
    assert {error.conc: error.ttft_ms for error in timing.errors} == {
        c: ttft for c, (_, _, ttft) in given.items()
    }
    assert [one.pass_tokens in PASS_TOKENS for one in timing.skus[0].prefill] == [True]
    place.plan(ONE)
    (found,) = [result(place.measure("1"), "1")]
    assert [point["conc"] for point in found["points"]] == list(concs)
    assert {point["status"] for point in found["points"]} == {"ok"}
