"""Commands that only a terminal or a checkout shows."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.e2e.test_spine import ONE, ROOT, Place


def test_progress_is_drawn_on_a_terminal_and_ends_with_a_line_a_job(tmp_path):
    place = Place(tmp_path)
    place.plan("*.1p1d-dep8-tp8")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "pipeline", "run", "plan.json", "--out", "results"]
    child = subprocess.Popen(
        argv,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=theirs,
        stdout=subprocess.DEVNULL,
    )
    os.close(theirs)
    drawn = read_all(ours)
    assert child.wait() == 0
    assert "\x1b[K" in drawn
    assert f"0/1 · {ONE}" in drawn
    assert f"1/1 · ok     {ONE}" in drawn.splitlines()[-1]


def test_every_recipe_of_the_repository_is_valid_and_pinned_by_its_schema():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "validate"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert (
        subprocess.run(
            [sys.executable, "-m", "pipeline", "schema", "--check"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )


def test_nothing_is_said_twice_in_the_recipes():
    lines = [
        line.strip()
        for path in sorted(Path(ROOT, "recipes/deepseek-v4-pro-fp4").rglob("*.yaml"))
        for line in path.read_text().splitlines()
        if line.strip() and not line.strip().startswith("# yaml-language-server")
    ]
    assert len(lines) < 1653 / 5  # upstream's lines for the same deployments and three more
    assert len(set(lines)) / len(lines) > 0.85


def read_all(descriptor: int) -> str:
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except OSError:  # Linux says EIO when the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode()
