"""Simulated engines in the topology of the real ones."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path, PurePath

import numpy as np
import pytest

from pipeline.deployment.layout import instances, place
from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Child, Shell
from pipeline.errors import FileError, LaunchError, PipelineError
from pipeline.flow import launch_specs as flow_specs
from pipeline.flow.context import Context
from pipeline.launch import base, dynamo, local, machine, mocker
from pipeline.launch.addresses import Addresses
from pipeline.schema.cluster import Cluster, LocalSite
from pipeline.schema.endpoint import Cause, describe, describe_with_output, scratch_prefix
from pipeline.schema.recipe import ROLES
from tests.fakes import launch_specs
from tests.golden import tokenizer
from tests.golden.regenerate import RECIPES, manifests, recipe_set

GOLDEN = manifests()
LOCAL = {
    "launcher": "local",
    "isolation": "none",
    "time_scale": 1.0,
    "ready_s": 1,
    "time_s": 1,
    "stop_s": 1,
    "first_port": 2000,
    "last_port": 3000,
    "processes_per_core": 1,
}


def started(name: str, **decode: int) -> tuple[dynamo.Command, ...]:
    spec = launch_specs.spec(name, run_id="r", decode=decode)
    return mocker.commands(
        spec, place(spec.job.recipe, 4), mocker.MockerSettings("python", PurePath("/state"), 18000, 2.0)
    )


def value(command: dynamo.Command, option: str) -> str:
    return command.argv[command.argv.index(option) + 1]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_manifests_are_as_reviewed(path: Path) -> None:
    assert GOLDEN[path] == path.read_text("utf-8"), "python -m tests.golden.regenerate, then read the diff"
    assert path.suffix == ".sbatch" or GOLDEN[path].count("\n") <= 60


def test_no_golden_manifest_is_left_over() -> None:
    assert set(next(iter(GOLDEN)).parent.iterdir()) == set(GOLDEN)


@pytest.mark.parametrize(
    "name", [name for name, recipe in recipe_set().recipes.items() if recipe.sku == "gb200-nvl72"]
)
@pytest.mark.parametrize("mode", ["per-gpu", "per-tray"])
def test_simulated_engines_are_those_of_the_real_deployment_that_register(name: str, mode: str) -> None:
    spec = launch_specs.spec(name, run_id="r")
    recipe = spec.job.recipe.model_copy(update={"dp_launch": mode})
    layout = place(recipe, 4)
    real = dynamo.commands(
        recipe, served_name="LLM", model_path="/model", addresses=Addresses(layout), vllm=None
    )
    simulated = mocker.commands(spec, layout, mocker.MockerSettings("python", PurePath("/state"), 18000, 1.0))
    registering = [one.name for one in real if one.role in ROLES and "--headless" not in one.argv]
    assert [one.name for one in simulated] == ["frontend", *registering]
    assert {role: sum(one.role == role for one in simulated) for role in ROLES} == instances(layout)
    for role in ROLES:
        ranks = sum(int(value(one, "--data-parallel-size")) for one in simulated if one.role == role)
        assert ranks == recipe.pools[role].ranks


def test_no_two_processes_share_a_port() -> None:
    frontend, *workers = started(launch_specs.GB200)
    ports = [int(value(frontend, "--http-port")), *(int(one.env["DYN_SYSTEM_PORT"]) for one in workers)]
    assert ports == list(range(18000, 18000 + len(ports)))


def test_time_scale_divides_the_speed_of_engines_and_of_kv_transfer() -> None:
    workers = started(launch_specs.GB300)[1:]
    assert {value(one, "--speedup-ratio") for one in workers} == {"0.5"}
    assert {value(one, "--kv-transfer-bandwidth") for one in workers} == {"450"}


def test_time_scale_is_part_of_what_a_cluster_measures_and_ports_are_not() -> None:
    plain = launch_specs.cluster().measured_digest
    assert launch_specs.cluster(time_scale=30.0).measured_digest != plain
    assert launch_specs.cluster(first_port=20000, ready_s=1).measured_digest == plain


@pytest.mark.parametrize(
    ("name", "field", "changes"),
    [
        ("gb200-slurm", {"segment": False}, True),
        ("gb200-slurm", {"partition": "other"}, False),
        ("gb300-k8s", {"compute_domain": False}, True),
        ("gb300-k8s", {"namespace": "other"}, False),
    ],
)
def test_what_may_keep_kv_off_nvlink_is_part_of_a_clusters_identity(name, field, changes):
    cluster = recipe_set().catalogue.clusters[name]
    changed = cluster.model_copy(update={"site": cluster.site.model_copy(update=field)})
    assert (changed.measured_digest != cluster.measured_digest) is changes


def test_timing_tables_are_written_where_the_workers_are_told(tmp_path: Path) -> None:
    where = mocker.MockerSettings("python", tmp_path, 18000, 1.0)
    mocker.write_tables(launch_specs.spec(launch_specs.GB300, run_id="r"), where)
    prefill, decode = (np.load(mocker.table_path(role, where)) for role in ROLES)
    assert prefill["prefill_ttft_ms"][1] / prefill["prefill_isl"][1] == pytest.approx(
        1000 / (14270 * 4)
    )  # TEP4: 14,270 tok/s and GPU
    assert decode["decode_itl"][0, 0] == pytest.approx(13.14)
    assert all(table[name].dtype == np.float64 for table in (prefill, decode) for name in table.files)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"site": LOCAL, "engine_override": "mocker", "timing": "t"}, {}),
        ({"site": LOCAL}, {"engine_override": "launcher local"}),
        ({"site": LOCAL, "engine_override": "mocker"}, {"timing": "engine mocker"}),
        ({"site": {"launcher": "slurm", "partition": "p", "segment": True}}, {}),
        ({"site": {"launcher": "none"}}, {"launcher": "measure aiperf"}),
        ({"site": {"launcher": "none"}, "measure": "replay"}, {"timing": "measure replay"}),
    ],
)
def test_a_cluster_document_says_what_it_lacks(changes: dict[str, object], missing: dict[str, str]) -> None:
    bare = {"id": "here", "title": "t", "skus": ["s"], "measure": "aiperf", "runs_on": ["r"], "racks": 1}
    assert Cluster.model_validate_json(json.dumps(bare | changes)).needs() == missing


def test_a_recipe_too_big_for_the_machine_says_what_it_would_need() -> None:
    site = launch_specs.cluster(processes_per_core=1).site
    assert isinstance(site, LocalSite)
    with pytest.raises(
        LaunchError,
        match=r"2000 engine processes, .* need 2000 cores and 261\.1 GB, there are \d+ cores and .* GB free",
    ) as caught:
        machine.refuse_size(2000, site)
    assert "virtual time" in caught.value.hint


def test_a_missing_tokenizer_is_named_with_the_place_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        LaunchError, match=r"no tokenizer\.json, tokenizer_config\.json for deepseek-v4-pro"
    ) as caught:
        machine.refuse_model(
            launch_specs.spec(launch_specs.GB300, run_id="r", model_path=tmp_path), launch_specs.cluster()
        )
    assert caught.value.where == str(tmp_path)
    assert "model_paths" in caught.value.hint


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"], ids=["torn", "no text"])
def test_a_broken_tokenizer_is_refused_before_anything_is_started(tmp_path: Path, content: bytes) -> None:
    """Dynamo only logs it, and never lists the LLM."""
    for name in machine.FILES:
        (tmp_path / name).write_text("{}")
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(LaunchError, match="not JSON") as caught:
        machine.refuse_model(
            launch_specs.spec(launch_specs.GB300, run_id="r", model_path=tmp_path), launch_specs.cluster()
        )
    assert caught.value.where == str(tmp_path / "tokenizer.json")


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.FILES:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(Path, "is_file", Path.exists)  # root may read any file, but no folder as one
    with pytest.raises(FileError, match=r"cannot read .*/config.json: Is a directory"):
        machine.refuse_model(
            launch_specs.spec(launch_specs.GB300, run_id="r", model_path=tmp_path), launch_specs.cluster()
        )


def test_a_folder_for_temporary_files_too_deep_for_the_clients_sockets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    lab = launch_specs.spec(launch_specs.GB300, run_id="r")
    with pytest.raises(LaunchError, match="the path is too long for the sockets") as caught:
        local.deployed(lab, launch_specs.cluster(isolation="none"), clients=None, logs=tmp_path).__enter__()  # type: ignore[arg-type]  # nothing is started
    assert caught.value.where == str(deep)
    assert "TMPDIR" in caught.value.hint


def test_the_longest_run_id_leaves_room_for_the_clients_sockets() -> None:
    machine.refuse_temporary(
        launch_specs.spec(launch_specs.GB300, run_id="r" * 64), Path("/run/user/1000/tmp")
    )
    assert scratch_prefix("r" * 64) != scratch_prefix("r" * 63)


def test_dynamo_that_is_not_installed_is_answered_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("ai-dynamo-of-another-world",))
    with pytest.raises(
        PipelineError, match=r"needs the extra `simulate` \(ai-dynamo-of-another-world is not installed\)"
    ):
        machine.versions()


def test_an_llm_that_a_cluster_has_no_files_of_is_named_with_the_field_to_fill() -> None:
    bare = launch_specs.cluster().model_copy(update={"model_paths": {}})
    with pytest.raises(LaunchError, match="no files of deepseek-v4-pro") as caught:
        flow_specs._model_path(
            Context(Shell(), SystemClock(), RECIPES, http=SystemHttp), bare, "deepseek-v4-pro"
        )
    assert "model_paths.deepseek-v4-pro" in caught.value.hint


def test_a_wall_clock_limit_and_a_name_come_before_every_command() -> None:
    site = launch_specs.cluster(time_s=99).site
    assert isinstance(site, LocalSite)
    words = local._prefix({"A": "1"}, site)
    assert words[:2] == ["env", "A=1"]
    assert words[words.index("timeout") + 2] == "99"


def test_the_tokenizer_is_what_its_maker_makes() -> None:
    assert {
        path.name: path.read_text("utf-8") for path in tokenizer.FOLDER.iterdir() if path.suffix == ".json"
    } == tokenizer.files()


def test_smoke_recipes_run_where_smoke_runs_and_nowhere_else() -> None:
    found = recipe_set()
    smoke = {name for name, recipe in found.recipes.items() if recipe.purpose == "smoke"}
    assert smoke == {launch_specs.GB200, launch_specs.GB300}
    assert [name for name, cluster in found.catalogue.clusters.items() if cluster.purpose == "smoke"] == [
        "local-live"
    ]


def test_one_job_of_a_run_is_swept_without_its_siblings():
    run = f"sweep-me.{os.getpid()}"

    def job(name: str) -> Child:
        return Shell().spawn(
            ["sleep", "60"], log=Path("/dev/null"), env={base.RUN: run, base.JOB: name, "PATH": os.defpath}
        )

    with job("a") as mine, job("b") as sibling:
        assert local.sweep(run, launch_specs.cluster(), clients=None, job="a") == [
            f"ended process {mine.pid} (measuring of a)"
        ]
        assert sibling.poll() is None


@pytest.mark.parametrize(
    ("code", "limit_reached", "cause", "text"),
    [
        (124, False, Cause.TIME_LIMIT, "decode-0 reached its wall-clock limit"),
        (-9, True, Cause.TIME_LIMIT, "decode-0 reached its wall-clock limit"),
        (-9, False, Cause.KILLED, "decode-0 was killed by signal 9"),
        (3, True, Cause.EXITED, "decode-0 exited with 3"),
    ],
)
def test_a_limit_that_ends_in_a_kill_is_reported_as_the_limit(tmp_path, code, limit_reached, cause, text):
    log = tmp_path / "decode-0.log"
    log.write_text("".join(f"{number}\n" for number in range(20)))
    found = local._exit("decode-0", code, log, limit_reached=limit_reached)
    assert (found.cause, found.code, found.last_output) == (cause, code, tuple(map(str, range(8, 20))))
    assert describe(found) == text
    assert describe_with_output(found).startswith(f"{text}; the end of {log}:\n  8\n  9\n")


def test_the_four_clusters_have_the_digests_that_they_had_before_their_site_was_one_field():
    assert {name: cluster.measured_digest for name, cluster in recipe_set().catalogue.clusters.items()} == {
        "gb200-slurm": "b7f5019dc845897d2db6e52e1e9506633e200cc9f6e750ae498cd67808915a1c",
        "gb300-k8s": "a38a7c6d3186e2e0e18f01e9dad685fcbae5d077e1c668cd29e409023cd32f4f",
        "laptop": "36d1443b6f325870f12043021d2a0af758ee9c8c22f91ef006a061d75ff55e37",
        "local-live": "bb96b5b83dad5c7d2b40d9f741b784110a8de7b6def02f80ff532148368b33ed",
    }
