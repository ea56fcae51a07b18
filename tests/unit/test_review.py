"""A pull request is checked, compared and predicted; what cannot be said is said to be unknown."""

import json
import subprocess

import pytest

from pipeline import analyse, cli, render
from pipeline.deployment import layout
from pipeline.launch import dynamo
from pipeline.launch.addresses import Addresses
from pipeline.schema.publication import Annotation
from pipeline.schema.recipe import WorkerPool
from pipeline.schema.report import IsoCell
from pipeline.schema.review import IsoPair, ReviewFindings
from tests.fakes import recipe_set as small
from tests.fakes import rows

BASE, HEAD = "b" * 40, "a" * 40
OLD, NEW = rows.recipe(conc=(64,)), rows.recipe(conc=(64,), decode_flags={"max-num-seqs": 256})


def side(recipe, identity, **settings):
    return analyse.RecipeVersion(rows.record(recipe).job, {"prefill": {}, "decode": settings}, identity)


def comparison(before, after, *, ran=((100.0, 30.0), (90.0, 33.0)), failure="", **changed):
    """Both recipes at conc 64, as they would be replayed."""
    diffs = analyse.differences(before, after)
    old = [rows.row(one.job.recipe, 64, ran[0], run="before") for one in before.values()]
    new = [
        rows.row(one.job.recipe, 64, None if failure else ran[1], failure=failure, run="after")
        for one in after.values()
    ]
    changes = analyse.compare(new, old, planned=after, relevant_change=0.01, even_without_past=True)
    fields = {
        "problems": (),
        "recipes": diffs,
        "changes": changes,
        "kinds": analyse.kinds_of([*old, *new]),
        "base": BASE,
        "head": HEAD,
        "base_problems": 0,
    }
    return ReviewFindings(**{**fields, **changed})


def pair(at, before, after):
    cells = (
        IsoCell(total_tok_s_gpu=value, usd_per_mtok=None, ttft_p50_ms=None, shape="1P1D")
        for value in (before, after)
    )
    change = None if None in {before, after} else after / before - 1
    return IsoPair(sku=rows.GB300, interactivity=at, before=next(cells), after=next(cells), change=change)


def edited(**changed):
    names = {"--max-num-seqs": "512"}, {"--max-num-seqs": "256"}
    return comparison({OLD.id: side(OLD, "1", **names[0])}, {NEW.id: side(NEW, "2", **names[1])}, **changed)


def told(found):
    return analyse.with_verdict(found, 0.01)


def test_one_edit_is_named_in_the_first_line_with_what_it_is_predicted_to_do():
    made = told(edited())
    assert made.verdict == "worse"
    first = render.comment(made).splitlines()[0]
    assert first == (
        "### 🔴 6p1d-dep4-dep8, decode max-num-seqs 512 → 256: predicted −10.0 % tok/s/GPU at conc 64 (simulated)"
    )
    assert render.review_headline(made) == first.removeprefix("### ")


@pytest.mark.parametrize("name", ["6p1d-dep4-dep8", "6p1d-dep4-dep8" + "-long" * 9])
@pytest.mark.parametrize("failure", ["", "no timing for decode workers DEP12 on gb300-nvl72" * 3])
def test_no_headline_is_longer_than_110_characters(name, failure):
    old, new = (
        rows.recipe(name, conc=(64,)),
        rows.recipe(name, conc=(64,), decode_flags={"max-num-seqs": 256}),
    )
    names = {"--max-num-seqs": "512"}, {"--max-num-seqs": "256"}
    found = comparison(
        {old.id: side(old, "1", **names[0])}, {new.id: side(new, "2", **names[1])}, failure=failure
    )
    found = found.model_copy(update={"iso": (pair(15.5, 100.0, 89.0), pair(26.5, 100.0, 106.0))})
    line = render.review_headline(told(found))
    assert len(line) <= 110
    assert "+6.0 % tok/s/GPU at 26.5 tok/s/user, −11.0 % at 15.5 tok/s/user" in line


