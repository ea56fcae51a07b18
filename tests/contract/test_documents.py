"""Documents of schema 1 as they were first written: they stay readable, whatever the code becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import ArtifactError
from pipeline.schema.history import HistoryRow, Tombstone
from pipeline.schema.plan import Plan
from pipeline.schema.publication import PageEntry, Review
from pipeline.schema.published import Study
from pipeline.schema.result import Failure, JobRecord, Result
from pipeline.schema.timing import Timing

FROZEN = Path(__file__).parent / "frozen"
KINDS = {
    "plan": Plan,
    "job": JobRecord,
    "results": Result,
    "error": Failure,
    "history-row": HistoryRow,
    "stated-row": HistoryRow,
    "study": Study,
    "tombstone": Tombstone,
    "timing": Timing,
    "review": Review,
    "page-entry": PageEntry,
}
EACH = pytest.mark.parametrize("name", KINDS)


def frozen(name: str) -> str:
    return (FROZEN / f"{name}.1.json").read_text(encoding="utf-8")


@EACH
def test_a_document_of_schema_1_is_read_with_everything_that_it_says(name):
    document = KINDS[name].from_json(frozen(name), where=name)
    assert_says(json.loads(document.to_json()), json.loads(frozen(name)), name)


def assert_says(found: object, wanted: object, place: str) -> None:
    """``found`` may say more, in fields that came later, but nothing else."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            assert key in found, f"{place}.{key}"
            assert_says(found[key], value, f"{place}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        assert len(found) == len(wanted), place
        for index, pair in enumerate(zip(found, wanted, strict=True)):
            assert_says(*pair, f"{place}.{index}")
    else:
        assert found == wanted, place


@EACH
@pytest.mark.parametrize("version", [2, None, "1"])
def test_a_document_of_another_schema_is_refused_by_name(name, version):
    raw = json.loads(frozen(name))
    del raw["schema"]
    with pytest.raises(ArtifactError, match="schema version 1 expected") as caught:
        KINDS[name].from_json(
            json.dumps(raw if version is None else {**raw, "schema": version}), where=f"there/{name}.json"
        )
    assert caught.value.exit_code == 7
    assert caught.value.where == f"there/{name}.json"
    assert ("newer" in caught.value.hint) == (version == 2)


@EACH
def test_a_document_with_a_field_that_nobody_knows_is_refused(name):
    with pytest.raises(ArtifactError, match="surprise"):
        KINDS[name].from_json(json.dumps({**json.loads(frozen(name)), "surprise": 1}), where=name)


def test_identities_are_computed_as_they_were():
    record = JobRecord.from_json(frozen("job"), where="job")
    assert record.job.recipe.deployment_digest == record.job.deployment_digest
    slowed = record.model_copy(
        update={"provenance": record.provenance.model_copy(update={"time_scale": 10.0})}
    )
    assert slowed.point_key(4) != record.point_key(4)  # a slowed simulation is another series
    assert record.point_key(4) == "f1dfa1b92f88f6a6e5e24bcda9c6b93293ed658eb1f52475f0d80f6531a37c3b"
    assert record.series_key(4) == "4d22226171cde473187859bfb2401b54ea97e53a35654b92f4f43b7be4280b9b"
