"""Result folders: renamed into place last, so complete or absent.

Checked file by file on reading, since their origin is unknown.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.deployment import invariants
from pipeline.deployment.invariants import REFUSED
from pipeline.edge import files as local_files
from pipeline.edge.scratch import is_own, sole
from pipeline.errors import ArtifactError, FileError, PipelineError
from pipeline.plaintext import one_line
from pipeline.schema.result import (
    DERIVED,
    RUN_ID,
    Failure,
    JobRecord,
    Measurement,
    Point,
    Result,
    ResultFolder,
)

SUMS = "SHA256SUMS"
DOCUMENTS = ("job.json", "results.json", "error.json")
EVENTS = "events.jsonl"
LARGEST_DOCUMENT = {"results.json": 16 << 20, SUMS: 4 << 20}
LARGEST_RECORD = 2 << 20  # of the other documents: each row of the history holds one
SHOWN = 10  # names in one line
DEPTH, LOOKED = 4, 1_000  # levels and folders that are looked at for results that were not found
LARGEST_RAW = 512 << 20
RAW_PATH = re.compile(r"raw(/[A-Za-z0-9_][A-Za-z0-9_.+=-]*)+")
SUMS_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
RETRY = "a retry is a new attempt: choose another --attempt, or another --out"


def folder_name(run_id: str, attempt: int, job_id: str) -> str:
    """Return the name of a result folder and of its artifact.

    >>> folder_name("26105123", 1, "llm.gb300-nvl72.8k1k.1p1d")
    'bench-26105123-1-llm.gb300-nvl72.8k1k.1p1d'
    """
    if not RUN_ID.fullmatch(run_id):
        raise ArtifactError(
            f"run id {run_id!r} cannot be part of a file name",
            hint="letters, digits, dot, dash and underscore; 64 at most",
        )
    return f"bench-{run_id}-{attempt}-{job_id}"


def collect(outcome: Measurement | Failure, record: JobRecord, staging: Path, out: Path) -> Path:
    """Write the result folder of a job below ``out``, move ``staging/raw`` into it, and return its path.

    It is written under a name with a leading dot and renamed last. ArtifactError when the folder exists, FileError when
    it cannot be written; ``staging`` is unchanged then.
    """
    folder = out / folder_name(record.provenance.run_id, record.provenance.attempt, record.job.id)
    _refuse_existing(folder)
    try:
        with local_files.new_folder(folder, hint="or name another --out") as temporary:
            raw = _staged(staging)
            _fill(temporary, outcome, record, raw)
    except FileError:
        _refuse_existing(folder)  # by another process, meanwhile
        raise
    for path in raw.values():
        path.unlink()
    return folder


def refuse_taken(out: Path, run_id: str, attempt: int, job_id: str) -> None:
    """Raise ArtifactError if no result of this name can be written; called before anything is measured."""
    _refuse_existing(out / folder_name(run_id, attempt, job_id))


def workplace(out: Path, run_id: str, attempt: int, job_id: str) -> Path:
    """Return the folder that a job holds (``edge.scratch.sole``) while it works on the result of this name."""
    return out / f".{folder_name(run_id, attempt, job_id)}"


def sweep(out: Path, run_id: str) -> list[Path]:
    """Remove the working folders that an unfinished job of this run left, and return them.

    Folders in use stay.
    """
    name = re.escape(run_id)  # run "a" is not run "a-b"
    ours = re.compile(
        rf"(\.logs-{name}-[a-z0-9_]{{8}}|\.bench-{name}-\d+-[a-z0-9][a-z0-9.-]*)(~[0-9a-f]{{8}})?"
    )
    folders = [entry for entry in sorted(out.iterdir()) if is_own(entry)] if out.is_dir() else []
    found = [(folder, match) for folder in folders if (match := ours.fullmatch(folder.name))]
    removed: list[Path] = []
    for folder, match in found:
        with sole(
            out / match[1]
        ) as is_left:  # the held folder is removed at the end; a half-written one belongs to the holder
            if is_left and match[2]:
                with suppress(FileNotFoundError):  # its owner removed it first
                    shutil.rmtree(folder)
        removed += [folder] if is_left else []
    return removed


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder):
        state = "a result" if (folder / SUMS).exists() else "a torn result"
        raise ArtifactError(f"{state} of this name is already there", where=str(folder), hint=RETRY)


def _staged(staging: Path) -> dict[str, Path]:
    """Return the raw files by their path in the result folder."""
    files = (
        {name: path for name, path in _files(staging).items() if name.startswith("raw/")}
        if (staging / "raw").is_dir()
        else {}
    )
    if (staging / EVENTS).is_file():
        files[EVENTS] = staging / EVENTS
    for name, path in files.items():
        if name != EVENTS and not RAW_PATH.fullmatch(name):
            raise ArtifactError(
                f"unusual name of a raw file: {name!r}",
                where=str(staging),
                hint="use letters, digits and _.+=-, without a leading dot",
            )
        _refuse_large(path, LARGEST_RAW)
    return files


def _fill(folder: Path, outcome: Measurement | Failure, record: JobRecord, raw: Mapping[str, Path]) -> None:
    write = local_files.write_synced
    sums = {"job.json": write(folder / "job.json", record.to_json())}
    if isinstance(outcome, Failure):
        sums["error.json"] = write(folder / "error.json", outcome.to_json())
    else:
        sums["results.json"] = write(folder / "results.json", Result(points=outcome.points).to_json())
    sums |= {name: _place(path, folder / name) for name, path in raw.items()}
    if not isinstance(outcome, Failure):
        _refuse_other_raw(folder, outcome.points, sums)
    write(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
    local_files.sync(folder)


def _place(source: Path, target: Path) -> str:
    """Link or copy a file, so that the source stays until the folder has its name; return the SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another filesystem, or one without hard links
        shutil.copyfile(source, target)
    local_files.sync(target)
    local_files.sync(target.parent)
    return local_files.sha256_of_file(target)


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the result folders among ``paths``, below them, and in artifacts of their name.

    Folders with a leading dot are unfinished and never read.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise ArtifactError(
                "no such folder", where=str(path), hint="give result folders, or folders that contain them"
            )
        below = sorted(
            entry for entry in path.iterdir() if entry.name.startswith("bench-") and entry.is_dir()
        )
        is_result = path.name.startswith("bench-") or any(
            (path / name).exists() for name in (SUMS, *DOCUMENTS)
        )
        if path.name in {
            entry.name for entry in below
        }:  # an artifact that contains its folder instead of its files
            found.append(path / path.name)
        else:
            found += find(below) if below else [path] if is_result else []
    return list(dict.fromkeys(found))


