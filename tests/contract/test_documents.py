"""Documents of every schema version as they were first written: they stay readable, whatever the code becomes."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

import pipeline.schema
from pipeline.errors import ArtifactError
from pipeline.schema import upgrades
from pipeline.schema.base import Document, Stored, schema
from pipeline.schema.cluster import NoLauncher, SlurmSite
from pipeline.schema.engine import Engine
from pipeline.schema.event import Event
from pipeline.schema.history import HistoryRow, Tombstone
from pipeline.schema.plan import Plan
from pipeline.schema.publication import PageEntry, Review
from pipeline.schema.published import Study
from pipeline.schema.report import ReportData
from pipeline.schema.result import Failure, JobRecord, Result
from pipeline.schema.timing import Timing

FROZEN = Path(__file__).parent / "frozen"
KINDS: dict[str, type[Stored]] = {
    "plan": Plan,
    "job": JobRecord,
    "results": Result,
    "error": Failure,
    "history-row": HistoryRow,
    "stated-row": HistoryRow,
    "report-data": ReportData,
    "study": Study,
    "tombstone": Tombstone,
    "timing": Timing,
    "review": Review,
    "page-entry": PageEntry,
    "engine": Engine,
    "event": Event,
}
SAMPLES = [
    (name, version) for name, kind in KINDS.items() for version in range(1, kind.current_version() + 1)
]
EACH = pytest.mark.parametrize(
    ("name", "version"), SAMPLES, ids=[f"{name}.{version}" for name, version in SAMPLES]
)


def frozen(name: str, version: int) -> str:
    return (FROZEN / f"{name}.{version}.json").read_text(encoding="utf-8")


def newest(name: str) -> str:
    return frozen(name, KINDS[name].current_version())


def stored_kinds() -> Iterator[type[Stored]]:
    """Every stored kind of the package; those that tests define are left out."""
    for module in pkgutil.iter_modules(pipeline.schema.__path__, "pipeline.schema."):
        importlib.import_module(module.name)
    waiting = Stored.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("pipeline."):
            yield kind


def test_every_stored_kind_has_a_sample_of_each_version_and_a_step_between_any_two():
    kinds = set(stored_kinds())
    assert kinds == set(KINDS.values())
    assert sorted(path.name for path in FROZEN.glob("*.[0-9].json")) == sorted(
        f"{name}.{version}.json" for name, version in SAMPLES
    )
    steps = {kind.__name__: len(upgrades.STEPS.get(kind.__name__, ())) for kind in kinds}
    assert steps == {kind.__name__: kind.current_version() - 1 for kind in kinds}
    assert upgrades.STEPS.keys() <= steps.keys()


@EACH
def test_a_sample_states_the_version_of_its_name(name, version):
    assert json.loads(frozen(name, version))["schema"] == version


@pytest.mark.parametrize("name", KINDS)
def test_the_newest_sample_is_read_with_everything_that_it_says(name):
    document = KINDS[name].from_json(newest(name), where=name)
    assert_says(json.loads(document.to_json()), json.loads(newest(name)), name)


@EACH
def test_an_upgraded_document_means_what_the_newest_one_says(name, version):
    document = KINDS[name].from_json(frozen(name, version), where=name)
    assert document == KINDS[name].from_json(newest(name), where=name)
    assert document.schema_version == KINDS[name].current_version()


def test_a_point_of_schema_1_has_its_new_names():
    data = ReportData.from_json(frozen("report-data", 1), where="data.json")
    points = [row.point for row in (*data.rows, *data.previous)]
    assert [point.status for point in points] == ["ok", "invalid", "invalid"]
    assert [point.not_evaluated for point in points] == [
        ("drift: 2 rounds of requests, 6 are needed",),
        (),
        (),
    ]


@pytest.mark.parametrize(
    ("former", "site"),
    [
        (
            {"launcher": "slurm", "slurm": {"partition": "p", "segment": True}, "kubernetes": None},
            SlurmSite(launcher="slurm", partition="p", segment=True),
        ),
        ({"launcher": None, "slurm": {"partition": "p", "segment": True}}, NoLauncher(launcher="none")),
    ],
)
def test_the_cluster_of_a_plan_of_schema_1_has_its_launcher_in_its_site(former, site):
    raw = json.loads(frozen("plan", 1))
    raw["cluster"] |= former
    assert Plan.from_json(json.dumps(raw), where="plan.json").cluster.site == site


def test_memory_of_earlier_schemas_means_what_it_meant():
    """max-num-seqs sequences of the workload had to fit, and nothing else was counted."""
    text = frozen("report-data", 2)
    raw, data = json.loads(text), ReportData.from_json(text, where="data.json")
    old = [one for row in raw["rows"] for one in row["record"]["job"]["hbm"]] + [
        one["hbm"] for one in raw["fits"]
    ]
    new = [one for row in data.rows for one in row.record.job.hbm] + [one.hbm for one in data.fits]
    assert len(old) == len(new) > 4
    for was, now in zip(old, new, strict=True):
        assert now.kv_gb == pytest.approx(was["kv_gb"])
        assert now.sequence_gb == now.longest_gb == pytest.approx(was["sequence_gb"])
        assert now.running == now.sequences == was["sequences"]
        assert (now.mtp_gb, now.graphs_gb, now.unknown, now.accepted) == (0, 0, (), None)
        assert now.headroom_gb == pytest.approx(now.kv_budget_gb - was["kv_gb"])


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


NEWER = "written by a newer version of rackbench (schema 9, this one reads up to {})"
NONE = "schema version expected, found {!r}"
OLDER = "schema {} is older than this version of rackbench reads (1 to {})"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("schema", "problem", "hint"),
    [
        (9, NEWER, "upgrade rackbench"),
        (0, OLDER, "damaged"),
        (None, NONE, "not one of"),
        ("1", NONE, "not one of"),
        (True, NONE, "not one of"),
    ],
)
def test_a_document_of_another_schema_is_refused_by_name(name, schema, problem, hint):
    with pytest.raises(ArtifactError) as caught:
        KINDS[name].from_json(
            json.dumps({**json.loads(newest(name)), "schema": schema}), where=f"there/{name}.json"
        )
    current = KINDS[name].current_version()
    values = {NEWER: (current,), OLDER: (0, current), NONE: (schema,)}[problem]
    assert caught.value.what == f"{KINDS[name].__name__}: {problem.format(*values)}"
    assert caught.value.where == f"there/{name}.json"
    assert hint in caught.value.hint
    assert caught.value.exit_code == 7


def nested(raw: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Places of the stored documents inside a document, by the key that all of them have."""
    items = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in items:
        if isinstance(value, dict) and "schema" in value:
            yield (*path, key)
        yield from nested(value, (*path, key))


