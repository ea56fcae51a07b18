"""Folders that go with the process that works in them, or with the next one."""

from __future__ import annotations

import errno
import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.edge.scratch import scratch, sole
from pipeline.errors import FileError, PipelineError


def test_a_scratch_folder_is_gone_at_the_end_whatever_the_end(tmp_path):
    with scratch(tmp_path / "out", ".fetch-") as folder:
        (folder / "half").write_text("x")
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "out", ".fetch-"):
        raise KeyboardInterrupt
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_left_behind_is_swept_and_what_is_in_use_or_not_ours_is_not(tmp_path):
    for name in ("w-left/tree", "w-locked", "x-other", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "w-left/tree/file").write_text("x")
    (tmp_path / "w-locked/lock").touch()  # by a process that has ended
    (tmp_path / "w-file").touch()
    (tmp_path / "w-link").symlink_to("elsewhere")
    with scratch(tmp_path, "w-") as first, scratch(tmp_path, "w-") as second:
        assert first != second
        assert {path.name for path in tmp_path.iterdir()} == {
            "w-file",
            "w-link",
            "x-other",
            "elsewhere",
            first.name,
            second.name,
        }
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_many_at_once_never_sweep_one_another(tmp_path):
    def work(number: int) -> bool:
        with scratch(tmp_path, "w-") as folder:
            (folder / "mine").write_text(str(number))
            return (folder / "mine").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FileError, match=r"cannot create .*/file: File exists"),
        scratch(tmp_path / "file", "w-"),
    ):
        pass


def test_a_folder_of_a_name_has_one_owner_at_a_time(tmp_path):
    mine = tmp_path / "mine"
    with sole(mine) as is_ours:
        assert is_ours
        (mine / "half").write_text("x")
        with sole(mine) as is_also_theirs:
            assert not is_also_theirs
        assert (mine / "half").read_text() == "x"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), sole(mine):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_owner_left_goes_first(tmp_path):
    mine = tmp_path / "mine"
    (mine / "raw").mkdir(parents=True)
    (mine / "raw/half").touch()
    (mine / "link").symlink_to(tmp_path)
    (mine / "lock").touch()
    with sole(mine) as is_ours:
        assert is_ours
        assert [path.name for path in mine.iterdir()] == ["lock"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_of_that_name_is_refused_and_not_followed(tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").touch()
    (tmp_path / "mine").symlink_to(target)
    with pytest.raises(PipelineError, match="not a folder of this user") as caught, sole(tmp_path / "mine"):
        pass
    assert caught.value.where == str(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["precious"]


def test_a_lock_that_a_rival_makes_in_a_folder_that_is_going_does_not_keep_it(tmp_path, monkeypatch):
    remove, removed = shutil.rmtree, []

    def rmtree(path, **options) -> None:
        remove(path, **options)
        if not removed:  # whoever had just resolved the path opens the lock
            path.mkdir()
            (path / "lock").touch()
        removed.append(path)

    with sole(tmp_path / "mine"):
        monkeypatch.setattr(shutil, "rmtree", rmtree)
    assert removed
    assert list(tmp_path.iterdir()) == []


def test_owners_in_a_hurry_never_share_a_folder(tmp_path):
    mine = tmp_path / "mine"

    def work(number: int) -> bool:
        with sole(mine) as is_ours:
            if is_ours:
                (mine / f"{number}").touch()
                return {path.name for path in mine.iterdir()} == {"lock", f"{number}"}
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(2000)))
    assert list(tmp_path.iterdir()) == []


def test_without_locks_a_folder_is_somebodys_as_long_as_it_is_there(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with sole(tmp_path / "mine") as is_ours, sole(tmp_path / "mine") as is_also_theirs:
        assert (is_ours, is_also_theirs) == (True, False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_name_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FileError, match=r"cannot create .*/file/mine: Not a directory"),
        sole(tmp_path / "file" / "mine"),
    ):
        pass
