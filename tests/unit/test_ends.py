"""Waiting for SIGKILL is bounded: what cannot be ended is named with its state, and the others end."""

import os
import signal
import tempfile
import time

import pytest

from pipeline import collect
from pipeline.edge import processes, shell
from pipeline.edge.clients import Clients
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell, end_all
from pipeline.errors import ArtifactError, PipelineError
from pipeline.launch import local
from pipeline.schema.endpoint import scratch_prefix
from pipeline.store import branch
from tests.golden.regenerate import recipe_set


@pytest.fixture
def immortal(monkeypatch):
    """SIGKILL does nothing to the first process that it is sent to, as in state D."""
    spared: list[int] = []

    def kill(group: int, number: int) -> None:
        if number == signal.SIGKILL and group in (spared or [group]):
            spared[:] = [group]
            return
        os.killpg(group, number)

    monkeypatch.setattr(shell, "_signal_group", kill)
    monkeypatch.setattr(processes, "KILL_S", 0.3)
    return spared


def test_what_sigkill_does_not_end_is_named_and_the_others_end(immortal, tmp_path):
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    children = [Shell().spawn(["sh", "-c", stubborn], log=tmp_path / f"{number}.log") for number in (1, 2)]
    while not all((tmp_path / f"{number}.log").read_text() for number in (1, 2)):
        time.sleep(0.02)
    with pytest.raises(PipelineError, match=rf"{children[0].pid} \(state [SR]\)"):
        end_all(children, grace_s=0.1)
    assert immortal == [children[0].pid]
    assert children[1].poll() is not None
    os.killpg(children[0].pid, signal.SIGKILL)
    while children[0].poll() is None:
        time.sleep(0.02)


def test_a_sweep_of_what_cannot_be_ended_fails(monkeypatch):
    monkeypatch.setattr(processes, "KILL_S", 0.2)
    monkeypatch.setattr(processes, "_signal", lambda *_: [processes.Running(os.getpid(), {})])
    monkeypatch.setattr(processes, "marked", lambda _: [])
    with pytest.raises(PipelineError, match=rf"{os.getpid()} \(state [SR]\)"):
        processes.end({"A": "b"}, grace_s=0)


def test_a_remote_is_no_option_of_git(tmp_path):
    touched = tmp_path / "F"
    (tmp_path / "repository").mkdir()
    Shell().run(["git", "init", "--quiet"], cwd=tmp_path / "repository", timeout_s=60)
    ours = branch.Branch(tmp_path / "repository", f"--upload-pack=touch {touched}", "history", "m")
    derived = branch.Derived("pages", (), lambda _: None)
    with pytest.raises(PipelineError, match="begin with a dash"):
        branch.sync(tmp_path, ours, derived, shell=Shell(), clock=SystemClock())
    assert not touched.exists()


def test_points_that_are_a_link_are_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "id_rsa").write_text("secret")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "points").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="symbolic link"):
        branch.copy_missing(tmp_path / "tree", tmp_path / "out", ("points",))
    assert not (tmp_path / "out").exists()


def test_a_sweep_leaves_folders_of_other_users(monkeypatch, tmp_path):
    """In a shared folder for temporary files, and beside results: the names are no proof."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cluster = recipe_set().catalogue.clusters["local-live"]
    folder = tmp_path / f"{scratch_prefix('r1', None)}abc"
    working = tmp_path / ".bench-r1-1-small-fp4.x"
    for one in (folder, working):
        one.mkdir()
    clients = Clients(SystemClock(), Shell(), SystemHttp())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert local.sweep("r1", cluster, clients=clients) == [f"left {folder}: it is not a folder of this user"]
    assert collect.sweep(tmp_path, "r1") == []
    assert (folder.is_dir(), working.is_dir()) == (True, True)
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert local.sweep("r1", cluster, clients=clients) == [f"removed {folder}"]
    assert collect.sweep(tmp_path, "r1") == [working]