def test_curves_that_moved_go_before_points():
    made = told(edited(iso=(pair(15.0, 100.0, 89.0), pair(26.0, 100.0, 106.0), pair(50.0, 10.0, None))))
    assert made.verdict == "unknown"  # better here, worse there: for a person to weigh
    said = render.review_headline(made)
    assert "+6.0 % tok/s/GPU at 26 tok/s/user, −11.0 % at 15 tok/s/user" in said
    assert "_unreachable_" in render.comment(made)


def test_what_stays_within_the_bar_is_no_change():
    made = told(edited(ran=((100.0, 30.0), (100.5, 30.0))))
    assert made.verdict == "same"
    assert "predicted no change of 1.0 % or more" in render.review_headline(made)


SPECULATIVE = rows.recipe(conc=(64,), decode_flags={"speculative-config": {"method": "mtp", "num": 2}})


def test_a_change_that_is_not_simulated_is_named_first_and_is_never_the_same():
    names = {"--max-num-seqs": "512"}, {"--max-num-seqs": "512", "--speculative-config": '{"method":"mtp"}'}
    sides = {OLD.id: side(OLD, "1", **names[0])}, {SPECULATIVE.id: side(SPECULATIVE, "2", **names[1])}
    level = (pair(15.0, 100.0, 100.0), pair(26.0, 100.0, 100.0))
    made = told(comparison(*sides, ran=((100.0, 30.0), (100.0, 30.0)), iso=level))
    assert (made.verdict, made.prediction.kind) == ("unknown", "unseen")
    first = render.review_headline(made)
    assert "decode speculative-config: not simulated; effect on gb300-nvl72 6p1d-dep4-dep8 unknown" in first
    said = render.comment(made)
    assert said.index("Virtual time does not simulate these changes") < said.index(
        "Points at equal concurrency"
    )
    assert "no change" not in said


def test_a_predicted_loss_is_given_and_what_is_not_simulated_is_named_beside_it():
    both = rows.recipe(conc=(64,), decode_flags={"max-num-seqs": 256, "moe-backend": "triton"})
    sides = {OLD.id: side(OLD, "1")}, {both.id: side(both, "2", **{"--max-num-seqs": "256"})}
    made = told(comparison(*sides))
    assert (made.verdict, made.prediction.kind) == ("worse", "moved")
    assert (
        "predicted −10.0 % tok/s/GPU at conc 64; not simulated: decode moe-backend"
        in render.review_headline(made)
    )
    gain = told(comparison(*sides, ran=((100.0, 30.0), (110.0, 30.0))))
    assert (gain.verdict, gain.prediction.kind) == ("unknown", "moved")


def test_a_shape_that_was_never_calibrated_is_unknown_in_words():
    made = told(edited(failure="no timing for decode workers DEP12 on gb300-nvl72"))
    assert made.verdict == "unknown"
    assert "not predicted: failed now: no timing for decode workers DEP12" in render.review_headline(made)


def test_errors_are_red_and_stand_at_their_lines():
    problem = Annotation(path="recipes/a.yaml", line=3, severity="error", message="unknown key `titel`")
    made = told(ReviewFindings(problems=(problem,), base=BASE, head=HEAD, base_problems=0))
    assert made.verdict == "worse"
    assert "1 error in the recipes: nothing was predicted" in render.review_headline(made)
    assert "- **error** `recipes/a.yaml:3`: unknown key" in render.comment(made)


def test_nothing_changed_is_said_and_nothing_more():
    same = {OLD.id: side(OLD, "1")}
    made = told(
        ReviewFindings(
            problems=(), recipes=analyse.differences(same, same), base=BASE, head=HEAD, base_problems=0
        )
    )
    assert made.verdict == "same"
    assert "no recipe measures something else than at bbbbbbbbbbbb" in render.review_headline(made)
    assert "| ---" not in render.comment(made)


def test_a_new_recipe_is_no_verdict_and_a_removed_one_is_named():
    added = told(comparison({}, {NEW.id: side(NEW, "1")}))
    assert (added.verdict, added.recipes[0].state) == ("unknown", "added")
    assert "no earlier point to compare with" in render.review_headline(added)
    removed = analyse.differences({OLD.id: side(OLD, "1")}, {})
    assert [one.state for one in removed] == ["removed"]


