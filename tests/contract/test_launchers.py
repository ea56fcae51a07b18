"""What every launcher promises. A new one adds itself to ``LABS``: how it is tried without a rack."""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.edge.clients import Clients
from pipeline.edge.shell import Shell
from pipeline.errors import InterruptedRunError, LaunchError
from pipeline.launch import base
from pipeline.launch.base import Launcher, LaunchSpec
from pipeline.launch.launchers import LAUNCHERS
from pipeline.schema.cluster import Cluster
from pipeline.schema.recipe import ROLES
from tests.fakes import launch_specs
from tests.fakes.clock import FakeClock
from tests.fakes.dynamo import FakeDynamo, FakeShell
from tests.fakes.slurm import FakeJob, FakeSlurm

RUN = f"contract.{os.getpid()}"  # two sessions on one machine do not meet


@dataclass(frozen=True)
class Lab:
    """An order and a cluster for one launcher, a world in which they work, and the words for what they break by."""

    cluster: Cluster
    spec: Callable[[], LaunchSpec]
    clients: Callable[
        ..., Clients
    ]  # dying: name -> last words; missing: True = one decode instance never comes
    running: Callable[[Clients], list[str]]  # what is up
    limit: str  # the wall-clock limit as the manifest says it
    process: str  # one that may die
    incomplete: Cluster  # a document without a field that the launcher needs
    needed: str  # that field
    lose: Callable[[Clients], None]  # an instance leaves the frontend's list, and its process lives
    left: Callable[
        [str, str], AbstractContextManager[Callable[[], bool]]
    ]  # run, job: something that nobody took down; is it there?


def local_lab(_folder: Path) -> Lab:
    cluster = launch_specs.cluster(isolation="none")

    def clients(dying: dict[str, str] | None = None, *, missing: bool = False) -> Clients:
        served = launch_specs.spec(run_id=RUN).llm.served_name
        return Clients(
            FakeShell(dying or {}), FakeDynamo(served, {"prefill": 1, "backend": 2 - missing}), FakeClock()
        )  # type: ignore[arg-type]  # stands in for it

    return Lab(
        cluster=cluster,
        spec=lambda: launch_specs.spec(run_id=RUN),
        clients=clients,
        running=lambda clients: clients.shell.running,  # type: ignore[attr-defined]  # ours
        limit="wall-clock limit 1800 s",
        process="decode-1",
        incomplete=cluster.model_copy(update={"timing": None}),
        needed="timing",
        lose=lambda clients: clients.http.instances.update(backend=1),  # type: ignore[attr-defined]  # ours
        left=left_process,
    )


@contextmanager
def left_process(run: str, job: str) -> Iterator[Callable[[], bool]]:
    marks = {base.RUN: run, base.JOB: job, "PATH": os.defpath}
    with Shell().spawn(["sleep", "600"], log=Path(os.devnull), env=marks) as child:
        yield lambda: child.poll() is None


def with_limits(spec: LaunchSpec, **limits: int) -> LaunchSpec:
    recipe = spec.job.recipe
    recipe = recipe.model_copy(update={"limits": recipe.limits.model_copy(update=limits)})
    return dataclasses.replace(spec, job=spec.job.model_copy(update={"recipe": recipe}))


def slurm_lab(folder: Path) -> Lab:
    world: dict[str, FakeJob] = {}  # the queue, which outlives the launcher
    cluster = launch_specs.slurm_cluster(folder)

    def clients(dying: dict[str, str] | None = None, *, missing: bool = False) -> Clients:
        served = launch_specs.spec(run_id=RUN).llm.served_name
        dynamo = FakeDynamo(served, {"prefill": 1, "backend": 2 - missing})
        return Clients(FakeSlurm(dynamo, dying or {}, world), dynamo, FakeClock())  # type: ignore[arg-type]  # stands in for it

    @contextmanager
    def left_job(run: str, job: str) -> Iterator[Callable[[], bool]]:
        left = FakeJob(str(len(world)), "any", f"rackbench:{run}:{job}:1")
        world[left.id] = left
        yield lambda: left.state == "RUNNING"

    return Lab(
        cluster=cluster,
        spec=lambda: with_limits(launch_specs.spec(run_id=RUN), ready_s=60),
        clients=clients,
        running=lambda clients: clients.shell.running,  # type: ignore[attr-defined]  # ours
        limit="#SBATCH --time=08:00:00",
        process="decode-1",
        incomplete=cluster.model_copy(update={"site": cluster.site.model_copy(update={"work_dir": None})}),
        needed="site.work_dir",
        lose=lambda clients: clients.http.instances.update(backend=1),  # type: ignore[attr-defined]  # ours
        left=left_job,
    )


LABS: dict[str, Callable[[Path], Lab]] = {"local": local_lab, "slurm": slurm_lab}


@pytest.fixture(params=LAUNCHERS)
def launcher(request) -> Launcher:
    return LAUNCHERS[request.param]


@pytest.fixture
def lab(request, launcher, tmp_path) -> Lab:
    folder = tmp_path / "site"
    folder.mkdir()
    return LABS[request.node.callspec.params["launcher"]](folder)


