"""Timing belongs to an LLM, a precision, a SKU and worker kinds; another recipe is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import cli, load
from pipeline import plan as planning
from pipeline.deployment import timings
from pipeline.deployment.worker_kinds import worker_kind
from pipeline.errors import MeasureError, PlanError
from pipeline.flow.context import texts
from pipeline.schema.plan import Plan
from pipeline.schema.timing import Range
from tests.fakes import recipe_set as small

BOOK = load.read(texts(Path(__file__).parents[2] / "recipes"))


@pytest.fixture
def recipe():
    return load.read(small.texts()).recipes[small.ID]


def of(name: str, **changed):
    """The timing document of another LLM, or with other ranges."""
    return small.timing().model_copy(update={"model": name, **changed})


def fitted(document, axis: str, low: float, high: float):
    """The document with this range of decode."""
    (sku,) = document.skus
    decode = sku.decode[0].model_copy(update={"fitted": {axis: Range(low=low, high=high)}})
    return document.model_copy(update={"skus": (sku.model_copy(update={"decode": (decode,)}),)})


@pytest.mark.parametrize(
    ("documents", "what", "hint"),
    [
        ([], "no timing for small in fp4", "pipeline calibrate"),
        ([of("other")], "no timing for small in fp4", "there is timing for other in fp4"),
        ([of("small", precision="fp8")], "no timing for small in fp4", "there is timing for small in fp8"),
        ([of("other"), of("small", skus=())], "no timing for small in fp4 on tiny-2x4", "calibrate this SKU"),
    ],
)
def test_timing_of_another_llm_precision_or_sku_is_refused_by_name(recipe, documents, what, hint):
    with pytest.raises(MeasureError, match=f"^.*{what}") as caught:
        timings.choose(documents, recipe)
    assert caught.value.where == small.ID
    assert hint in caught.value.hint


def test_a_worker_kind_that_no_document_has_is_refused_with_the_kinds_that_there_are(recipe):
    wider = recipe.model_copy(update={"decode": recipe.decode.model_copy(update={"dp": 12, "ep": 12})})
    with pytest.raises(MeasureError, match="no timing for decode workers DEP12 on tiny-2x4") as caught:
        timings.choose([of("other"), small.timing()], wider)
    assert "calibrated: DEP8" in caught.value.hint


def test_of_several_documents_that_of_the_llm_counts(recipe):
    own = small.timing()
    assert timings.choose([of("other"), own, of("small", precision="fp8")], recipe) is own


def test_of_several_documents_of_an_llm_the_one_that_covers_the_workload_counts(recipe):
    short = fitted(small.timing(), "context tokens", 100.0, 1100.0)
    long = fitted(small.timing(), "context tokens", 6553.6, 9216.0)
    assert timings.choose([short, long], recipe) is long


def test_an_offload_flag_that_is_null_is_no_offload(recipe):
    flags = {**recipe.prefill.flags, "offload-group-size": None}
    pool = recipe.prefill.model_copy(update={"flags": flags})
    assert worker_kind(recipe.model_copy(update={"prefill": pool}), "prefill") == "DEP4"


def test_the_plan_leaves_out_what_has_no_timing_and_says_what_would_be_needed():
    book = load.read(small.texts())
    cluster = book.catalogue.clusters["here"]
    job = planning.job(book.recipes[small.ID], cluster, book.catalogue, [of("other")], None)
    assert "timing" not in job.environment
    request = planning.PlanRequest("p", "nightly", created_at="now")
    with pytest.raises(PlanError, match="nothing to run") as caught:
        planning.plan(request, cluster, book.catalogue, [of("other")], [planning.PlanCandidate(job)])
    assert "no timing for small in fp4" in caught.value.hint
    assert "there is timing for other in fp4" in caught.value.hint


def test_a_cluster_may_have_several_timing_documents_or_one():
    several = small.CLUSTER.replace("timing: timing/small.json", "timing: [timing/a.json, timing/b.json]")
    found = load.read(small.texts(cluster=several)).catalogue.clusters["here"]
    assert found.timings == ("timing/a.json", "timing/b.json")
    one = load.read(small.texts()).catalogue.clusters["here"]
    assert one.timings == ("timing/small.json",)
    assert one.measured_digest == found.measured_digest


def test_a_plan_of_schema_2_has_its_one_document_in_the_list():
    frozen = Path(__file__).parents[1] / "contract/frozen"
    old = json.loads((frozen / "plan.2.json").read_text("utf-8"))
    plan = Plan.from_json(json.dumps(old), where="plan.json")
    assert [one.model for one in plan.timings] == [old["timing"]["model"]]
    none = Plan.from_json(json.dumps({**old, "timing": None}), where="plan.json")
    assert none.timings == ()


def test_ranges_are_no_part_of_the_digest_of_a_document():
    plain = small.timing()
    assert fitted(plain, "context tokens", 1.0, 2.0).measured_digest == plain.measured_digest


def checkout(folder: Path, timing: str | None) -> None:
    files = {f"recipes/{path}": text for path, text in small.texts().items()}
    if timing is not None:
        files["recipes/timing/small.json"] = timing
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        (small.timing().to_json(), None),
        (
            of("other").to_json(),
            "recipes/_base.yaml:1:1: warning: cluster here cannot simulate small in fp4: it has timing for other in fp4",
        ),
        (None, "recipes/clusters/here.yaml:7:9: "),
        ("{", "recipes/clusters/here.yaml:7:9: "),
        (small.timing().to_json().replace('"schema": 2', '"schema": 9'), "newer version of rackbench"),
    ],
)
def test_validate_reports_timing_for_another_llm_and_timing_that_cannot_be_read(
    tmp_path, monkeypatch, capsys, timing, said
):
    checkout(tmp_path, timing)
    monkeypatch.chdir(tmp_path)
    code = cli.run(["validate"], {})
    told = capsys.readouterr()
    assert code == (3 if said and "warning" not in said else 0)
    assert (said or "0 errors, ") in told.out + told.err
    assert ("cannot simulate" in told.out + told.err) is bool(said and "warning" in said)