NESTED = [
    (name, version, path) for name, version in SAMPLES for path in nested(json.loads(frozen(name, version)))
]


def test_stored_documents_are_nested_in_plans_rows_and_reports():
    assert {(name, ".".join(map(str, path))) for name, _, path in NESTED} >= {
        ("plan", "timing"),
        ("history-row", "record"),
        ("report-data", "timing"),
        ("report-data", "studies.0"),
        ("report-data", "rows.1"),
        ("report-data", "rows.1.record"),
        ("report-data", "previous.0.record"),
    }


@pytest.mark.parametrize(("name", "version", "path"), NESTED)
@pytest.mark.parametrize(
    ("schema", "problem"),
    [(9, "newer version of rackbench"), (0, "older than"), (None, "schema version expected")],
)
def test_a_nested_document_of_another_schema_is_refused_by_its_place(name, version, path, schema, problem):
    raw = json.loads(frozen(name, version))
    inner = raw
    for key in path:
        inner = inner[key]
    inner["schema"] = schema
    with pytest.raises(ArtifactError, match=problem) as caught:
        KINDS[name].from_json(json.dumps(raw), where=f"there/{name}.json")
    place = "timings.0" if (name, path) == ("plan", ("timing",)) else ".".join(map(str, path))
    assert f" at {place}: " in caught.value.what
    assert caught.value.where == f"there/{name}.json"
    assert (schema != 9) or caught.value.hint == "upgrade rackbench"


def test_the_error_of_a_nested_document_names_kind_place_and_version():
    raw = json.loads(newest("report-data"))
    raw["rows"][1]["record"]["schema"] = 9
    with pytest.raises(ArtifactError) as caught:
        ReportData.from_json(json.dumps(raw), where="data.json")
    assert str(caught.value) == (
        "data.json: JobRecord at rows.1.record: written by a newer version of rackbench"
        " (schema 9, this one reads up to 2) — upgrade rackbench"
    )


