from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from pipeline import collect
from pipeline.edge.shell import Shell
from pipeline.errors import ArtifactError, FileError
from pipeline.schema.result import JobRecord
from tests.fakes import results


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Change a file and list it as it is now: the damage that hashes do not show."""
    (folder / name).write_bytes(content)
    reseal(folder)


def reseal(folder: Path) -> None:
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != collect.SUMS
    )
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / collect.SUMS).write_text("".join(lines))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(folder: Path, message: str) -> ArtifactError:
    with pytest.raises(ArtifactError, match=message) as caught:
        collect.read(folder)
    assert caught.value.exit_code == 7
    assert caught.value.where.startswith(str(folder))
    return caught.value


def test_what_was_measured_is_what_is_read(tmp_path):
    record, staging = results.record(), tmp_path / "staging"
    measured = results.measurement(staging)
    folder = collect.collect(measured, record, staging, tmp_path / "out")
    result_folder = collect.read(folder)
    assert folder.name == f"bench-101-1-{record.job.id}" == result_folder.folder
    assert (result_folder.record, result_folder.points, result_folder.failure) == (
        record,
        measured.points,
        None,
    )
    assert gzip.decompress((folder / "raw/requests-c4.jsonl.gz").read_bytes()).count(b"\n") == 4
    assert result_folder.sums_sha256 == hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()


def test_raw_files_move_and_nothing_else_is_left(tmp_path):
    staging, out = tmp_path / "staging", tmp_path / "out"
    folder = collect.collect(results.measurement(staging), results.record(), staging, out)
    assert names(out) == [folder.name]
    assert names(staging / "raw") == []


def test_sums_are_the_ones_that_sha256sum_checks(tmp_path):
    folder = results.folder(tmp_path)
    checked = Shell().run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, timeout_s=30)
    assert (checked.code, checked.stdout.count(": OK\n")) == (0, 4)


def test_a_failure_comes_home_as_error_json_with_the_raw_files_there_are(tmp_path):
    results.measurement(tmp_path / "staging")
    folder = collect.collect(results.failure(), results.record(), tmp_path / "staging", tmp_path / "out")
    result_folder = collect.read(folder)
    assert (result_folder.points, result_folder.failure) == ((), results.failure())
    assert (folder / "raw/requests-c8.jsonl.gz").exists()


def test_a_failure_needs_no_staging_folder(tmp_path):
    folder = collect.collect(results.failure(), results.record(), tmp_path / "never made", tmp_path)
    assert names(folder) == ["SHA256SUMS", "error.json", "job.json"]


@pytest.mark.parametrize("torn", [False, True])
def test_a_folder_of_that_name_is_never_overwritten(tmp_path, torn):
    folder = results.folder(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if torn:
        (folder / collect.SUMS).unlink()
        del before[folder / collect.SUMS]
    with pytest.raises(
        ArtifactError, match="torn" if torn else "a result of this name is already there"
    ) as caught:
        collect.collect(results.failure(), results.record(), tmp_path, tmp_path)
    assert "new attempt" in caught.value.hint
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_place_that_cannot_be_written_is_named_and_raw_files_stay(tmp_path):
    (tmp_path / "file").write_text("")
    measured = results.measurement(tmp_path / "staging")
    with pytest.raises(FileError, match=r"cannot write .*file/out/bench-101-1.*: Not a directory") as caught:
        collect.collect(measured, results.record(), tmp_path / "staging", tmp_path / "file" / "out")
    assert (caught.value.exit_code, caught.value.hint) == (9, "or name another --out")
    assert len(names(tmp_path / "staging" / "raw")) == 2


def test_a_full_disk_leaves_no_folder_and_the_raw_files_where_they_were(tmp_path):
    script = (
        "import sys; from pathlib import Path; from pipeline.collect import collect; from pipeline.errors import FileError\n"
        "import resource; from tests.fakes import results; here = Path(sys.argv[1])\n"
        "measured = results.measurement(here / 'staging')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "try: collect(measured, results.record(), here / 'staging', here / 'out')\n"
        "except FileError as error: sys.stdout.write(f'{error.exit_code} {error}')\n"
    )
    done = Shell().run([sys.executable, "-c", script, str(tmp_path)], timeout_s=60)
    assert done.stdout.startswith("9 cannot write "), done.stderr
    assert "File too large" in done.stdout
    assert names(tmp_path / "out") == []
    assert len(names(tmp_path / "staging" / "raw")) == 2


def test_a_killed_run_leaves_only_a_dot_folder_which_is_never_found(tmp_path):
    complete = results.folder(tmp_path)
    complete.rename(tmp_path / f".{complete.name}~0123abcd")
    assert collect.find([tmp_path]) == []
    assert collect.find([results.folder(tmp_path), tmp_path]) == [complete]


def test_raw_files_that_are_not_the_measured_ones_are_not_packed(tmp_path):
    measured = results.measurement(tmp_path / "staging")
    (tmp_path / "staging/raw/requests-c4.jsonl.gz").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="another file than the one that was measured"):
        collect.collect(measured, results.record(), tmp_path / "staging", tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_a_link_among_raw_files_is_not_packed(tmp_path):
    measured = results.measurement(tmp_path / "staging")
    (tmp_path / "staging/raw/secret").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="symbolic link"):
        collect.collect(measured, results.record(), tmp_path / "staging", tmp_path / "out")


@pytest.mark.parametrize("run_id", ["../up", "a/b", "", ".hidden", "a+2", "x" * 65])
def test_a_run_id_that_leaves_the_folder_is_refused(run_id):
    with pytest.raises(ArtifactError, match="run id"):
        collect.folder_name(run_id, 1, "recipe")


def test_result_folders_are_found_themselves_and_one_level_below(tmp_path):
    first, second = (
        results.folder(tmp_path / "bench-results", results.record(run=run)) for run in ("1", "2")
    )
    (tmp_path / "bench-results" / "notes").mkdir()
    assert collect.find([tmp_path / "bench-results"]) == [first, second]
    assert collect.find([second, tmp_path / "bench-results"]) == [second, first]
    with pytest.raises(ArtifactError, match="no such folder"):
        collect.find([tmp_path / "gone"])


def test_a_single_artifact_that_was_unpacked_without_its_name_is_named_by_its_job(tmp_path):
    folder = results.folder(tmp_path).rename(tmp_path / "download")
    assert collect.find([folder]) == [folder]
    assert collect.read(folder).folder == f"bench-101-1-{results.recipe().id}"


def test_an_artifact_of_another_name_is_refused_by_its_name(tmp_path):
    folder = results.folder(tmp_path).rename(tmp_path / "bench-102-1-other")
    assert collect.find([tmp_path]) == [folder]
    assert "bench-101-1" in refused(folder, "name is not the one").hint


def test_an_artifact_that_holds_its_folder_is_the_folder(tmp_path):
    name = results.folder(tmp_path / "packed").name
    (tmp_path / name).mkdir()
    (tmp_path / "packed" / name).rename(tmp_path / name / name)
    assert collect.find([tmp_path]) == [tmp_path / name / name]


def test_a_torn_folder_is_refused(tmp_path):
    folder = results.folder(tmp_path)
    (folder / collect.SUMS).unlink()
    assert "fetch it again" in refused(folder, "torn: no SHA256SUMS").hint


@pytest.mark.parametrize("name", ["job.json", "results.json", "raw/requests-c4.jsonl.gz"])
def test_a_file_of_another_hash_is_refused(tmp_path, name):
    folder = results.folder(tmp_path)
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert refused(folder, "SHA-256 differs").where.endswith(name)


def test_a_listed_file_that_is_missing_is_refused(tmp_path):
    folder = results.folder(tmp_path)
    (folder / "raw/requests-c4.jsonl.gz").unlink()
    refused(folder, "missing: raw/requests-c4.jsonl.gz")


@pytest.mark.parametrize("name", ["notes.txt", "raw/extra.gz", ".hidden", "job.json\n::error::gotcha"])
def test_an_unlisted_file_is_refused_and_cannot_forge_a_log_line(tmp_path, name):
    folder = results.folder(tmp_path)
    (folder / name).write_text("")
    assert "\n" not in str(refused(folder, "not listed"))


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "../up",
        "/etc/hostname",
        "raw/../../up",
        "raw/./x",
        "raw/.hidden",
        "raw//x",
        "rawx",
        "raw/",
    ],
)
def test_a_listed_path_that_is_not_ours_is_refused(tmp_path, name):
    folder = results.folder(tmp_path)
    with (folder / collect.SUMS).open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    assert refused(folder, "line is not understood").where.endswith("SHA256SUMS:5")


def test_a_file_listed_twice_is_refused(tmp_path):
    folder = results.folder(tmp_path)
    sums = (folder / collect.SUMS).read_text()
    (folder / collect.SUMS).write_text(sums + sums.splitlines()[0] + "\n")
    refused(folder, "line is not understood")


@pytest.mark.parametrize("name", ["job.json", "raw/requests-c4.jsonl.gz", "raw"])
def test_a_symbolic_link_is_refused_even_to_the_right_content(tmp_path, name):
    folder = results.folder(tmp_path)
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(folder, "symbolic link")


def test_a_linked_folder_and_a_pipe_are_refused(tmp_path):
    folder = results.folder(tmp_path)
    (tmp_path / "links").mkdir()
    linked = tmp_path / "links" / folder.name
    linked.symlink_to(folder)
    refused(linked, "symbolic link")
    os.mkfifo(folder / "raw" / "pipe")
    refused(folder, "not a regular file")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "bench-1-1-x", "missing: no such folder")


@pytest.mark.parametrize(
    ("name", "size"), [("results.json", 16 << 20), ("raw/requests-c4.jsonl.gz", 512 << 20)]
)
def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, name, size):
    folder = results.folder(tmp_path)
    with (folder / name).open("r+b") as file:
        file.truncate(size + 1)
    refused(folder, f"more than the {size >> 20} MiB")


def test_results_and_error_together_are_refused(tmp_path):
    folder = results.folder(tmp_path)
    rewrite(folder, "error.json", results.failure().to_json().encode())
    refused(folder, "not a result folder")


def test_a_renamed_run_is_refused(tmp_path):
    folder = results.folder(tmp_path)
    refused(folder.rename(tmp_path / folder.name.replace("-101-1-", "-101-2-")), "name is not the one")


def test_points_of_another_job_are_refused(tmp_path):
    folder = results.folder(tmp_path)
    other = json.loads((folder / "results.json").read_text())
    other["points"][0]["conc"] = 7
    rewrite(folder, "results.json", json.dumps(other).encode())
    refused(folder, "conc 7 is not in job.json")
    other["points"][0]["conc"] = 8
    rewrite(folder, "results.json", json.dumps(other).encode())
    refused(folder, "the same conc twice")


def test_raw_files_that_points_do_not_know_are_refused_though_they_are_listed(tmp_path):
    folder = results.folder(tmp_path)
    rewrite(folder, "raw/requests-c4.jsonl.gz", b"other")
    refused(folder, "another file than the one that was measured")
    (folder / "raw/requests-c4.jsonl.gz").unlink()
    reseal(folder)
    refused(folder, "is missing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "schema version expected, found None"),
        (b"\xff", "not JSON"),
        (b'{"schema": 3}', "newer version of rackbench .schema 3, this one reads up to 2"),
        (b"[" * 100_000, "not JSON"),
    ],
    ids=["torn", "list", "bytes", "newer", "deep"],
)
def test_a_document_that_is_not_ours_is_refused(tmp_path, content, message):
    folder = results.folder(tmp_path)
    rewrite(folder, "job.json", content)
    assert refused(folder, message).where.endswith("job.json")


def test_a_reader_in_the_folder_itself_sees_its_real_name(tmp_path, monkeypatch):
    monkeypatch.chdir(results.folder(tmp_path))
    assert collect.read(Path()).folder.startswith("bench-101-1-")
    assert isinstance(collect.read(Path()).record, JobRecord)


def test_an_empty_folder_of_that_name_is_not_taken_over(tmp_path):
    folder = tmp_path / collect.folder_name("101", 1, results.recipe().id)
    folder.mkdir()
    with pytest.raises(ArtifactError, match="torn"):
        collect.collect(results.failure(), results.record(), tmp_path, tmp_path)
    assert names(folder) == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"5",
        b"\xff",
        b'{"schema": 1}',
        b'{"schema": 1, "points": 5}',
        b'{"schema": 1, "points": [1]}',
    ],
)
def test_results_that_are_not_ours_are_refused(tmp_path, content):
    folder = results.folder(tmp_path)
    rewrite(folder, "results.json", content)
    assert refused(folder, r"not JSON|schema version expected|not a Result").where.endswith("results.json")
