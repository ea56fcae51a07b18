"""What contributors are told: hooks at the locked versions, every session documented, a changelog that a release can use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pipeline import __version__

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
LOCK = (ROOT / ".github/requirements/lint.txt").read_text("utf-8")
LOCKED = {
    name.lower(): set(re.findall(rf"^{name}==([^ ]+)", LOCK, re.MULTILINE))
    for name in re.findall(r"^([\w-]+)==", LOCK, re.MULTILINE)
}
DEPENDENCIES = [
    dependency
    for repo in HOOKS["repos"]
    for hook in repo["hooks"]
    for dependency in hook.get("additional_dependencies", [])
]


@pytest.mark.parametrize("tool", ["ruff", "mypy", "check-jsonschema"])
def test_a_hook_repository_has_the_revision_of_the_locked_tool(tool):
    (revision,) = (repo["rev"] for repo in HOOKS["repos"] if tool in repo["repo"])
    assert revision.removeprefix("v") in LOCKED[tool]


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_hook_installs_the_locked_version(dependency):
    name, version = dependency.lower().split("==")
    assert version in LOCKED[name]


def test_every_yaml_document_is_validated_by_exactly_one_hook():
    patterns = [
        re.compile(hook["files"])
        for repo in HOOKS["repos"]
        for hook in repo["hooks"]
        if any(word.startswith("recipes/schema/") for word in hook.get("args", []))
    ]
    paths = [
        path.relative_to(ROOT).as_posix()
        for folder in ("recipes", "reports")
        for path in (ROOT / folder).rglob("*.yaml")
    ]
    skipped = re.compile(HOOKS["exclude"])
    assert len(paths) > 20
    assert {path: sum(bool(one.search(path)) for one in patterns) for path in paths} == dict.fromkeys(
        paths, 1
    )
    assert not [path for path in paths if skipped.search(path)]


def test_hygiene_hooks_leave_files_alone_whose_bytes_are_checked():
    skipped = re.compile(HOOKS["exclude"])
    frozen = [
        "tests/contract/frozen",
        "tests/golden/commands",
        "tests/golden/manifests",
        "tests/unit/sa_bench",
        "reports/gb300-vs-gb200",
    ]
    paths = [
        path.relative_to(ROOT).as_posix()
        for folder in frozen
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    assert len(paths) > 30
    assert not [path for path in paths if not skipped.search(path)]


def test_every_session_is_documented_for_contributors():
    sessions = set(
        re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    )
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    documented = {name.replace("-", "_") for name in re.findall(r"^\| `([\w-]+)`", page, re.MULTILINE)}
    assert len(sessions) > 10
    assert documented == sessions


def test_the_changelog_has_a_dated_section_for_this_version():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