def test_a_concurrency_that_is_measured_no_longer_is_no_gap():
    fewer = OLD.model_copy(update={"conc": (32,)})
    diffs = analyse.differences({OLD.id: side(OLD, "1")}, {OLD.id: side(fewer, "2")})
    old, new = rows.row(OLD, 64, (100.0, 30.0), run="before"), rows.row(fewer, 32, (60.0, 40.0), run="after")
    changes = analyse.compare([new], [old], planned={OLD.id}, relevant_change=0.01)
    made = told(
        ReviewFindings(problems=(), recipes=diffs, changes=changes, base=BASE, head=HEAD, base_problems=0)
    )
    assert {one.reason.kind for one in changes} == {"no-earlier-run", "no-longer-planned"}
    assert made.verdict == "unknown"
    assert "6p1d-dep4-dep8, conc 64 → 32: no earlier point to compare with" in render.review_headline(made)


def test_a_renamed_recipe_is_held_against_its_former_self():
    renamed = rows.recipe("6p1d-dep4-dep8-new", was=(OLD.id,))
    (diff,) = analyse.differences({OLD.id: side(OLD, "1")}, {renamed.id: side(renamed, "2")})
    assert diff.state == "changed"
    assert analyse.names_before((diff,), {OLD.id: side(OLD, "1")}, {renamed.id: side(renamed, "2")}) == {
        OLD.id
    }


def test_text_of_a_stranger_is_shown_and_not_obeyed():
    problem = Annotation(
        path="recipes/a.yaml", line=3, severity="error", message="@everybody <img src=x> | **loud**"
    )
    body = render.comment(told(ReviewFindings(problems=(problem,), base=BASE, head=HEAD, base_problems=0)))
    assert r"\@everybody \<img src=x> \| \*\*loud\*\*" in body


def git(folder, *words):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one recipe whose workers are calibrated."""
    for path, text in small.texts().items():
        target = tmp_path / "recipes" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "recipes/timing").mkdir()
    (tmp_path / "recipes/timing/small.json").write_text(small.timing().to_json())
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "base")
    git(tmp_path, "checkout", "-q", "-b", "change")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def review(*words):
    return cli.run(
        ["review", "--base", "main", "--cluster", "here", "--out", "review", "--workers", "1", *words],
        {"HEAD_REPOSITORY": "a/fork"},
    )


def test_a_broken_recipe_is_told_and_fails_the_job_that_looked(checkout):
    (checkout / "recipes" / small.PATH).write_text(small.RECIPE + "titel: x\n")
    git(checkout, "commit", "-qam", "typo")
    assert review() == 3
    said = json.loads((checkout / "review/review.json").read_text())
    assert (said["verdict"], said["repository"], len(said["head_sha"])) == ("worse", "a/fork", 40)
    assert said["annotations"][0]["line"] == 15
    assert (checkout / "review/comment.md").read_text().startswith("### 🔴 1 error")


def test_words_alone_change_nothing(checkout):
    (checkout / "recipes" / small.PATH).write_text(small.RECIPE.replace("One prefill", "A prefill"))
    git(checkout, "commit", "-qam", "words")
    assert review() == 0
    assert json.loads((checkout / "review/review.json").read_text())["verdict"] == "same"


def test_an_unknown_base_is_a_wrong_argument(checkout, capsys):
    assert cli.run(["review", "--base", "nowhere", "--out", "review"], {}) == 4
    assert "does not know" in capsys.readouterr().err


def test_settings_that_follow_from_the_place_of_a_worker_are_left_out():
    recipe = rows.recipe("2p1d-dep4-dep8")
    commands = dynamo.commands(
        recipe, served_name="m", model_path="/m", addresses=Addresses(layout.place(recipe, 4)), vllm=None
    )
    alike = dynamo.alike(commands)
    assert alike["decode"]["--max-num-seqs"] == "512"
    assert alike["decode"]["--data-parallel-size"] == "8"
    assert (
        not {"CUDA_VISIBLE_DEVICES=", "--data-parallel-rank", "--data-parallel-address", "VLLM_PORT="}
        & alike["decode"].keys()
    )
    assert WorkerPool(workers=1, tp=1, pp=1, dp=8, ep=8).gpus == sum(one.role == "decode" for one in commands)
