"""What a large night costs to bring together: 2,000 artifacts of 2 MB from a GitHub on loopback into history and a report.

``nox -s bench -- aggregate`` needs 9 GB of disk below TMPDIR; ``aggregate N`` takes N artifacts instead.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import collect
from pipeline.schema.plan import Job, Plan
from pipeline.schema.result import JobRecord, RawFile, Result
from tests.fakes import rows
from tests.fakes.github import serve

RUN, ARTIFACTS, RAW_BYTES = 101, 2000, 2_000_000
REPORT = "reports/gb300-vs-gb200.yaml"


def main(words: list[str], timed: Callable, show: Callable) -> None:
    count = int(words[0]) if words else ARTIFACTS
    with tempfile.TemporaryDirectory() as folder, serve() as fake:
        work = Path(folder)
        timed("plan", "--cluster", "laptop", "--out", str(work / "plan.json"))
        plan = Plan.from_json((work / "plan.json").read_bytes(), where="plan.json")
        for name, packed in artifacts(work, plan, count):
            fake.add_artifact(RUN, name, packed)
        os.environ.update(GITHUB_API_URL=fake.url, GITHUB_TOKEN=fake.token)
        results, history = str(work / "results"), str(work / "history")
        fetch = ("fetch", "--repo", fake.repository, "--run-id", str(RUN), "--out", results)
        show(f"fetch of {count} artifacts", [timed(*fetch)], "promised: 1024 MiB")
        show("  the same again", [timed(*fetch)], "promised: 1024 MiB")
        show(
            "ingest",
            [timed("ingest", results, "--history", history, "--plan", str(work / "plan.json"))],
            "promised: 1024 MiB",
        )
        show(
            "report",
            [timed("report", REPORT, "--history", history, "--out", str(work / "report"))],
            "promised: 1024 MiB",
        )
        print(f"{len(fake.requests)} requests to the API, {len(fake.blob_requests)} downloads")


def artifacts(work: Path, plan: Plan, count: int) -> Iterator[tuple[str, Path]]:
    """Names and zips: the plan's own jobs, and copies of them under other ids; all with the same bytes that do not compress."""
    raw = secrets.token_bytes(RAW_BYTES)
    digest = hashlib.sha256(raw).hexdigest()
    for number in range(count):
        job = plan.jobs[number % len(plan.jobs)]
        if number >= len(plan.jobs):
            name = f"{job.id}-v{number}"
            job = job.model_copy(update={"id": name, "recipe": job.recipe.model_copy(update={"id": name})})
        folder = collect.folder_name(str(RUN), 1, job.id)
        packed = work / f"{number}.zip"
        pack(packed, documents(job, digest), raw, digest)
        yield folder, packed


def documents(job: Job, digest: str) -> dict[str, str]:
    made = rows.record(job.recipe, run=str(RUN)).provenance
    raw = (RawFile(path="raw/requests.bin", sha256=digest, bytes=RAW_BYTES),)
    points = tuple(
        rows.point(job.recipe, conc, 1000.0, 30.0).model_copy(update={"raw": raw}) for conc in job.recipe.conc
    )
    return {
        "job.json": JobRecord(job=job, provenance=made).to_json(),
        "results.json": Result(points=points).to_json(),
    }


def pack(target: Path, texts: dict[str, str], raw: bytes, digest: str) -> None:
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()} | {
        "raw/requests.bin": digest
    }
    listed = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**texts, "raw/requests.bin": raw, collect.SUMS: listed}.items():
            archive.writestr(name, content)
