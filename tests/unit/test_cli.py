"""The front door: data on stdout, prose on stderr, an exit code for each kind of failure."""

import errno
import json
import os
import re
import signal
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.edge import interrupts
from pipeline.edge.scratch import sole
from pipeline.edge.shell import Shell
from pipeline.errors import PipelineError
from pipeline.flow import launching, serving
from pipeline.launch.base import RUN
from tests.fakes import recipe_set as small
from tests.fakes.launch_specs import GB300


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for path, text in {**small.texts(), "timing/small.json": small.timing().to_json()}.items():
        target = tmp_path / "recipes" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recipes"


@pytest.fixture(autouse=True)
def handlers():
    """Signals as a terminal leaves them, whoever runs the tests; then they are the test runner's again."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in interrupts.INTERRUPTS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_validate_says_each_problem_where_an_editor_finds_it(folder, capsys):
    (folder / small.PATH).write_text(small.RECIPE.replace("conc: [4, 8]", "conc: [8, 4]\ntitel: x"))
    assert cli.run(["validate"], {}) == 3
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"recipes/{small.PATH}:2:7: conc [8, 4] is not in rising order — write conc: [4, 8]",
        f"recipes/{small.PATH}:3:1: unknown key `titel` — did you mean `title`?",
    ]
    assert err == "2 errors, 0 warnings\n"


def test_validate_as_json_and_of_one_file(folder, capsys):
    (folder / "skus.yaml").write_text(small.SKUS + "  colour: red\n")
    assert cli.run(["validate", "--json"], {}) == 3
    (problem,) = json.loads(capsys.readouterr().out)
    assert (problem["path"], problem["line"], problem["severity"]) == ("recipes/skus.yaml", 19, "error")
    (folder / "skus.yaml").write_text(small.SKUS)
    (folder / "clusters/here.yaml").write_text(small.CLUSTER + "colour: red\n")
    assert cli.run(["validate", f"recipes/{small.PATH}"], {}) == 0


def test_validate_finds_the_recipes_around_a_file_named_from_elsewhere(
    folder, monkeypatch, tmp_path_factory, capsys
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert cli.run(["validate", str(folder / small.PATH)], {}) == 0
    assert cli.run(["validate", "nowhere.yaml"], {}) == 2
    assert "no recipes found" in capsys.readouterr().err


def test_annotations_are_printed_for_github(folder, capsys):
    (folder / small.PATH).write_text(small.RECIPE.replace("[4, 8]", "[8, 4]"))
    assert cli.run(["validate", "--annotate"], {}) == 3
    assert f"::error file=recipes/{small.PATH},line=2,col=7" in capsys.readouterr().err


def test_a_recipe_that_does_not_fit_is_a_problem_of_its_pool_and_the_fitting_shape_is_named(folder, capsys):
    (folder / "models/small.yaml").write_text(small.LLM.replace("routed_gb: 800.0", "routed_gb: 1600.0"))
    assert cli.run(["validate"], {}) == 3
    out = capsys.readouterr().out
    assert f"recipes/{small.PATH}:3:1: prefill DEP4 does not fit tiny-2x4" in out
    assert "DEP8 would fit" in out


def test_other_verbs_refuse_a_broken_recipe_with_all_problems(folder, capsys):
    (folder / small.PATH).write_text(small.RECIPE.replace("[4, 8]", "[]\ntitel: x"))
    assert cli.run(["fit", small.ID], {"GITHUB_ACTIONS": "true"}) == 3
    err = capsys.readouterr().err
    assert "2 problems" in err
    assert err.count("::error") == 2


def test_show_resolves_and_says_origins_and_commands(folder, capsys):
    assert cli.run(["show", small.ID, "--json"], {}) == 0
    assert json.loads(capsys.readouterr().out)["conc"] == [4, 8]
    assert cli.run(["show", f"recipes/{small.PATH}", "--origin"], {}) == 0
    assert f"[4, 8]  ({small.PATH}:2)" in capsys.readouterr().out
    assert cli.run(["show", small.ID, "--commands", "--json"], {}) == 0
    commands = json.loads(capsys.readouterr().out)
    assert sum(one["role"] == "decode" for one in commands) == 8


def test_an_unknown_recipe_gets_the_nearest(folder, capsys):
    assert cli.run(["show", small.ID[:-1]], {}) == 2
    assert f"did you mean `{small.ID}`?" in capsys.readouterr().err


def test_fit_answers_in_its_exit_code_and_as_json(folder, capsys):
    assert cli.run(["fit", "small-*", "--json"], {}) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["role"], row["verdict"]) for row in rows] == [("prefill", "fits"), ("decode", "fits")]
    assert cli.run(["fit", "small-*", "--sku", "nothing"], {}) == 2


def test_a_missing_timing_document_names_the_command_that_makes_it(folder, capsys):
    (folder / "timing/small.json").unlink()
    assert cli.run(["plan", "--cluster", "here", "--out", "plan.json"], {}) == 4
    assert "python -m pipeline calibrate" in capsys.readouterr().err


def test_a_plan_that_is_torn_or_foreign_is_refused(folder, capsys):
    Path("plan.json").write_text('{"schema": 1, "jobs"')
    assert cli.run(["run", "plan.json", "--out", "results"], {}) == 7
    assert "plan.json: not JSON" in capsys.readouterr().err
    assert cli.run(["run", "nowhere.json", "--out", "results"], {}) == 9


def test_schemas_are_written_and_checked(folder, capsys):
    assert cli.run(["schema", "--check"], {}) == 3
    assert cli.run(["schema"], {}) == 0
    assert cli.run(["schema", "--check"], {}) == 0
    (folder / "schema/recipe.json").write_text("{}")
    assert cli.run(["schema", "--check"], {}) == 3


def test_a_bug_is_called_one(folder, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(cli.recipes, "validate", broken)
    assert cli.run(["validate"], {}) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: boom" in err
    assert "this is a bug; rackbench 0." in err


def test_a_file_is_told_what_is_wrong_with_what_it_inherits(folder, capsys):
    (folder / "_base.yaml").write_text(small.BASE + "bogus: 1\n")
    assert cli.run(["validate", f"recipes/{small.PATH}"], {}) == 3
    assert "recipes/_base.yaml:25:1: unknown key `bogus`" in capsys.readouterr().out
    (folder.parent / "other.yaml").write_text("a: b\n")
    assert cli.run(["validate", "other.yaml"], {}) == 2
    assert "nothing here that validate reads" in capsys.readouterr().err


@pytest.mark.parametrize("stray", ["foo.yaml", f"{small.FOLDER}/9p1d.yml", "models/x/y.yaml"])
def test_a_file_that_nothing_reads_is_named(folder, stray, capsys):
    (folder / stray).parent.mkdir(exist_ok=True)
    (folder / stray).write_text("rubbish: 1\n")
    assert cli.run(["validate"], {}) == 3
    assert f"recipes/{stray}:1:1: no command reads this file" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "run p --out r --workers 0",
        "run p --out r --seed -1",
        "run p --out r --attempt 0",
        "run p --out r --run-id ../x",
        "retract 1 --history h --reason ",
        "drift a b --tolerance nan",
        "plan --cluster c",
    ],
)
def test_a_wrong_argument_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.run(words.split(" "), {})
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("run p --out r --workers 0", "argument --workers: '0' is not a whole number of 1 or more"),
        ("iso c --at 1,x", "argument --at: '1,x' is not a list of numbers above zero (such as 16,18,20)"),
        ("fetch --repo x --run-id 1 --out r", "argument --repo: 'x' is not a repository (OWNER/NAME)"),
        (
            "dispatch f --repo a/b --ref m --inputs []",
            "argument --inputs: '[]' is not a JSON object, or null",
        ),
    ],
)
def test_a_wrong_argument_says_what_is_expected(words, says, capsys):
    with pytest.raises(SystemExit):
        cli.run(words.split(" "), {})
    assert says in capsys.readouterr().err


def test_a_report_without_its_definition_names_the_definition(folder, capsys):
    assert cli.run(["report", "none.yaml", "--out", "build"], {}) == 9
    assert "cannot read none.yaml: No such file" in capsys.readouterr().err


def test_a_drift_against_a_file_that_is_not_there_names_the_file(folder, capsys):
    assert cli.run(["drift", "kept.json", "new.json"], {}) == 9
    assert "cannot read kept.json: No such file" in capsys.readouterr().err


def test_a_manifest_says_all_that_a_plan_would_start(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    plan = str(tmp_path / "plan.json")
    assert cli.run(["plan", "--cluster", "local-live", "--select", "*gb300*", "--out", plan], {}) == 0
    assert cli.run(["manifest", plan], {"GITHUB_RUN_ID": "77"}) == 0
    out = capsys.readouterr().out
    assert "run 77 attempt 1, on cluster local-live" in out
    assert out.count("python -m dynamo.mocker") == 2  # prefill; both decode workers alike
    assert cli.run(["manifest", plan, "--job", "nobody"], {}) == 4
    assert "no job 'nobody' in the plan" in capsys.readouterr().err


def test_a_load_client_that_is_not_there_is_told_before_anything_is_started(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    plan, out = str(tmp_path / "plan.json"), str(tmp_path / "results")
    assert cli.run(["plan", "--cluster", "local-live", "--select", "*gb300*", "--out", plan], {}) == 0
    assert cli.run(["run", plan, "--job", GB300, "--out", out], {"PATH": str(tmp_path)}) == 2
    assert "the load client 'aiperf' is not on PATH — `nox -s client` installs it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, " — free some space; no point is kept"),
        (errno.EROFS, " — choose a place that can be written; no point is kept"),
        (errno.EACCES, " — check the permissions; no point is kept"),
        (errno.EIO, " — no point is kept"),
    ],
)
def test_only_a_full_disk_is_reported_as_a_full_disk(monkeypatch, tmp_path, capsys, number, hint):
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(serving, "_measured", refused)
    plan = str(tmp_path / "plan.json")
    assert cli.run(["plan", "--cluster", "local-live", "--select", "*gb300*", "--out", plan], {}) == 0
    assert cli.run(["run", plan, "--job", GB300, "--out", str(tmp_path / "results")], {}) == 9
    assert f"cannot access somewhere: {os.strerror(number)}{hint}" in capsys.readouterr().err


def test_a_manifest_of_a_cluster_without_a_launcher_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    plan = str(tmp_path / "plan.json")
    assert cli.run(["plan", "--cluster", "laptop", "--out", plan], {}) == 0
    assert cli.run(["manifest", plan], {}) == 5
    assert "cluster laptop: a cluster without a launcher deploys nothing" in capsys.readouterr().err


RUN_ID = f"test-{os.getpid()}"  # a sweep acts on the whole machine, where other test runs may be active


def test_a_sweep_of_a_cluster_without_a_launcher_has_nothing_to_do(folder, capsys):
    assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 0
    assert capsys.readouterr() == ("", f"nothing left of run {RUN_ID} on here\n")


def test_a_sweep_ends_what_measures_in_virtual_time_though_nobody_launched_it(folder, tmp_path, capsys):
    with Shell().spawn(["env", f"{RUN}={RUN_ID}", "sleep", "600"], log=tmp_path / "log") as child:
        assert cli.run(["sweep", "--run-id", f"{RUN_ID}-b", "--cluster", "here"], {}) == 0
        assert child.poll() is None
        assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 0
        assert child.end() == -signal.SIGTERM
    assert f"ended process {child.pid} (measuring of {RUN_ID})" in capsys.readouterr().out


def test_pictures_know_no_font_of_the_machine(folder, monkeypatch):
    monkeypatch.setenv("FONTCONFIG_FILE", "/etc/fonts/fonts.conf")
    assert cli.run(["validate"], {}) == 0
    folders = re.findall(
        "<dir>(.*?)</dir>", Path(os.environ["FONTCONFIG_FILE"]).read_text()
    )  # with none, the usual ones are searched
    assert folders
    assert not any(Path(name).exists() for name in folders)


def test_an_interrupt_is_nobodys_failure_and_the_first_is_the_last(folder, monkeypatch, capsys):
    def sweep(*_: object, **__: object) -> list[str]:
        try:
            signal.raise_signal(signal.SIGTERM)
        except PipelineError:
            return ["taken for an answer"]
        finally:
            signal.raise_signal(signal.SIGINT)  # while things are taken down
            signal.raise_signal(signal.SIGHUP)
        return []

    monkeypatch.setattr(launching, "sweep", sweep)
    assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 130
    assert capsys.readouterr() == ("", "interrupted by signal 15\n")


def test_a_terminal_that_closes_interrupts_a_run_unless_it_was_told_not_to(folder, monkeypatch, capsys):
    monkeypatch.setattr(launching, "sweep", lambda *_, **__: signal.raise_signal(signal.SIGHUP) or [])
    assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 130
    assert "interrupted by signal 1\n" in capsys.readouterr().err
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 0


def test_a_broken_recipe_does_not_keep_a_sweep_from_its_work(folder, capsys):
    (folder / small.PATH).write_text("titel: broken\n")
    assert cli.run(["sweep", "--run-id", RUN_ID, "--cluster", "here"], {}) == 0
    assert f"nothing left of run {RUN_ID}" in capsys.readouterr().err


def test_a_sweep_removes_unfinished_folders_of_its_run_only(folder, capsys):
    gone = [
        ".bench-a-1-4o.x",
        ".bench-a-1-small-fp4.x",
        ".bench-a-1-small-fp4.y~0123abcd",
        ".logs-a-12_4567z",
    ]
    in_use = [".bench-a-2-small-fp4.x", ".bench-a-2-small-fp4.x~0123abcd"]
    (folder.parent / "out").mkdir()
    (folder.parent / "out/.bench-a-1-link~0123abcd").symlink_to(folder)
    stay = [
        *in_use,
        ".bench-a-1-link~0123abcd",
        ".logs-a-b-12_4567z",
        ".bench-a-b-1-small-fp4.x~0123abcd",
        "bench-a-1-small-fp4.x",
        ".logs-aa-12_4567z",
    ]
    out = folder.parent / "out"
    with sole(out / in_use[0]):
        for name in (*gone, *stay):
            (out / name).mkdir(exist_ok=True)
        assert cli.run(["sweep", "--cluster", "here", "--out", "out"], {"GITHUB_RUN_ID": "a"}) == 0
        left = {path.name for path in out.iterdir()}
    assert capsys.readouterr().out.splitlines() == [f"removed out/{name}" for name in gone]
    assert left == set(stay)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--cluster hare", 4, "unknown cluster 'hare' — did you mean `here`?"),
        ("--cluster here --out nowhere", 2, "nowhere: no such folder"),
    ],
)
def test_a_sweep_of_an_unknown_place_is_refused(folder, words, code, said, capsys):
    assert cli.run(["sweep", "--run-id", RUN_ID, *words.split()], {}) == code
    assert said in capsys.readouterr().err


def test_an_empty_attempt_in_the_environment_is_none():
    assert (
        cli.parser({"GITHUB_RUN_ATTEMPT": "", "GITHUB_RUN_ID": ""})
        .parse_args(["run", "p", "--out", "r"])
        .attempt
        == 1
    )


def test_every_verb_has_an_example_in_its_help(capsys):
    words = cli.parser({})
    verbs = words._subparsers._group_actions[0].choices
    assert set(verbs) >= {
        "validate",
        "show",
        "fit",
        "plan",
        "run",
        "calibrate",
        "ingest",
        "retract",
        "report",
    }
    for name, verb in verbs.items():
        assert f"example:\n  python -m pipeline {name} " in verb.format_help()


def test_each_verb_is_listed_on_one_line_in_its_group():
    words = cli.parser({})
    lines = words.format_help().splitlines()
    for name in words._subparsers._group_actions[0].choices:
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1
    assert {"recipes:", "measurements:", "history:", "reports:", "GitHub:"} <= set(lines)


def test_the_console_script_shows_its_own_name(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/rackbench"])
    with pytest.raises(SystemExit):
        cli.run(["query", "--help"], {})
    out = capsys.readouterr().out
    assert out.startswith("usage: rackbench query ")
    assert '\n  rackbench query "select' in out
