"""Time and memory of what the project promises, each command as a whole process: ``nox -s bench``, ``-- --full`` with the whole nightly.

``-- live`` is another one: launches of real processes (``tests/live/bench.py``); ``-- aggregate`` too: 2,000 artifacts brought together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests import bench_aggregate


@dataclass(frozen=True)
class Figure:
    wall_s: float
    cpu_s: float
    peak_mib: float


def timed(*words: str, codes: tuple[int, ...] = (0,)) -> Figure:
    """One run of ``python -m pipeline``: wall and processor seconds of it and its children, memory of the largest process."""
    before, start = os.times(), time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall, after = time.perf_counter() - start, os.times()
    if child.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}: exit {child.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Figure(wall, cpu, usage.ru_maxrss / 1024)


def show(name: str, runs: list[Figure], bound: str) -> None:
    runs = sorted(runs, key=lambda run: run.wall_s)
    middle, low, high = runs[len(runs) // 2], runs[0], runs[-1]
    print(
        f"{name:<34} {middle.wall_s:8.2f} s [{low.wall_s:.2f}, {high.wall_s:.2f}] {middle.cpu_s:8.2f} s {middle.peak_mib:7.0f} MiB"
        f"  n={len(runs)}  {bound}",
        flush=True,
    )


def said_once() -> str:
    """How often the recipes say the same line again; the 14 published rows took 1,653 lines of which 201 were distinct upstream."""
    catalogue = ("recipes/models", "recipes/clusters", "recipes")
    files = [
        path
        for path in Path("recipes").rglob("*.yaml")
        if str(path.parent) not in catalogue or path.name == "_base.yaml"
    ]
    lines = [
        line.strip()
        for path in files
        for line in path.read_text().splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return f"recipes: {len(set(lines))} distinct of {len(lines)} lines ({len(set(lines)) / len(lines):.0%}) in {len(files)} files"


def copies(folder: Path, count: int) -> Path:
    """A recipes folder with this many recipes: those of the repository, and copies of them with other images."""
    shutil.copytree("recipes", folder)
    own = [path for path in sorted(folder.rglob("8k1k/*.yaml")) if not path.name.startswith("_")]
    for index in range(count - len(own)):
        path, number = own[index % len(own)], 100 + index
        text = f"{path.read_text()}image: copy@sha256:{number}\n"
        path.with_name(f"{path.stem}-{number}.yaml").write_text(text)
    return folder


def main(words: list[str]) -> None:
    if words[:1] == ["live"]:
        from tests.live import bench  # noqa: PLC0415  # Linux's alone

        bench.main(words[1:])
        return
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; median wall [min, max], processor, memory of the largest process"
    )
    if words[:1] == ["aggregate"]:
        bench_aggregate.main(words[1:], timed, show)
        return
    print(said_once())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plan = ("plan", "--cluster", "laptop", "--out", str(work / "plan.json"))
        show("validate", [timed("validate") for _ in range(5)], "promised: 1.5 s")
        many = ("validate", "--recipes", str(copies(work / "recipes", 300)))
        show("validate, 300 recipes", [timed(*many) for _ in range(3)], "promised: 6 s")
        show("plan", [timed(*plan) for _ in range(5)], "promised: 2 s")
        since = [
            timed(*plan, "--since", "HEAD~1", codes=(0, 4)) for _ in range(3)
        ]  # 4: that commit changed no recipe
        show("plan --since HEAD~1", since, "")
        timed(*plan)
        for name, extra, bound in (
            ("nightly --quick", ["--quick"], "promised: 60 s"),
            ("nightly", [], "promised: 360 s, 2048 MiB"),
        ):
            if not extra and "--full" not in words:
                continue
            results, history = work / f"results-{len(extra)}", work / f"history-{len(extra)}"
            steps = [timed("run", str(work / "plan.json"), "--out", str(results), *extra)]
            steps.append(timed("ingest", str(results), "--history", str(history)))
            report = (
                "report",
                "reports/gb300-vs-gb200.yaml",
                "--history",
                str(history),
                "--out",
                str(work / "report"),
            )
            steps.append(timed(*report))
            whole = Figure(
                *(sum(column) for column in zip(*((s.wall_s, s.cpu_s) for s in steps), strict=True)),
                max(s.peak_mib for s in steps),
            )
            show(name, [whole], bound)
            show("  of which report", steps[-1:], "")


if __name__ == "__main__":
    main(sys.argv[1:])