def overlooked(
    paths: Iterable[Path], found: Iterable[Path], known: Iterable[Path] = ()
) -> tuple[list[ArtifactError], list[str]]:
    """Return an error for each folder that looks like a result and was not found, and a line on other entries.

    Of the other entries only those of the named folders themselves, without ``known``; hidden ones are unfinished.
    """
    alike, others = _unfound(paths, found)
    named = {path.absolute() for path in known}
    names = [path.name for path in others if path.absolute() not in named and path not in alike]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    line = f"passed over, no results: {one_line(', '.join(names[:SHOWN]))}{more}"
    what = "looks like a result and was not taken"
    return [ArtifactError(what, where=str(path), hint="name it") for path in alike], [line] if names else []


def _unfound(paths: Iterable[Path], found: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the folders that look like results, and all entries of the named folders."""
    taken = {path.absolute() for path in found}
    alike: list[Path] = []
    others: list[Path] = []
    for root in paths:
        if root.absolute() in taken:
            continue
        for folder, names, files in os.walk(root):
            here = Path(folder)
            if here != root and _is_alike(here, files):
                alike.append(here)
            deeper = [name for name in sorted(names) if not name.startswith(".")]
            names[:] = [
                name for name in deeper if (here / name).absolute() not in taken and here not in alike
            ]
            if here == root:
                others += [here / name for name in sorted({*files, *names}) if not name.startswith(".")]
            if len(alike) > LOOKED or here.relative_to(root).parts[DEPTH:]:
                names.clear()
    return alike, others


def _is_alike(folder: Path, files: Iterable[str]) -> bool:
    return folder.name.startswith("bench-") or bool({SUMS, *DOCUMENTS}.intersection(files))


def read(folder: Path) -> ResultFolder:
    """Return a result folder; ArtifactError unless its files are those in SHA256SUMS and its name that in job.json.

    Whatever is wrong with one folder is one ArtifactError, or a FileError where it cannot be read.
    """
    if not os.path.lexists(folder):
        raise ArtifactError("missing: no such folder", where=str(folder), hint="fetch it again")
    try:
        with local_files.file_errors("read"):
            return _read(folder)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = f"cannot be read: {type(error).__name__}: {one_line(str(error))}"
        raise ArtifactError(what, where=str(folder), hint="it is damaged or not one of rackbench") from error


@dataclass(slots=True)
class Arrived:
    """Whole folders, odd ones with their errors, and lines on clocks."""

    whole: list[ResultFolder] = field(default_factory=list)
    damaged: list[tuple[Path, PipelineError]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def read_all(
    folders: Iterable[Path], *, now: datetime, run_id: str | None, made: Mapping[str, datetime]
) -> Arrived:
    """Return the folders as they are read, each held against itself, its job, its plan, the run and the clock.

    ``made`` is when each plan was made, by its id.
    """
    arrived = Arrived()
    for folder in folders:
        try:
            one = read(folder)
            points = [point for point in one.points if isinstance(point, Point)]
            invariants.refuse_broken(one.record, points, where=one.folder, run_id=run_id)
            arrived.lines += invariants.refuse_times(one.record, now, made=made, where=one.folder)
            arrived.whole.append(one)
        except (ArtifactError, FileError) as error:
            arrived.damaged.append((folder, error))
    return arrived


def _read(folder: Path) -> ResultFolder:
    files = _files(folder)
    if SUMS not in files:
        raise ArtifactError(
            f"torn: no {SUMS}",
            where=str(folder),
            hint="the run ended before the folder was complete; fetch it again or leave it out",
        )
    listed = _document(files[SUMS])
    sums = _sums(listed, files[SUMS])
    _refuse_difference(folder, sums, files)
    content = {name: _document(files[name]) for name in sums if name in DOCUMENTS}
    _refuse_damage(sums, files, content)
    record = JobRecord.from_json(content["job.json"], where=str(files["job.json"]))
    name = _refuse_other_name(folder, record)
    digest = local_files.sha256(listed)
    if "error.json" in content:
        failure = Failure.from_json(content["error.json"], where=str(files["error.json"]))
        return ResultFolder(folder=name, record=record, failure=failure, sums_sha256=digest)
    points = Result.from_json(content["results.json"], where=str(files["results.json"])).points
    _refuse_other_rates(content["results.json"], points, files["results.json"])
    _refuse_other_concs(folder, record, points)
    _refuse_other_raw(folder, points, sums)
    return ResultFolder(folder=name, record=record, points=points, sums_sha256=digest)


def _files(folder: Path) -> dict[str, Path]:
    """Return the regular files by relative path.

    ArtifactError at the first link, socket or other kind of file.
    """
    found: dict[str, Path] = {}
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            waiting += path.iterdir()
        elif stat.S_ISREG(mode) and path != folder:
            found[path.relative_to(folder).as_posix()] = path
        else:
            kind = (
                "a symbolic link"
                if stat.S_ISLNK(mode)
                else "not a folder"
                if path == folder
                else "not a regular file"
            )
            raise ArtifactError(
                f"{path.name!r} is {kind}", where=str(folder), hint="result folders hold regular files only"
            )
    return found


def _sums(listed: bytes, where: Path) -> dict[str, str]:
    """Return the hashes by path, as ``sha256sum`` writes them."""
    sums: dict[str, str] = {}
    for number, line in enumerate(listed.decode("utf-8", errors="replace").splitlines(), start=1):
        match = SUMS_LINE.fullmatch(line)
        name = match[2] if match else ""
        if match is None or name in sums or not (name in (*DOCUMENTS, EVENTS) or RAW_PATH.fullmatch(name)):
            hint = f"each line is a SHA-256, two spaces and one of {', '.join((*DOCUMENTS, EVENTS))} or a file below raw/, once"
            raise ArtifactError(
                f"line is not understood: {line[:120]!r}", where=f"{where}:{number}", hint=hint
            )
        sums[name] = match[1]
    return sums


def _refuse_difference(folder: Path, sums: Mapping[str, str], files: Mapping[str, Path]) -> None:
    missing = sorted(set(sums) - set(files))
    unlisted = sorted(set(files) - set(sums) - {SUMS})
    if missing:
        raise ArtifactError(
            f"missing: {', '.join(missing)}",
            where=str(folder),
            hint=f"{SUMS} lists it; fetch the folder again",
        )
    if unlisted:
        raise ArtifactError(
            f"not listed in {SUMS}: {unlisted[0]!r}",
            where=str(folder),
            hint="a result folder has no other files; remove it",
        )
    if "job.json" not in sums or ("results.json" in sums) == ("error.json" in sums):
        hint = "a result folder has job.json and either results.json or error.json"
        raise ArtifactError("not a result folder", where=str(folder), hint=hint)


def _refuse_damage(sums: Mapping[str, str], files: Mapping[str, Path], content: Mapping[str, bytes]) -> None:
    for name, wanted in sums.items():
        found = local_files.sha256(content[name]) if name in content else _raw_sha256(files[name])
        if found != wanted:
            raise ArtifactError(
                f"not the file that {SUMS} lists: SHA-256 differs",
                where=str(files[name]),
                hint="the file is damaged; fetch it again",
            )


def _refuse_other_name(folder: Path, record: JobRecord) -> str:
    """Return the folder's name by job.json; ArtifactError if the folder has that of another result.

    A folder that does not begin with ``bench-`` is a single artifact as download-artifact unpacks it.
    """
    expected, found = (
        folder_name(record.provenance.run_id, record.provenance.attempt, record.job.id),
        folder.absolute().name,
    )
    if (found.startswith("bench-") and found != expected) or record.job.id != record.job.recipe.id:
        hint = f"rename the folder to {expected!r}"
        raise ArtifactError("the folder's name is not the one in its job.json", where=str(folder), hint=hint)
    return expected


def _refuse_other_concs(folder: Path, record: JobRecord, points: Iterable[Point]) -> None:
    concs = [point.conc for point in points]
    foreign = sorted(set(concs) - set(record.job.recipe.conc))
    if foreign or len(concs) != len(set(concs)):
        what = f"conc {foreign[0]} is not in job.json" if foreign else "the same conc twice"
        raise ArtifactError(
            what,
            where=str(folder / "results.json"),
            hint="the file belongs to another job; fetch the folder again",
        )


def _refuse_other_rates(text: bytes, points: Iterable[Point], where: Path) -> None:
    """Compute every derived figure once; ArtifactError where the file states another one."""
    for written, point in zip(json.loads(text)["points"], points, strict=True):
        for name in DERIVED:
            stated, found = written.get(name), getattr(point, name)
            is_same = stated is None or (found is not None and math.isclose(stated, found, rel_tol=1e-6))
            if not is_same:
                what = f"rates: {name} is {stated}, tokens and wall clock give {found}"
                raise ArtifactError(what, where=f"{where}: conc {point.conc}", hint=REFUSED)


def _refuse_other_raw(folder: Path, points: Iterable[Point], sums: Mapping[str, str]) -> None:
    for raw in (raw for point in points for raw in point.raw):
        if sums.get(raw.path) != raw.sha256:
            what = "is missing" if raw.path not in sums else "is another file than the one that was measured"
            raise ArtifactError(
                f"{raw.path!r} {what}",
                where=str(folder / "results.json"),
                hint="the folder mixes two results; fetch it again",
            )


def _document(path: Path) -> bytes:
    _refuse_large(path, LARGEST_DOCUMENT.get(path.name, LARGEST_RECORD))
    return path.read_bytes()


def _raw_sha256(path: Path) -> str:
    _refuse_large(path, LARGEST_RAW)
    return local_files.sha256_of_file(path)


def _refuse_large(path: Path, largest: int) -> None:
    size = path.stat().st_size
    if size > largest:
        raise ArtifactError(
            f"{size} bytes, more than the {largest >> 20} MiB that are taken", where=str(path)
        )
