"""ingest: result folders into a history, the newest whole attempt of each job, checked against what was planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import collect, store
from pipeline.errors import ArtifactError, FileError, PipelineError
from pipeline.flow.planning import read_plan
from pipeline.schema.history import RunSummary
from pipeline.schema.result import ResultFolder
from pipeline.store import selection


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was stored, lines about what was passed over, and the error of what is missing."""

    summaries: list[RunSummary]
    passed_over: list[str]
    lacking: ArtifactError | None


def ingest(folders: Sequence[Path], history: str, plans: Sequence[Path] = ()) -> Ingested:
    """Read and check every folder, and store the newest whole attempt of each job.

    A damaged folder is passed over when another attempt of its job is whole. Otherwise nothing is stored and its error is raised; with
    plans, what arrived is stored and ``lacking`` names what did not.
    """
    planned = {path: read_plan(path) for path in plans}
    found = collect.find(folders)
    if not found and not planned:
        hint = "a finished job leaves bench-RUN-ATTEMPT-RECIPE/; a killed one leaves nothing to ingest"
        raise ArtifactError("no result folder", where=", ".join(map(str, folders)), hint=hint)
    selected = selection.select(*_read(found), keeps_lost=bool(planned))
    if selected.lost and not planned:
        raise selected.lost[0]
    lacking = selection.missing_jobs(planned, selected.newest, selected.lost)
    summaries = store.ingest(history, selected.newest) if selected.newest else []
    return Ingested(summaries, selected.passed_over, lacking)


def _read(found: Sequence[Path]) -> tuple[list[ResultFolder], list[tuple[Path, PipelineError]]]:
    whole: list[ResultFolder] = []
    damaged: list[tuple[Path, PipelineError]] = []
    for folder in found:
        try:
            whole.append(collect.read(folder))
        except (ArtifactError, FileError) as error:
            damaged.append((folder, error))
    return whole, damaged