def test_every_launcher_is_tried_here_and_can_be_named_by_a_cluster():
    assert LABS.keys() == LAUNCHERS.keys()
    sites = typing.get_args(Cluster.model_fields["site"].annotation)
    named = [name for site in sites for name in typing.get_args(site.model_fields["launcher"].annotation)]
    assert LAUNCHERS.keys() <= set(named)


@pytest.mark.parametrize("function", ["manifest", "deployed", "status", "sweep"])
def test_a_launcher_has_the_functions_of_the_protocol(launcher, function):
    wanted = [name for name in inspect.signature(getattr(Launcher, function)).parameters if name != "self"]
    assert list(inspect.signature(getattr(launcher, function)).parameters) == wanted


def test_a_manifest_is_the_same_twice_and_names_run_and_limit(launcher, lab):
    text = launcher.manifest(lab.spec(), lab.cluster)
    assert launcher.manifest(lab.spec(), lab.cluster) == text
    assert RUN in text
    assert lab.limit in text
    assert lab.spec().job.id in text


def test_a_deployment_is_up_inside_its_with_and_down_after_it(launcher, lab, tmp_path):
    clients = lab.clients()
    with launcher.deployed(lab.spec(), lab.cluster, clients=clients, logs=tmp_path) as endpoint:
        assert lab.running(clients)
        assert endpoint.changes() == []
        assert endpoint.url.startswith("http://")
        assert endpoint.served_name == lab.spec().llm.served_name
        assert {one.role for one in endpoint.instances} == set(ROLES)
        assert list(endpoint.place.command(["aiperf", "--help"]))[-2:] == ["aiperf", "--help"]
        assert endpoint.place.read(endpoint.frontend_log, start=0) is not None
        assert endpoint.versions
        assert {one.name for one in endpoint.instances} <= endpoint.commands.keys()
        assert all(RUN in " ".join(argv) for argv in endpoint.commands.values())
        assert all(seconds >= 0 for seconds in endpoint.stages_s.values())
    assert lab.running(clients) == []


def test_a_deployment_that_has_lost_an_instance_says_so(launcher, lab, tmp_path):
    clients = lab.clients()
    with launcher.deployed(lab.spec(), lab.cluster, clients=clients, logs=tmp_path) as endpoint:
        lab.lose(clients)
        assert endpoint.changes() != []


@pytest.mark.parametrize("error", [ValueError, InterruptedRunError, KeyboardInterrupt])
def test_whatever_ends_a_measurement_takes_the_deployment_down(launcher, lab, tmp_path, error):
    clients = lab.clients()
    with pytest.raises(error), launcher.deployed(lab.spec(), lab.cluster, clients=clients, logs=tmp_path):
        raise error("enough")
    assert lab.running(clients) == []


def test_a_deployment_that_is_never_ready_is_given_up_at_its_limit_and_taken_down(launcher, lab, tmp_path):
    clients = lab.clients(missing=True)
    with pytest.raises(LaunchError, match="1 of 2 decode instances"):
        launcher.deployed(lab.spec(), lab.cluster, clients=clients, logs=tmp_path).__enter__()
    assert lab.running(clients) == []


def test_a_process_that_dies_ends_the_waiting_at_once_with_its_last_words(launcher, lab, tmp_path):
    clients = lab.clients({lab.process: "cannot allocate"}, missing=True)
    with pytest.raises(LaunchError, match=f"(?s){lab.process} .*cannot allocate"):
        launcher.deployed(lab.spec(), lab.cluster, clients=clients, logs=tmp_path).__enter__()
    assert clients.clock.monotonic() == 0
    assert lab.running(clients) == []


def test_a_cluster_document_without_a_field_that_is_needed_is_refused_by_its_name(launcher, lab, tmp_path):
    with pytest.raises(LaunchError, match=lab.needed) as caught:
        launcher.manifest(lab.spec(), lab.incomplete)
    assert lab.incomplete.id in caught.value.where
    with pytest.raises(LaunchError, match=lab.needed):
        launcher.deployed(lab.spec(), lab.incomplete, clients=lab.clients(), logs=Path("unused")).__enter__()


def test_a_status_names_the_jobs_of_the_run_and_no_others(launcher, lab):
    with lab.left(RUN, "a"), lab.left(f"{RUN}-2", "b"):
        found = launcher.status(RUN, lab.cluster, clients=lab.clients())
        assert [(one.job, one.attempt) for one in found] == [("a", 1)]
        launcher.sweep(RUN, lab.cluster, clients=lab.clients())
        assert launcher.status(RUN, lab.cluster, clients=lab.clients()) == []


def test_there_is_nothing_to_sweep_of_a_run_that_never_was(launcher, lab):
    assert launcher.sweep("never-was", lab.cluster, clients=lab.clients()) == []


def test_a_sweep_takes_what_carries_the_id_and_nothing_else(launcher, lab):
    def sweep(job: str | None = None) -> list[str]:
        return launcher.sweep(RUN, lab.cluster, clients=lab.clients(), job=job)

    with lab.left(RUN, "a") as mine, lab.left(f"{RUN}-2", "a") as stranger, lab.left(RUN, "b") as sibling:
        assert len(sweep("a")) == 1
        assert (mine(), stranger(), sibling()) == (False, True, True)
        assert len(sweep()) == 1
        assert (stranger(), sibling()) == (True, False)
        assert sweep() == []
