"""Commands that only a terminal or a checkout shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.e2e.test_spine import ONE, ROOT, Place


def test_progress_fits_the_terminal_and_ends_with_the_counts(tmp_path):
    place = Place(tmp_path)
    place.plan("*.1p1d-dep8-tp8")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    argv = [sys.executable, "-m", "pipeline", "run", "plan.json", "--out", "results"]
    child = subprocess.Popen(
        argv,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.DEVNULL,
    )
    os.close(theirs)
    drawn = read_all(ours)
    assert child.wait() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert f"0/1 {ONE[:10]}" in plain
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 60
    assert plain.strip().splitlines()[-1].endswith("1/1 · 1 ok, 0 failed")


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
