"""The publisher as its workflow runs it, killed wherever it hurts: the next one finishes, nothing is lost and nothing is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import store
from tests.fakes import results

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports/gb300-vs-gb200"
# Kills the publisher when its push to a branch arrives: before it is taken (pre-receive, and then it is not), or after (post-receive).
HOOK = """\
#!/bin/sh
read old new ref
if [ -e "{flag}" ] && [ "$ref" = "refs/heads/{branch}" ]; then
  rm "{flag}"
  kill -9 "$(cat "{pid}")"
  exit 1
fi
"""


class Publisher:
    """One run of publish.yml: its own checkout and folders, the remote shared."""

    def __init__(self, folder: Path, bare: Path, run_id: str) -> None:
        self.folder, self.run_id = folder, run_id
        folder.mkdir()
        git(folder, "init", "--quiet", ".")
        git(folder, "remote", "add", "origin", str(bare))
        for name in ("1p1d-dep4-dep8", "2p1d-dep4-dep8"):
            results.folder(folder / "artifacts", results.record(results.recipe(name), run=run_id))

    def step(self, *words: str) -> int:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_RUN_ID": self.run_id, "GITHUB_RUN_ATTEMPT": "1"}
        argv = ["sh", "-c", 'echo $$ > pid; exec "$@"', "sh", sys.executable, "-m", "pipeline", *words]
        return subprocess.run(
            argv, cwd=self.folder, env=env, check=False, capture_output=True, timeout=600
        ).returncode

    def run(self) -> bool:
        """All steps, up to the first that fails, as a job does."""
        steps = (
            ("sync", "--branch", "history", "--history", "history"),
            ("ingest", "artifacts", "--history", "history"),
            ("sync", "--branch", "history", "--history", "history"),
            ("sync", "--branch", "gh-pages", "--history", "site"),
            ("publish", str(REPORT), "--to", "pages", "--site", "site"),
            ("sync", "--branch", "gh-pages", "--history", "site"),
        )
        return all(self.step(*words) == 0 for words in steps)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def bare(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path / "remote.git"


def branch(bare: Path, name: str, into: Path) -> Path:
    git(bare, "worktree", "add", "--quiet", "--detach", str(into), name)
    return into


def pages(site: Path) -> list[str]:
    return sorted(path.name for path in (site / "pages").iterdir())


def assert_whole(bare: Path, folder: Path, *runs: str) -> None:
    """Each run's two jobs are in history once, each run has one page, and index and feed name them all."""
    history, site = (
        branch(bare, "history", folder / "seen-history"),
        branch(bare, "gh-pages", folder / "seen-site"),
    )
    found = [(row.run[0], row.record.job.id, row.conc) for row in store.rows(str(history))]
    assert len(found) == len(set(found)) == len(runs) * 2 * len(results.CONCS)
    assert pages(site) == [f"{run}-1-gb300-vs-gb200" for run in runs]
    index, feed = (site / "index.html").read_text(), (site / "feed.xml").read_text()
    assert all(index.count(f'"pages/{run}-1-gb300-vs-gb200/"') == 1 for run in runs)
    assert feed.count("<entry>") == len(runs)
    assert json.loads((site / "badge.json").read_text())["message"] == "unknown (simulated)"


@pytest.mark.parametrize("hook", ["pre-receive", "post-receive"])
@pytest.mark.parametrize("killed_at", ["history", "gh-pages"])
def test_a_publisher_that_is_killed_is_finished_by_the_next(bare, tmp_path, hook, killed_at):
    first, flag = Publisher(tmp_path / "first", bare, "101"), tmp_path / "flag"
    flag.touch()
    script = bare / "hooks" / hook
    script.write_text(HOOK.format(flag=flag, branch=killed_at, pid=tmp_path / "first" / "pid"))
    script.chmod(0o755)
    assert not first.run()
    assert not flag.exists()
    again = Publisher(
        tmp_path / "again", bare, "101"
    )  # another machine: nothing of the first is here but what it pushed
    assert again.run()
    assert_whole(bare, tmp_path, "101")


def test_a_publisher_that_is_killed_between_history_and_pages_is_finished_by_the_next_night(bare, tmp_path):
    first = Publisher(tmp_path / "first", bare, "101")
    assert first.step("ingest", "artifacts", "--history", "history") == 0
    assert first.step("sync", "--branch", "history", "--history", "history") == 0
    assert Publisher(tmp_path / "next", bare, "102").run()
    assert first.run()
    assert_whole(bare, tmp_path, "101", "102")


def test_two_nights_that_end_together_are_both_published(bare, tmp_path):
    nights = [Publisher(tmp_path / run, bare, run) for run in ("101", "102")]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(Publisher.run, nights)) == [True, True]
    assert_whole(bare, tmp_path, "101", "102")
