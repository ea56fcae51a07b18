"""Files are written completely or not at all, and a failure states what, where and only a cause that is known."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler

import pytest

from pipeline.edge import files
from pipeline.edge.actions import set_outputs
from pipeline.edge.clock import SystemClock
from pipeline.errors import ArtifactError, FileError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_and_its_folders_are_created_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    files.write(path, "one")
    files.write(path, b"two")
    files.copy(path, tmp_path / "other" / "b.txt")
    assert (path.read_text(), names(path.parent)) == ("two", ["a.txt"])
    assert (tmp_path / "other" / "b.txt").read_text() == "two"
    assert files.sha256_of_file(path) == files.sha256(b"two")


def test_a_block_that_fails_leaves_the_former_file(tmp_path):
    files.write(tmp_path / "a", "former")

    def fails() -> None:
        with files.replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match=r"cannot write .*/a: No space left on device") as caught:
        fails()
    assert (caught.value.exit_code, caught.value.hint) == (9, "free some space")
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("former", ["a"])


def test_of_many_writers_of_one_name_one_creates_the_file(tmp_path):
    def create(number: int) -> bool:
        with files.creating(tmp_path / "new" / "a", str(number).encode()) as claim:
            return claim()

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(100)))
    assert sum(created) == 1
    assert (tmp_path / "new" / "a").read_text() == str(created.index(True))
    assert names(tmp_path / "new") == ["a"]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with files.new_folder(tmp_path / "done") as temporary:
        (temporary / "a").touch()
        assert [name[0] for name in names(tmp_path)] == ["."]
    assert (names(tmp_path), names(tmp_path / "done")) == (["done"], ["a"])
    with (
        pytest.raises(FileError, match=r"cannot write .*/done: Directory not empty") as caught,
        files.new_folder(tmp_path / "done", hint="move it") as temporary,
    ):
        (temporary / "b").touch()
    assert caught.value.hint == "move it"
    assert (names(tmp_path), names(tmp_path / "done")) == (["done"], ["a"])


@pytest.mark.parametrize(("number", "is_error"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_filesystem_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch, number, is_error):
    def refuse(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if is_error:
        with pytest.raises(FileError, match=r"cannot write .*/a: "):
            files.write(tmp_path / "a", "x")
        assert names(tmp_path) == []
    else:
        files.write(tmp_path / "a", "x")
        assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["missing", "link", "folder", "large"])
def test_a_file_of_an_unknown_author_is_a_small_regular_file(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(ArtifactError, match="not a regular file of at most 1 MiB"):
        files.read_regular(path, max_bytes=1 << 20)


def test_a_file_error_survives_the_way_between_processes(tmp_path):
    with pytest.raises(FileError) as caught:
        files.read(tmp_path / "nowhere")
    again = ForkingPickler.loads(ForkingPickler.dumps(caught.value))
    assert str(again) == str(caught.value) == f"cannot read {tmp_path}/nowhere: No such file or directory"
    assert again.exit_code == 9
    assert (
        ForkingPickler.loads(ForkingPickler.dumps(SystemClock())).now().tzinfo
    )  # a task of calibrate carries it


def test_outputs_of_a_step_are_appended_and_cannot_add_others(tmp_path):
    path = tmp_path / "outputs"
    path.write_text("other=1\n")
    set_outputs(path, {"count": "2", "text": "a\nmatrix=[]"})
    lines = path.read_text().splitlines()
    assert lines[:2] == ["other=1", "count=2"]
    name, delimiter = lines[2].split("<<")
    assert (name, lines[3:]) == ("text", ["a", "matrix=[]", delimiter])
    with pytest.raises(ValueError, match="not the name of a step output"):
        set_outputs(path, {"a\nb": "1"})
    with pytest.raises(FileError, match=r"cannot write \$GITHUB_OUTPUT .*: Is a directory"):
        set_outputs(tmp_path, {"count": "2"})
