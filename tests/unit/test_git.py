"""Questions about revisions, in real repositories, and what is shown of git's messages."""

from __future__ import annotations

import subprocess

import pytest

from pipeline.edge.git import Git, error_line, without_credentials
from pipeline.edge.shell import Completed, Shell
from pipeline.errors import PlanError


def git(folder, *arguments: str) -> str:
    options = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """main: one, two; topic (checked out) left it at one."""
    (tmp_path / "recipes").mkdir()
    git(tmp_path, "init", "--quiet")
    for branch, text in (("main", "one"), ("topic", "topic"), ("main", "two")):
        git(tmp_path, "checkout", "--quiet", *(["-b", branch] if text != "two" else [branch]))
        (tmp_path / "recipes/a.yaml").write_text(text)
        (tmp_path / "recipes/notes.md").write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", text)
    git(tmp_path, "checkout", "--quiet", "topic")
    return tmp_path


def test_the_merge_base_is_where_head_left_the_branch(repository):
    ours = Git(Shell(), repository / "recipes")
    base = ours.merge_base("main")
    assert base == git(repository, "rev-parse", "main~1")
    assert ours.files_at(base, (".yaml", ".json")) == {"a.yaml": "one"}


def test_a_branch_that_only_the_remote_has_is_found_there(repository):
    git(repository, "update-ref", "refs/remotes/origin/far", "main")
    assert Git(Shell(), repository).commit("far") == git(repository, "rev-parse", "main")


def test_histories_without_a_common_commit_are_compared_with_the_tip(repository):
    alone = git(repository, "commit-tree", git(repository, "rev-parse", "main^{tree}"), "-m", "alone")
    assert Git(Shell(), repository).merge_base(alone) == alone


def test_an_unknown_revision_is_a_plan_error_with_advice(repository):
    with pytest.raises(PlanError, match="does not know 'nowhere'") as caught:
        Git(Shell(), repository).commit("nowhere")
    assert "origin" in caught.value.hint


def test_head_says_whether_the_folder_differs_from_its_commit(repository, tmp_path_factory):
    assert Git(Shell(), repository / "recipes").head() == (git(repository, "rev-parse", "HEAD"), False)
    (repository / "recipes/a.yaml").write_text("edited")
    assert Git(Shell(), repository / "recipes").head()[1]
    assert Git(Shell(), tmp_path_factory.mktemp("plain")).head() == (None, False)


def test_the_line_that_says_what_failed_is_shown_without_credentials():
    said = "hint: a\nfatal: unable to access 'https://me:key@host/x.git'\nbye"
    assert error_line(Completed(128, "", said)) == "fatal: unable to access 'https://host/x.git'"
    assert error_line(Completed(1, "", "")) == "exit code 1"
    assert without_credentials("git@host:x.git https://a:b@host/x") == "git@host:x.git https://host/x"
