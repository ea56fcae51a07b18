"""The Slurm launcher without a Slurm: what its commands print, recorded from 22.05.8, and how a job that goes wrong ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.edge.clients import Clients
from pipeline.edge.shell import Completed
from pipeline.errors import FailureKind, LaunchError, PipelineError
from pipeline.launch import failures, retries, slurm, slurm_script
from pipeline.launch.slurm_client import JobState, Phase, Slurm
from pipeline.launch.slurm_job import RunningJob
from pipeline.schema.endpoint import Cause, DeploymentChange
from tests.fakes import launch_specs
from tests.fakes.clock import FakeClock
from tests.fakes.dynamo import FakeDynamo
from tests.fakes.slurm import FakeJob, FakeSlurm

RUN = "r1"
LINE = (
    "JobId=7 JobName=wrap UserId=root(0) GroupId=root(0) Account=(null) QOS=(null) JobState={state} Reason={reason}"
    " Dependency=(null) Requeue=0 Restarts=0 ExitCode={code} PreemptTime={preempt} NodeList=gb[01-02] BatchHost=gb01"
    " NumNodes=2 CPUs/Task=1 ReqB:S:C:T=0:0:*:* Comment=rackbench:r1:a:1 \n"
)


class Answers:
    """Each program answers with the same text, or fails."""

    def __init__(self, **answers: Completed | PipelineError) -> None:
        self.answers = answers

    def run(self, argv, **_):
        found = self.answers[f"{argv[0]}_c" if "--completion" in argv else argv[0]]
        if isinstance(found, PipelineError):
            raise found
        return found


def shown(state: str, reason: str = "None", code: str = "0:0", preempt: str = "None") -> JobState:
    line = LINE.format(state=state, reason=reason, code=code, preempt=preempt)
    return Slurm(Answers(scontrol=Completed(0, line, ""))).state("7")


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (shown("PENDING", "Priority"), Phase.QUEUED),
        (shown("CONFIGURING"), Phase.CONFIGURING),
        (shown("RUNNING"), Phase.RUNNING),
        (shown("COMPLETING", "NodeDown"), Phase.ENDING),
        (shown("COMPLETED"), Phase.ENDED),
        (shown("NODE_FAIL", "NodeDown", "1:0"), Phase.ENDED),
        (shown("SPECIAL_EXIT"), Phase.ENDED),
    ],
)
def test_the_phase_of_a_job_is_read_from_its_state(found, phase):
    assert (found.phase, found.nodes) == (phase, "gb[01-02]")


def test_only_completed_with_zero_is_a_success():
    assert shown("COMPLETED").is_success
    others = [
        shown("COMPLETED", code="0:15"),
        shown("FAILED"),
        shown("TIMEOUT"),
        shown("RUNNING"),
        JobState(""),
    ]
    assert not any(one.is_success for one in others)


def test_preemption_time_limit_and_hold_are_seen_before_the_end():
    assert shown("RUNNING", preempt="2026-12-01T05:46:44").preempted
    assert shown("COMPLETING", "TimeLimit").timed_out
    assert shown("PENDING", "launch_failed_requeued_held").held
    assert not any((shown("RUNNING").preempted, shown("RUNNING").timed_out, shown("RUNNING").held))


UNKNOWN = Completed(1, "", "slurm_load_jobs error: Invalid job id specified\n")
DISABLED = Completed(1, "", "Slurm accounting storage is disabled\n")


def test_a_job_that_slurm_has_forgotten_is_looked_up_in_the_accounting_database():
    rows = Completed(0, "CANCELLED by 1000|0:15|gb[01-02]\n", "")
    found = Slurm(Answers(scontrol=UNKNOWN, sacct=rows)).state("7")
    assert (found.state, found.exit_code, found.nodes) == ("CANCELLED", "0:15", "gb[01-02]")


def test_without_a_database_the_text_file_of_ended_jobs_answers():
    rows = Completed(0, "COMPLETED|0:0|gb[01-02]\n", "")
    assert Slurm(Answers(scontrol=UNKNOWN, sacct=DISABLED, sacct_c=rows)).state("7").is_success


def test_a_job_that_nothing_knows_is_unknown_and_no_success():
    found = Slurm(Answers(scontrol=UNKNOWN, sacct=DISABLED, sacct_c=DISABLED)).state("7")
    assert (found.phase, found.is_success) == (Phase.UNKNOWN, False)


def test_a_controller_that_does_not_answer_is_no_end():
    away = Completed(1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    slurm_ = Slurm(Answers(scontrol=away, squeue=away))
    assert slurm_.state("7").phase is Phase.UNKNOWN
    assert slurm_.is_listed("7")


def test_nodes_that_are_down_or_silent_are_lost():
    rows = "gb01 allocated\ngb01 allocated\ngb02 allocated*\ngb03 down*\ngb04 down\n"
    assert Slurm(Answers(sinfo=Completed(0, rows, ""))).lost_nodes("gb[01-04]") == ["gb02", "gb03", "gb04"]


@dataclasses.dataclass
class World:
    """A launch on a fake Slurm."""

    folder: Path
    slurm: FakeSlurm
    clients: Clients

    def deployed(self, **site):
        cluster = launch_specs.slurm_cluster(self.folder, **site)
        spec = launch_specs.spec(run_id=RUN)
        return slurm.deployed(spec, cluster, clients=self.clients, logs=self.folder.parent / "logs")

    def refused(self, **site) -> LaunchError:
        with pytest.raises(LaunchError) as caught, self.deployed(**site):
            pytest.fail("it was launched")
        assert self.slurm.running == []
        assert list(self.folder.iterdir()) == []
        return caught.value


@pytest.fixture
def world(tmp_path) -> World:
    folder = tmp_path / "site"
    folder.mkdir()
    dynamo = FakeDynamo(launch_specs.spec(run_id=RUN).llm.served_name, {"prefill": 1, "backend": 2})
    fake = FakeSlurm(dynamo)
    return World(folder, fake, Clients(fake, dynamo, FakeClock()))


def test_a_trial_comes_before_the_submission_and_its_refusal_is_told_in_the_words_of_slurm(world):
    world.slurm.refused = {
        "--test-only": "allocation failure: Requested node configuration is not available\n"
    }
    error = world.refused()
    assert (error.kind, error.exit_code, error.retryable) == (FailureKind.REJECTED, 5, False)
    assert "Requested node configuration is not available" in error.what
    assert world.slurm.jobs == {}


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: invalid partition specified: nope",
        "sbatch: error: Munge encode failed: Failed to access … Did you start munged?",
    ],
)
def test_what_sbatch_refuses_is_a_rejected_launch(world, said):
    world.slurm.refused = {"--parsable": said}
    error = world.refused()
    assert error.kind is FailureKind.REJECTED
    assert said in error.what


def test_a_machine_without_slurm_says_which_program_it_lacks(world, monkeypatch):
    def run(argv, **_):
        raise PipelineError(f"{argv[0]} is not installed", where=argv[0])

    monkeypatch.setattr(world.slurm, "run", run)
    error = world.refused()
    assert (error.exit_code, error.what) == (5, "sbatch is not installed")


def test_an_image_without_a_name_at_the_site_is_refused_by_the_field(world, monkeypatch):
    bare = launch_specs.slurm_cluster(world.folder).model_copy(update={"images": {}})
    monkeypatch.setattr(launch_specs, "slurm_cluster", lambda *_, **__: bare)
    assert "images" in world.refused().what


@pytest.mark.parametrize(
    ("help_", "option"), [("  --segment=size\n", "--segment=4"), ("  --switches=n\n", "--switches=1")]
)
def test_a_job_is_kept_in_one_nvlink_domain_as_this_slurm_can(world, monkeypatch, help_, option):
    true = world.slurm.run

    def run(argv, **how):
        return Completed(0, help_, "") if list(argv) == ["sbatch", "--help"] else true(argv, **how)

    monkeypatch.setattr(world.slurm, "run", run)
    with world.deployed():
        pass
    submitted = [words for words in world.slurm.ran if words[:2] == ["sbatch", "--parsable"]]
    assert [option in words for words in submitted] == [True]


def test_a_deployment_that_needs_more_trays_than_a_domain_has_is_refused_unless_it_may_leave_it(world):
    spec = launch_specs.spec(run_id=RUN, decode={"workers": 18})
    cluster = launch_specs.slurm_cluster(world.folder)
    with pytest.raises(LaunchError, match="an NVLink domain of gb300-nvl72 has 18"):
        slurm.manifest(spec, cluster)
    assert "#SBATCH --nodes=20" in slurm.manifest(
        spec, launch_specs.slurm_cluster(world.folder, segment=False)
    )


def test_a_planned_end_that_slurm_does_not_call_a_success_is_an_error(world):
    world.slurm.ends["--signal=USR2"] = ("FAILED", "1:0")
    with pytest.raises(LaunchError, match="did not end as planned: FAILED"), world.deployed():
        pass
    assert world.slurm.running == []


def test_a_run_that_was_interrupted_ends_its_job_and_is_not_asked_how(world):
    with pytest.raises(KeyboardInterrupt), world.deployed():
        raise KeyboardInterrupt
    (job,) = world.slurm.jobs.values()
    assert job.state == "FAILED"
    assert list(world.folder.iterdir()) == []


def waiting(tmp_path, job: FakeJob) -> RunningJob:
    fake = FakeSlurm(FakeDynamo("m", {}), jobs={job.id: job})
    return RunningJob(job.id, tmp_path, Slurm(fake), FakeClock())


@pytest.mark.parametrize("reason", ["Priority", "launch_failed_requeued_held"])
def test_a_job_that_does_not_start_is_given_up(tmp_path, reason):
    job = waiting(tmp_path, FakeJob("7", "any", "any", state="PENDING", reason=reason))
    with pytest.raises(LaunchError, match=reason) as caught:
        job.wait_running(3600)
    assert caught.value.kind is FailureKind.NEVER_SCHEDULED
    waited = job.clock.monotonic()
    assert waited == 0 if "held" in reason else waited > 3600


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"state": "CANCELLED"}, Cause.CANCELLED),
        ({"state": "PREEMPTED"}, Cause.PREEMPTED),
        ({"state": "RUNNING", "preempt_time": "2026-12-01T05:46:44"}, Cause.PREEMPTED),
        ({"state": "TIMEOUT"}, Cause.TIME_LIMIT),
        ({"state": "NODE_FAIL", "lost": "gb02 down*\n"}, Cause.NODE_LOST),
        ({"state": "BOOT_FAIL"}, Cause.JOB_ENDED),
    ],
)
def test_what_happened_to_the_job_is_the_cause_of_what_its_processes_did(tmp_path, changed, cause):
    lost = changed.pop("lost", "")
    job = waiting(tmp_path, FakeJob("7", "any", "any", **changed))
    if lost:
        text = LINE.format(state="NODE_FAIL", reason="NodeDown", code="1:0", preempt="None")
        job.slurm = Slurm(Answers(scontrol=Completed(0, text, ""), sinfo=Completed(0, lost, "")))
    job.processes = frozenset({"decode-0"})
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "decode-0.exit").write_text("143\n")
    found = job.changes(fresh=True)
    assert [one.cause for one in found] == [cause]


def test_a_slurm_that_is_away_for_minutes_is_no_end_and_for_long_is_one(tmp_path):
    job = waiting(tmp_path, FakeJob("7", "any", "any"))
    assert job.changes() == []
    job.slurm = Slurm(Answers(scontrol=Completed(1, "", "Unable to contact slurm controller\n")))
    job.clock.sleep(300)
    assert job.changes() == []
    job.clock.sleep(600)
    assert [one.cause for one in job.changes()] == [Cause.JOB_ENDED]


@pytest.mark.parametrize(
    ("cause", "said", "kind"),
    [
        (Cause.NEVER_RAN, "pyxis: failed to import docker image", FailureKind.IMAGE),
        (Cause.EXITED, "torch.OutOfMemoryError: CUDA out of memory.", FailureKind.OUT_OF_MEMORY),
        (
            Cause.KILLED,
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.3",
            FailureKind.OUT_OF_MEMORY,
        ),
        (Cause.EXITED, "ValueError", FailureKind.ENGINE_DIED),
        (Cause.NODE_SILENT, "", FailureKind.NODE_LOST),
    ],
)
def test_the_class_of_a_failure_follows_from_cause_and_last_words(cause, said, kind):
    assert failures.kind(DeploymentChange(cause, "decode-0", last_output=(said,))) is kind


def test_only_what_the_site_caused_is_worth_another_try():
    retryable = {kind for kind in FailureKind if kind.retryable}
    assert retryable == {FailureKind.NODE_LOST, FailureKind.PREEMPTED, FailureKind.NEVER_SCHEDULED}


def test_a_script_gives_addresses_to_the_shell_and_nothing_else(world):
    spec = launch_specs.spec(run_id=RUN)
    recipe = spec.job.recipe
    env = {**recipe.decode.env, "EVIL": "$(rm -rf /) `id` ${HOME} 'quoted'"}
    recipe = recipe.model_copy(update={"decode": recipe.decode.model_copy(update={"env": env})})
    spec = dataclasses.replace(spec, job=spec.job.model_copy(update={"recipe": recipe}))
    cluster = launch_specs.slurm_cluster(world.folder).model_copy(update={"engine_override": None})
    text = slurm.manifest(spec, cluster)
    assert """'EVIL=$(rm -rf /) `id` ${HOME} '"'"'quoted'"'"''""" in text
    assert 'HEAD_NODE_IP="${address[1]}"' in text
    assert slurm_script.names(spec, cluster.site).comment in text


def test_a_launch_that_lost_a_node_is_tried_again_without_it_and_not_for_ever(world):
    cluster, spec = launch_specs.slurm_cluster(world.folder), launch_specs.spec(run_id=RUN)
    logs = world.folder.parent / "logs"

    def again():
        return retries.deployed(slurm, spec, cluster, clients=world.clients, logs=logs)

    world.slurm.lost = {"100": "gb02"}
    with again():
        assert [job.state for job in world.slurm.jobs.values()] == ["NODE_FAIL", "RUNNING"]
    submitted = [words for words in world.slurm.ran if words[:2] == ["sbatch", "--parsable"]]
    assert ["--exclude=gb02" in words for words in submitted] == [False, True]
    assert "lost gb02" in (logs / "try-1.slurm.log").read_text()
    world.slurm.lost = {"102": "gb03", "103": "gb04"}
    with pytest.raises(LaunchError, match="node gb04 was lost"), again():
        pass
    assert len(world.slurm.jobs) == 4


def test_what_the_recipe_caused_is_not_tried_again(world):
    world.slurm.dying = {"decode-1": "cannot allocate"}
    cluster, spec = launch_specs.slurm_cluster(world.folder), launch_specs.spec(run_id=RUN)
    logs = world.folder.parent / "logs"
    with (
        pytest.raises(LaunchError, match="cannot allocate"),
        retries.deployed(slurm, spec, cluster, clients=world.clients, logs=logs),
    ):
        pass
    assert len(world.slurm.jobs) == 1
