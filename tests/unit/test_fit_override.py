"""`fit: {accept: REASON}`: an author goes on although the deployment does not fit, and every reader says so."""

import json
from pathlib import Path

import pytest

from pipeline import cli, load
from pipeline.analyse import analyse
from pipeline.deployment import hbm as memory
from pipeline.render.evidence import hbm as memory_table
from pipeline.render.words.memory import verdict_text
from tests.fakes import recipe_set as small
from tests.fakes import rows
from tests.unit.test_cli import folder, handlers  # noqa: F401  # fixtures

REASON = "the rack has a larger GPU than its price list says"
TOO_LARGE = small.LLM.replace("routed_gb: 800.0", "routed_gb: 1600.0")
ACCEPTED = f"fit: {{accept: {REASON}}}\n"


@pytest.fixture
def unfit(folder):  # noqa: F811
    (folder / "models/small.yaml").write_text(TOO_LARGE)
    return folder / small.PATH


def test_without_it_every_verb_refuses_and_names_it(unfit, capsys):
    assert cli.run(["validate"], {}) == 3
    out = capsys.readouterr().out
    assert "prefill DEP4 does not fit tiny-2x4: 427.0 GB of weights" in out
    assert "DEP8 would fit; `fit: {accept: REASON}` lets it run anyway" in out
    assert cli.run(["fit", small.ID], {}) == 3
    assert cli.run(["plan", "--cluster", "here", "--out", "plan.json"], {}) == 4
    assert "does not fit in HBM" in capsys.readouterr().err


def test_with_it_validate_warns_fit_and_plan_go_on_and_show_prints_it(unfit, capsys):
    unfit.write_text(small.RECIPE + ACCEPTED)
    assert cli.run(["validate"], {}) == 0
    out, err = capsys.readouterr()
    assert f"recipes/{small.PATH}:3:1: warning: prefill DEP4 does not fit tiny-2x4" in out
    assert f"accepted: {REASON}" in out
    assert err == "0 errors, 1 warning\n"

    assert cli.run(["fit", small.ID], {}) == 0
    out = capsys.readouterr().out
    assert "\ndoes not fit (accepted)  small-fp4" in out
    assert f"  accepted: {REASON}\n" in out

    assert cli.run(["plan", "--cluster", "here", "--out", "plan.json"], {}) == 0
    err = capsys.readouterr().err
    assert f"{small.ID}: prefill DEP4 does not fit into HBM by the estimate; accepted: {REASON}" in err
    (job,) = json.loads(Path("plan.json").read_text("utf-8"))["jobs"]
    assert [one["accepted"] for one in job["hbm"]] == [REASON, REASON]

    assert cli.run(["show", small.ID], {}) == 0
    assert f"\n# may exceed HBM by the estimate; accepted: {REASON}\n" in capsys.readouterr().out


def test_the_matrix_of_a_workflow_prints_it_too(unfit, capsys):
    unfit.write_text(small.RECIPE + ACCEPTED)
    assert cli.run(["matrix", "--clusters", "here", "--out", "plans"], {}) == 0
    assert f"does not fit into HBM by the estimate; accepted: {REASON}" in capsys.readouterr().err


def test_accepting_what_fits_is_a_warning_at_its_line(folder, capsys):  # noqa: F811
    (folder / small.PATH).write_text(small.RECIPE + ACCEPTED)
    assert cli.run(["validate"], {}) == 0
    line = small.RECIPE.count("\n") + 1
    out = capsys.readouterr().out
    assert (
        f"recipes/{small.PATH}:{line}:7: warning: {small.ID} fits into HBM: there is nothing to accept" in out
    )


@pytest.mark.parametrize(
    "override", ["fit: {accept: ''}\n", "fit: {}\n", "fit: true\n", "fit: {accepted: x}\n"]
)
def test_an_override_without_a_reason_is_an_error(folder, override, capsys):  # noqa: F811
    (folder / small.PATH).write_text(small.RECIPE + override)
    assert cli.run(["validate"], {}) == 3
    line = small.RECIPE.count("\n") + 1
    assert f"recipes/{small.PATH}:{line}:" in capsys.readouterr().out


def test_accepting_what_is_unknown_is_no_warning(folder, capsys):  # noqa: F811
    (folder / small.PATH).write_text(small.RECIPE + ACCEPTED)
    (folder / "models/small.yaml").write_text(small.LLM.replace(", auto: fp8", ""))
    assert cli.run(["validate"], {}) == 0
    assert "accept" not in capsys.readouterr().out


def test_it_holds_for_the_sku_of_the_recipe_only():
    recipe_set = load.read(small.texts(recipe=small.RECIPE + ACCEPTED, llm=TOO_LARGE))
    recipe = recipe_set.recipes[small.ID]
    sku, llm = recipe_set.catalogue.skus["tiny-2x4"], recipe_set.catalogue.llms["small"]
    own, other = (
        memory.estimate(recipe, sku, llm),
        memory.estimate(recipe, sku.model_copy(update={"id": "x"}), llm),
    )
    assert [(one.accepted, one.stops) for one in own or ()] == [(REASON, False), (REASON, False)]
    assert [(one.accepted, one.stops) for one in other or ()] == [(None, True), (None, False)]


def test_it_changes_no_identity_of_a_deployment():
    with_it = load.read(small.texts(recipe=small.RECIPE + ACCEPTED)).recipes[small.ID]
    without = load.read(small.texts()).recipes[small.ID]
    assert with_it.fit != without.fit
    assert with_it.deployment_digest == without.deployment_digest


def test_the_memory_section_of_a_report_names_verdict_and_reason():
    hbm = rows.hbm(routed_gb=400.0).model_copy(update={"accepted": REASON})
    assert verdict_text(hbm) == "does not fit (accepted)"
    of = rows.recipe("1p1d-dep4-dep8")
    report = analyse(rows.report_data(rows.row(of, 4, (1.0, 4.0), hbm=(hbm,))))
    (row,) = memory_table(report).rows
    assert row[-1].startswith("does not fit (accepted): −")
    assert row[-1].endswith(f" ({REASON})")
