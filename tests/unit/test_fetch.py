"""fetch: what a run left on GitHub comes here whole, once, and nothing else does."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import cli, collect
from pipeline.edge.github import GitHub
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, GitHubError
from pipeline.fetch import unpack
from pipeline.flow import fetching
from pipeline.flow.context import Context
from tests.fakes import results
from tests.fakes.clock import FakeClock
from tests.fakes.github import serve
from tests.fakes.github.state import zipped

NAMES = ("1p1d-dep4-dep8", "2p1d-dep4-dep8", "3p1d-dep4-dep8")


@pytest.fixture
def fake():
    with serve() as fake:
        yield fake


def upload(fake, folder: Path, name: str = NAMES[0], *, attempt: int = 1, root: str = "", **changed):
    made = results.folder(folder / f"made-{attempt}", results.record(results.recipe(name), attempt=attempt))
    return fake.add_artifact(101, made.name, zipped(made, root.format(name=made.name)), **changed)


def fetch(fake, folder: Path, attempt: int | None = None) -> fetching.Fetched:
    github = GitHub(SystemHttp(), FakeClock(), fake.token, api=fake.url)
    return fetching.fetch_run(
        Context(Shell(), FakeClock(), folder, http=SystemHttp),
        fetching.FetchOptions("acme/bench", 101, attempt, folder / "out"),
        github,
    )


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "x.zip").write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        unpack(folder / "x.zip", folder / "in" / "new", where="artifact x")
    assert caught.value.exit_code == 7
    assert sorted(path.name for path in folder.iterdir() if path.name != "in") == ["x.zip"]


def test_every_result_of_a_run_comes_and_what_is_here_is_not_fetched_again(fake, tmp_path):
    for name in NAMES:
        upload(fake, tmp_path, name)
    fake.add_artifact(101, "plan", b"another kind of artifact")
    fake.add_artifact(101, f"bench-102-1-{results.recipe().id}", b"called like another run's")
    first = fetch(fake, tmp_path)
    assert (len(first.new), first.lost) == (3, [])
    assert [collect.read(path).record.job.id for path in sorted((tmp_path / "out").iterdir())] == [
        results.recipe(n).id for n in NAMES
    ]
    again = fetch(fake, tmp_path)
    assert (len(again.new), len(again.known), len(fake.blob_requests)) == (0, 3, 3)


def test_a_folder_that_was_damaged_here_is_fetched_again(fake, tmp_path):
    upload(fake, tmp_path)
    folder = fetch(fake, tmp_path).new[0]
    (folder / "results.json").write_text("{}")
    assert fetch(fake, tmp_path).new == [folder]
    assert collect.read(folder).points


def test_a_fetch_that_was_cut_short_by_a_limit_continues(fake, tmp_path):
    for name in NAMES:
        upload(fake, tmp_path, name)
    last = max(fake.artifacts)
    fake.fail(
        "GET", f"artifacts/{last}/zip", 403, headers={"Retry-After": "9000"}, body='{"message": "rate limit"}'
    )
    with pytest.raises(GitHubError, match="rate limit"):
        fetch(fake, tmp_path)
    assert len(here(tmp_path)) == 2
    done = fetch(fake, tmp_path)
    assert (len(done.new), len(done.known)) == (1, 2)
    assert all(name.startswith("bench-") for name in here(tmp_path))


def test_every_complete_attempt_of_each_job_comes(fake, tmp_path):
    upload(fake, tmp_path, NAMES[0], attempt=1)
    upload(fake, tmp_path, NAMES[0], attempt=2)
    upload(fake, tmp_path, NAMES[1], attempt=1)
    torn = results.folder(tmp_path / "torn", results.record(results.recipe(NAMES[1]), attempt=10))
    (torn / "SHA256SUMS").unlink()
    fake.add_artifact(101, torn.name, zipped(torn))
    fetched = fetch(fake, tmp_path)
    assert [path.name.split("-")[2] for path in fetched.new] == ["2", "1", "1"]
    assert fetched.lost == []


def test_an_older_attempt_comes_when_it_is_asked_for(fake, tmp_path):
    for attempt in (1, 2, 3):
        upload(fake, tmp_path, attempt=attempt)
    assert [path.name.split("-")[2] for path in fetch(fake, tmp_path, attempt=2).new] == ["2", "1"]


def test_an_artifact_that_holds_its_folder_is_its_folder(fake, tmp_path):
    upload(fake, tmp_path, root="{name}/")
    assert collect.read(fetch(fake, tmp_path).new[0]).points


@pytest.mark.parametrize("how", ["listed", "answered"])
def test_an_expired_artifact_is_lost_and_said_to_be(fake, tmp_path, how):
    upload(fake, tmp_path, NAMES[0])
    one = upload(fake, tmp_path, NAMES[1], expired=how == "listed")
    if how == "answered":
        fake.fail("GET", f"artifacts/{one.row['id']}/zip", 410)
    fetched = fetch(fake, tmp_path)
    assert len(fetched.new) == 1
    assert "expired" in str(fetched.lost[0])
    assert NAMES[1] in str(fetched.lost[0])


def test_a_zip_of_another_digest_is_lost(fake, tmp_path):
    upload(fake, tmp_path, digest=f"sha256:{'0' * 64}")
    assert "SHA-256 of the zip is not" in str(fetch(fake, tmp_path).lost[0])
    assert here(tmp_path) == []


def test_an_artifact_whose_content_is_another_job_is_lost(fake, tmp_path):
    made = results.folder(tmp_path / "made", results.record(results.recipe(NAMES[1])))
    fake.add_artifact(101, f"bench-101-1-{results.recipe(NAMES[0]).id}", zipped(made))
    assert "name is not the one" in str(fetch(fake, tmp_path).lost[0])


def test_a_truncated_zip_is_refused(tmp_path):
    whole = packed(("job.json", b"x" * 10_000), compress=zipfile.ZIP_STORED)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        refused(tmp_path, whole[:length], "not a complete zip")


def test_a_zip_with_a_damaged_byte_is_refused(tmp_path):
    whole = bytearray(packed(("job.json", b"x" * 10_000), compress=zipfile.ZIP_STORED))
    whole[5000] ^= 1
    refused(tmp_path, bytes(whole), "not a complete zip")


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "/etc/cron.d/x",
        "raw/../../up",
        "a\\..\\b",
        "C:/x",
        ".git/config",
        "raw//x",
        "a\nb",
        "./x",
        "~/x",
    ],
)
def test_a_path_that_leaves_the_folder_or_is_odd_is_refused(tmp_path, name):
    refused(tmp_path, packed(("job.json", b"{}"), (name, b"x")), "invalid path")
    assert not (tmp_path / "in").exists()


def test_a_symbolic_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("job.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(tmp_path, packed((link, b"/etc/passwd")), "is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")  # that is what is tested
def test_two_files_of_one_name_are_refused(tmp_path):
    refused(tmp_path, packed(("raw/a", b"1"), ("RAW/a", b"2")), "invalid path")
    refused(tmp_path, packed(("raw/a", b"1"), ("raw/a", b"2")), "invalid path")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    refused(tmp_path, packed(("job.json", b"\0" * (64 << 20))), "67108864 bytes in a zip of")
    assert not (tmp_path / "in").exists()


def test_a_bomb_that_lies_about_its_size_is_stopped_where_it_lies(tmp_path):
    honest = packed(("job.json", b"\0" * (32 << 20)))
    size, says = (32 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    crc = zlib.crc32(b"\0" * (32 << 20)).to_bytes(4, "little")
    assert honest.count(size) == 2
    refused(tmp_path, honest.replace(size, says), "longer than the zip states|not a complete zip")
    assert sum(path.stat().st_size for path in (tmp_path / "in").rglob("*") if path.is_file()) <= 1000
    assert honest.count(crc) == 2


def test_too_many_files_are_refused(tmp_path):
    refused(tmp_path, packed(*((f"raw/{n}", b"") for n in range(10_001))), "10001 files")


def test_what_packs_well_is_no_bomb(tmp_path):
    lines = b"".join(
        b'{"ttft_ms": %d, "status": "completed", "finish_reason": "length", "error": null}\n'
        % (n * 7919 % 1009)
        for n in range(300_000)
    )
    (tmp_path / "x.zip").write_bytes(packed(("raw/a.json", lines)))
    assert 10 < len(lines) / (tmp_path / "x.zip").stat().st_size < 100
    unpack(tmp_path / "x.zip", tmp_path / "new", where="artifact x")
    assert (tmp_path / "new/raw/a.json").read_bytes() == lines


def test_from_the_command_line(fake, tmp_path, capsys):
    upload(fake, tmp_path)
    env = {"GITHUB_API_URL": fake.url, "GH_TOKEN": fake.token}
    words = ["fetch", "--repo", "acme/bench", "--run-id", "101", "--out", str(tmp_path / "out")]
    assert cli.run(words, env) == 0
    out = capsys.readouterr()
    assert out.out == f"{tmp_path}/out/bench-101-1-{results.recipe().id}\n"
    assert "1 downloaded, 0 already in" in out.err
    assert cli.run([*words[:4], "999", *words[5:]], env) == 8
    assert "404" in capsys.readouterr().err
    fake.add_artifact(101, f"bench-101-1-{results.recipe(NAMES[2]).id}", b"torn")
    assert cli.run(words, env) == 7
    assert "1 jobs have no complete artifact" in capsys.readouterr().err
    assert cli.run(words, {"GITHUB_API_URL": "http://example.com", "GH_TOKEN": "x"}) == 2
    assert "https only" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_fetch_that_is_killed_is_continued_and_what_it_left_is_never_read(fake, tmp_path, number, code):
    held = [upload(fake, tmp_path, name) for name in NAMES][1]
    held.held = threading.Event()
    argv = [
        sys.executable,
        "-m",
        "pipeline",
        "fetch",
        "--repo",
        "acme/bench",
        "--run-id",
        "101",
        "--out",
        str(tmp_path / "out"),
    ]
    env = {**os.environ, "GITHUB_API_URL": fake.url, "GITHUB_TOKEN": fake.token}
    with subprocess.Popen(argv, env=env, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as child:
        while len(fake.blob_requests) < 2:
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(number)
        assert child.wait(600) == code
    held.held.set()
    assert len(collect.find([tmp_path / "out"])) == 1
    done = fetch(fake, tmp_path)
    assert (len(done.new), len(done.known)) == (2, 1)
    assert [collect.read(folder).record.job.id for folder in collect.find([tmp_path / "out"])] == [
        results.recipe(n).id for n in NAMES
    ]
    assert list((tmp_path / "out").glob(".fetch-*")) == []


def test_a_fetch_leaves_alone_what_another_is_at_work_in(fake, tmp_path):
    one = upload(fake, tmp_path)
    one.held = released = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, fake, tmp_path)
        while not fake.blob_requests:
            assert not first.done()
            time.sleep(0.05)
        try:
            (at_work,) = (tmp_path / "out").glob(".fetch-*")
            one.held = None  # of requests to come
            assert len(fetch(fake, tmp_path).new) == 1
            assert [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [at_work]
        finally:
            released.set()
        (folder,) = first.result(600).new
    assert collect.read(folder).points
    assert here(tmp_path) == [folder.name]


@pytest.mark.parametrize("compress", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_stored_and_deflated_entries_are_read(tmp_path, compress):
    refused(tmp_path, packed(("a", b"x" * 100), compress=compress), "not stored or deflated")
    whole = packed(("a", b"x" * 1000), compress=compress)
    refused(tmp_path, whole[:45] + b"\0\0\0\0" + whole[49:], "not stored or deflated")


@pytest.mark.parametrize(
    "names",
    [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b", "d"), ("A", "a/b"), ("n" * 300,), ("n/" * 700 + "n",)],
)
def test_names_that_no_folder_can_hold_cost_that_artifact(tmp_path, names):
    refused(tmp_path, packed(*((name, b"x") for name in names)), "below a file|too long a name|invalid path")