@EACH
def test_a_document_with_a_field_that_nobody_knows_is_refused(name, version):
    with pytest.raises(ArtifactError, match="surprise"):
        KINDS[name].from_json(json.dumps({**json.loads(frozen(name, version)), "surprise": 1}), where=name)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("plan", {"cluster": 5}),
        ("plan", {"cluster": {"launcher": ["slurm"]}}),
        ("plan", {"jobs": 5}),
        ("plan", {"jobs": [{"hbm": 5}]}),
        ("plan", {"jobs": [{"hbm": [{"kv_gb": 1.0, "sequence_gb": "x"}]}]}),
        ("job", {"job": 5}),
        ("job", {"job": {"hbm": [None]}}),
        ("results", {"points": 5}),
        ("results", {"points": [1, None]}),
        ("results", {"points": [{"status": 7}]}),
        ("history-row", {"point": "none"}),
        ("history-row", {"record": []}),
        ("report-data", {"rows": {}}),
        ("report-data", {"rows": [1]}),
        ("report-data", {"timing": [], "studies": None}),
        ("report-data", {"fits": 5}),
        ("report-data", {"fits": [{"hbm": 5}]}),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_document_is_refused_in_every_version(name, changed, version):
    with pytest.raises(ArtifactError, match=rf"not a {KINDS[name].__name__}: {next(iter(changed))}"):
        KINDS[name].from_json(json.dumps({**json.loads(frozen(name, version)), **changed}), where=name)


class Leaf(Stored):
    schema_version: int = schema(3)
    final: int


class Holder(Document):
    leaf: Leaf


class Tree(Stored):
    one: Leaf | None
    many: tuple[Leaf, ...]
    named: Mapping[str, Annotated[Leaf, Field()]]
    either: Annotated[Holder | int, Field()]


STEPS = {"Leaf": (lambda raw: {"second": raw["first"] * 10}, lambda raw: {"final": raw["second"] + 1})}
OLD = {"schema": 1, "first": 1}
HALF = {"schema": 2, "second": 10}
NOW = {"schema": 3, "final": 11}


@pytest.mark.parametrize("leaf", [OLD, HALF, NOW])
@pytest.mark.parametrize("either", [7, {"leaf": OLD}])
def test_steps_are_taken_one_after_the_other_wherever_a_document_is_nested(monkeypatch, leaf, either):
    monkeypatch.setattr(upgrades, "STEPS", STEPS)
    raw = {"schema": 1, "one": None, "many": [NOW, leaf], "named": {"a": leaf}, "either": either}
    new = Leaf(final=11)
    assert Tree.from_json(json.dumps(raw), where="tree") == Tree(
        one=None,
        many=(new, new),
        named={"a": new},
        either=7 if either == 7 else Holder(leaf=new),
    )
    assert Tree.from_json(json.dumps({**raw, "one": leaf}), where="tree").one == new


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"many": [NOW, NOW, NOW, {"schema": 4}]}, "many.3"),
        ({"named": {"b": {"schema": 4}}}, "named.b"),
        ({"either": {"leaf": {"schema": 4}}}, "either.leaf"),
        ({"one": {"schema": 4}}, "one"),
    ],
)
def test_a_newer_document_is_found_wherever_it_is_nested(monkeypatch, changed, place):
    monkeypatch.setattr(upgrades, "STEPS", STEPS)
    raw = {"schema": 1, "one": None, "many": [], "named": {}, "either": 7, **changed}
    with pytest.raises(ArtifactError, match=rf"Leaf at {place}: .*\(schema 4, this one reads up to 3\)"):
        Tree.from_json(json.dumps(raw), where="tree")


def test_a_version_whose_step_is_gone_is_refused_as_too_old(monkeypatch):
    monkeypatch.setattr(upgrades, "STEPS", {"Leaf": STEPS["Leaf"][1:]})
    assert Leaf.from_json(json.dumps(HALF), where="leaf").final == 11
    with pytest.raises(ArtifactError, match=r"schema 1 is older .*\(2 to 3\)"):
        Leaf.from_json(json.dumps(OLD), where="leaf")


class Ambiguous(Stored):
    either: Leaf | Tombstone


def test_a_field_that_may_hold_two_stored_kinds_is_a_mistake_of_the_schema():
    with pytest.raises(TypeError, match="must follow from its place"):
        Ambiguous.from_json(json.dumps({"schema": 1, "either": NOW}), where="x")


def test_identities_are_computed_as_they_were():
    record = JobRecord.from_json(frozen("job", 1), where="job")
    assert record.job.recipe.deployment_digest == record.job.deployment_digest
    slowed = record.model_copy(
        update={"provenance": record.provenance.model_copy(update={"time_scale": 10.0})}
    )
    assert slowed.point_key(4) != record.point_key(4)  # a slowed simulation is another series
    assert record.point_key(4) == "f1dfa1b92f88f6a6e5e24bcda9c6b93293ed658eb1f52475f0d80f6531a37c3b"
    assert record.series_key(4) == "4d22226171cde473187859bfb2401b54ea97e53a35654b92f4f43b7be4280b9b"
