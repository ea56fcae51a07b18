"""sync: a folder that only grows and a branch, with real git; whoever pushes at the same time, nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.edge import processes
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, PipelineError
from pipeline.flow import syncing
from pipeline.flow.context import Context
from pipeline.store.branch import Branch, Synced


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@t")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where syncs of this test keep their checkouts."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


@pytest.fixture
def bare(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path / "remote.git"


def clone(bare: Path, name: str) -> Path:
    git(bare.parent, "init", "--quiet", name)
    git(bare.parent / name, "remote", "add", "origin", str(bare))
    return bare.parent / name


def add(folder: Path, path: str, text: str = "x") -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    return folder / path


def sync(repository: Path, folder: Path, remote: str = "origin", **context) -> Synced:
    branch = Branch(repository, remote, "history", "Add run 7")
    ours = Context(context.get("shell", Shell()), SystemClock(), repository, http=SystemHttp)
    return syncing.sync(ours, folder, branch)


def on_branch(bare: Path) -> dict[str, str]:
    names = git(bare, "ls-tree", "-r", "--name-only", "history").splitlines()
    return {name: git(bare, "show", f"history:{name}") for name in names}


def test_the_first_push_makes_the_branch_and_the_second_folder_gets_it(bare, tmp_path):
    add(tmp_path / "h1", "points/date=2026-11-25/1-1.parquet", "one")
    assert sync(clone(bare, "a"), tmp_path / "h1").pushed == ("points/date=2026-11-25/1-1.parquet",)
    done = sync(clone(bare, "b"), tmp_path / "h2")
    assert (done.pulled, done.pushed) == (("points/date=2026-11-25/1-1.parquet",), ())
    assert (tmp_path / "h2/points/date=2026-11-25/1-1.parquet").read_text() == "one"


def test_a_second_time_changes_nothing(bare, tmp_path):
    add(tmp_path / "h", "points/a.parquet")
    sync(clone(bare, "a"), tmp_path / "h")
    tip = git(bare, "rev-parse", "history")
    done = sync(tmp_path / "a", tmp_path / "h")
    assert (done.pulled, done.pushed) == ((), ())
    assert git(bare, "rev-parse", "history") == tip


def test_nothing_to_sync_makes_no_branch(bare, tmp_path):
    done = sync(clone(bare, "a"), tmp_path / "none")
    assert (done.pulled, done.pushed) == ((), ())
    assert git(bare, "branch") == ""


def test_only_growing_files_go(bare, tmp_path):
    for path in (
        "points/a.parquet",
        "tombstones/1.json",
        "secrets.txt",
        "points/.a.parquet.0123",
        ".github/x.json",
    ):
        add(tmp_path / "h", path)
    (tmp_path / "h/points/link").symlink_to("/etc/hostname")
    sync(clone(bare, "a"), tmp_path / "h")
    assert sorted(on_branch(bare)) == ["points/a.parquet", "tombstones/1.json"]


def test_other_content_of_one_name_is_refused_and_both_stay(bare, tmp_path):
    add(tmp_path / "h1", "points/1-1.parquet", "theirs")
    sync(clone(bare, "a"), tmp_path / "h1")
    ours = add(tmp_path / "h2", "points/1-1.parquet", "ours")
    add(tmp_path / "h2", "points/2-1.parquet", "new")
    with pytest.raises(ArtifactError, match="other content on the branch") as caught:
        sync(clone(bare, "b"), tmp_path / "h2")
    assert caught.value.exit_code == 7
    assert ours.read_text() == "ours"
    assert on_branch(bare) == {"points/1-1.parquet": "theirs"}


def test_nights_that_end_together_lose_nothing_and_double_nothing(bare, tmp_path):
    repositories = [clone(bare, f"c{n}") for n in range(4)]
    for n in range(4):
        add(tmp_path / f"h{n}", f"points/{n}-1.parquet", str(n))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(sync, repositories, [tmp_path / f"h{n}" for n in range(4)]))
    assert [one.pushed for one in done] == [(f"points/{n}-1.parquet",) for n in range(4)]
    assert on_branch(bare) == {f"points/{n}-1.parquet": str(n) for n in range(4)}
    assert git(bare, "rev-list", "--count", "history") == "5"  # the empty root, and one commit a night


class PushedFirst(Shell):
    """Somebody else pushes just before each of our first ``times`` pushes."""

    def __init__(self, times: int, other) -> None:
        self.times, self.other = times, other

    def run(self, argv, **how):
        if "push" in argv and self.times:
            self.times -= 1
            self.other(self.times)
        return super().run(argv, **how)


def test_who_is_overtaken_takes_what_came_and_pushes_again(bare, tmp_path):
    other = clone(bare, "other")

    def overtake(n: int) -> None:
        add(tmp_path / "theirs", f"points/their-{n}.parquet")
        sync(other, tmp_path / "theirs")

    add(tmp_path / "ours", "points/ours.parquet")
    done = sync(clone(bare, "a"), tmp_path / "ours", shell=PushedFirst(2, overtake))
    assert done.pulled == ("points/their-0.parquet", "points/their-1.parquet")
    assert sorted(on_branch(bare)) == [
        "points/ours.parquet",
        "points/their-0.parquet",
        "points/their-1.parquet",
    ]


def test_a_push_that_is_forbidden_is_an_error_and_not_tried_for_ever(bare, tmp_path):
    hook = add(bare, "hooks/pre-receive", "#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    add(tmp_path / "h", "points/a.parquet")
    with pytest.raises(PipelineError, match=r"rejected|declined|failed to push") as caught:
        sync(clone(bare, "a"), tmp_path / "h")
    assert "nothing is lost" in caught.value.hint


def test_an_unknown_remote_is_an_error_without_its_password(bare, tmp_path):
    with pytest.raises(PipelineError) as caught:
        sync(clone(bare, "a"), tmp_path / "h", remote="https://me:secret@127.0.0.1:9/x.git")
    assert "https://127.0.0.1:9/x.git" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_nothing_is_left_beside_the_repository(bare, tmp_path):
    add(tmp_path / "h", "points/a.parquet")
    repository = clone(bare, "a")
    sync(repository, tmp_path / "h")
    assert git(repository, "worktree", "list").count("\n") == 0
    assert git(repository, "status", "--porcelain") == ""


@pytest.fixture
def at_work(bare, tmp_path, temporary):
    """A sync in a process of its own, from the repository ``a``, while the remote does not answer its push."""
    hook = add(
        bare, "hooks/pre-receive", f"#!/bin/sh\nmkdir {tmp_path}/held 2>/dev/null || exit 0\nexec sleep 600\n"
    )
    hook.chmod(0o755)
    add(tmp_path / "h1", "points/1-1.parquet")
    mark = {"RACKBENCH_TEST": str(tmp_path)}
    argv = [
        sys.executable,
        "-m",
        "pipeline",
        "sync",
        "--history",
        str(tmp_path / "h1"),
        "--repository",
        str(clone(bare, "a")),
    ]
    env = {**os.environ, **mark, "TMPDIR": str(temporary)}
    with subprocess.Popen(argv, env=env, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as child:
        try:
            while not (tmp_path / "held").exists():
                assert child.poll() is None
                time.sleep(0.05)
            yield child
        finally:
            child.kill()
            processes.end(mark, grace_s=0)


def checkouts(repository: Path) -> int:
    return git(repository, "worktree", "list").count("\n")


def test_what_a_killed_sync_left_goes_with_the_next_one(bare, tmp_path, temporary, at_work):
    at_work.send_signal(signal.SIGKILL)
    assert at_work.wait(600) == -signal.SIGKILL
    (left,) = temporary.iterdir()
    assert (left / "tree/points/1-1.parquet").exists()
    assert checkouts(tmp_path / "a") == 1
    sync(tmp_path / "a", tmp_path / "h1")
    assert list(temporary.iterdir()) == []
    assert checkouts(tmp_path / "a") == 0
    assert sorted(on_branch(bare)) == ["points/1-1.parquet"]


def test_a_sync_leaves_alone_what_another_is_at_work_in(bare, tmp_path, temporary, at_work):
    (used,) = temporary.iterdir()
    add(tmp_path / "h2", "points/2-1.parquet")
    assert sync(tmp_path / "a", tmp_path / "h2").pushed == ("points/2-1.parquet",)
    assert list(temporary.iterdir()) == [used]
    assert checkouts(tmp_path / "a") == 1
    assert at_work.poll() is None
