"""AIPerf's own files, the load that it is given, and what becomes of a run that did not go well."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.edge.clients import Clients
from pipeline.edge.place import Files
from pipeline.errors import MeasureError, PipelineError
from pipeline.measure import aiperf, aiperf_files, aiperf_load, aiperf_run
from pipeline.measure.lengths import draw
from pipeline.measure.observation import Observation
from pipeline.measure.validity import assess
from pipeline.schema.endpoint import Cause, DeploymentChange
from pipeline.schema.recipe import Limits
from pipeline.schema.result import Measurement, Point
from tests.fakes.clients import FakeClient, FakeHttp, asked, endpoint, lay_out, played
from tests.fakes.clock import FakeClock
from tests.fakes.launch_specs import GB300, spec

CONCS, PER_CONC = (2, 4), 6
WITH_WARMUP = {"c2": 14, "c4": 28}  # requests of a loop that the workers have to serve


def setup(
    tmp_path: Path, *, changes=list, concs: tuple[int, ...] = CONCS, osl: int = 24, **changed
) -> aiperf_load.LoadSettings:
    """What was played."""
    wanted = spec(GB300, run_id="r1")
    recipe = wanted.job.recipe
    client = recipe.client.model_copy(update={"warmup_per_conc": 1})
    workload = recipe.workload.model_copy(update={"isl": 64, "osl": osl})
    recipe = recipe.model_copy(update={"conc": concs, "client": client, "workload": workload, **changed})
    job = wanted.job.model_copy(update={"recipe": recipe})
    return aiperf_load.LoadSettings(
        job,
        wanted.sku,
        endpoint(tmp_path / "logs", changes=changes),
        "aiperf",
        "r1",
        PER_CONC,
        7,
        tmp_path,
        None,
    )


def serving(http: FakeHttp, loop: str, **wrong: int | None):
    """The workers serve a loop, other than they should where that is said."""

    def serve() -> None:
        for name, share in {"prefill-0": 1, "decode-0": 2, "decode-1": 2}.items():
            count = wrong.get(name, WITH_WARMUP[loop] // share)
            http.served[name] = None if count is None else (http.served[name] or 0) + count

    return serve


def measured(
    tmp_path: Path, client: FakeClient, http: FakeHttp, clock: FakeClock | None = None, **changed
) -> Measurement:
    return aiperf.measure(setup(tmp_path, **changed), Clients(client, http, clock or FakeClock()))


def in_order(tmp_path: Path, http: FakeHttp | None = None, **changed) -> tuple[Point, ...]:
    """Both loops as they should be, but for what is changed."""
    http = http or FakeHttp()
    acts = {loop: serving(http, loop) for loop in WITH_WARMUP} | changed.pop("meanwhile", {})
    return measured(tmp_path, FakeClient(meanwhile=acts, **changed), http).points


def test_records_are_requests_with_what_was_asked_and_what_the_server_counted(tmp_path):
    recorded = aiperf_files.read(lay_out("whole", tmp_path), asked("whole"))
    assert {name: len(loop) for name, loop in recorded.loops.items()} == {"c2": 12, "c4": 24}
    assert (recorded.trouble, recorded.version) == ("", "0.13.0")
    assert recorded.phases_s["warmup-c2"] == pytest.approx(0.882, abs=0.001)
    requests = [request for loop in recorded.loops.values() for request in loop]
    first = requests[0]
    assert (first.start_s, first.asked, first.output, first.error) == (0.0, first.output, first.asked, "")
    assert all(19 <= one.asked <= 24 and one.is_whole for one in requests)
    assert all(
        51 <= one.asked_input <= 64 and one.input - one.asked_input in {1, 2} for one in requests
    )  # a chat template of a new line
    aggregate = json.loads((tmp_path / aiperf_files.AGGREGATE).read_text())
    assert sum(one.ttft_ms for one in requests) / 36 == pytest.approx(aggregate["time_to_first_token"]["avg"])
    assert sum(one.tpot_ms for one in requests) / 36 == pytest.approx(aggregate["inter_token_latency"]["avg"])
    assert sum(one.held_ms for one in requests) / 36 == pytest.approx(
        aggregate["credit_to_start_latency"]["avg"], rel=1e-4
    )


def test_a_worker_that_died_under_a_client_that_ended_well_is_found_in_its_records(tmp_path):
    recorded = aiperf_files.read(lay_out("cut", tmp_path), asked("cut"))
    assert recorded.trouble == ""  # its own word
    assert tuple(map(str, assess(Observation(4, 24, recorded.loops["c4"])).reasons)) == (
        "request-errors: 6 of 24, most often '500 Internal Server Error'",
        "truncated-streams: 2 of 24 ended before their last token",
    )


def test_a_stream_that_was_cut_before_its_first_token_is_cut_and_no_error(tmp_path):
    records = lay_out("whole", tmp_path) / aiperf_files.RECORDS
    *others, last = records.read_text().splitlines()
    cut = json.loads(last) | {
        "metrics": {},
        "error": {"type": "InvalidInferenceResultError", "message": "no content"},
    }
    records.write_text("\n".join([*others, json.dumps(cut)]) + "\n")
    (reason,) = assess(Observation(4, 24, aiperf_files.read(tmp_path, asked("whole")).loops["c4"])).reasons
    assert str(reason) == "truncated-streams: 1 of 24 ended before their last token"


def test_a_request_that_was_recorded_twice_does_not_stand_for_one_that_was_lost(tmp_path):
    records = lay_out("whole", tmp_path) / aiperf_files.RECORDS
    *others, one_but_last, _ = records.read_text().splitlines()
    records.write_text("\n".join([*others, one_but_last, one_but_last]) + "\n")
    (reason,) = assess(Observation(4, 24, aiperf_files.read(tmp_path, asked("whole")).loops["c4"])).reasons
    assert str(reason) == "lost-requests: 23 of 24 are in the client's records"


def test_a_client_that_was_killed_leaves_a_torn_line_or_nothing(tmp_path):
    assert aiperf_files.read(tmp_path, {}).loops == {}
    lay_out("whole", tmp_path)
    records = tmp_path / aiperf_files.RECORDS
    records.write_bytes(records.read_bytes()[:-100])
    (tmp_path / aiperf_files.AGGREGATE).unlink()
    found = aiperf_files.read(tmp_path, asked("whole"))
    assert (len(found.loops["c4"]), found.trouble, found.version) == (23, "no profile_export_aiperf.json", "")


def test_records_torn_by_a_disk_that_was_full_for_a_while_are_lost_and_the_others_are_read(tmp_path):
    records = lay_out("whole", tmp_path) / aiperf_files.RECORDS
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(
        b"".join([*lines[:30], lines[30][:100], *lines[31:]])
    )  # and what is written next stands on the same line
    loops = aiperf_files.read(tmp_path, asked("whole")).loops
    assert {name: len(loop) for name, loop in loops.items()} == {"c2": 12, "c4": 22}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (aiperf_files.RECORDS, "{}\n"),
        (aiperf_files.RECORDS, "x\n"),
        (aiperf_files.AGGREGATE, "{}"),
        (aiperf_files.PHASES, "[]"),
    ],
)
def test_files_that_are_not_aiperfs_are_refused(tmp_path, name, content):
    lay_out("whole", tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(MeasureError):
        aiperf_files.read(tmp_path, asked("whole"))


def test_a_session_that_was_not_requested_is_an_error(tmp_path):
    with pytest.raises(MeasureError, match="AIPerf reports session c2-0, which was not requested"):
        aiperf_files.read(lay_out("whole", tmp_path), {})


def test_the_log_is_followed_while_it_grows(tmp_path):
    said = played("whole", "aiperf.log")
    middle = said.index("Phase c2 (profiling) complete") + 20  # in the midst of a line
    log = aiperf_files.Log(Files(), tmp_path / "aiperf.log")
    log.update()
    (tmp_path / "aiperf.log").write_text(said[:middle])
    log.update()
    assert (log.started, log.ended) == ({"warmup-c2", "c2"}, {"warmup-c2"})
    (tmp_path / "aiperf.log").write_text(said)
    log.update()
    assert log.ended == {"warmup-c2", "c2", "pause-c4", "warmup-c4", "c4"}


def test_the_load_is_one_run_of_all_loops_with_the_lengths_of_the_replay(tmp_path):
    wanted = setup(tmp_path)
    asked_for = aiperf_load.write(wanted, CONCS, tmp_path / "out")
    assert aiperf_load.command(wanted, tmp_path / "out") == [
        "aiperf",
        "profile",
        "--config",
        str(tmp_path / "out" / "load.json"),
    ]
    ours = json.loads((tmp_path / "out" / "load.json").read_text())
    theirs = (
        played("whole", "load.json")
        .replace("/srv/client", str(tmp_path / "out"))
        .replace("/srv/tokenizer", wanted.endpoint.tokenizer)
    )
    assert ours == json.loads(
        theirs.replace('"duration": 1.0', '"duration": 0.8')
    )  # by now a pause depends on the number of instances
    prompts = [json.loads(line) for line in (tmp_path / "out" / "prompts.jsonl").read_text().splitlines()]
    phases = {"warmup-c2": 2, "c2": 12, "pause-c4": 1, "warmup-c4": 4, "c4": 24}
    assert [one["session_id"] for one in prompts] == [
        f"{name}-{at}" for name, count in phases.items() for at in range(count)
    ]
    assert len({one["text"][:40] for one in prompts}) == len(
        prompts
    )  # no prompt twice, or a prefix cache would answer
    recipe = wanted.job.recipe
    inputs, outputs = draw(recipe.workload, recipe.client, requests=24, seed=7)
    assert [one["output_length"] for one in prompts[-24:]] == outputs.tolist()
    assert [isl for isl, _ in json.loads((tmp_path / "out" / "asked.json").read_text()).values()][
        -24:
    ] == inputs.tolist()
    assert json.loads((tmp_path / "out" / "asked.json").read_text()) == {
        session: list(both) for session, both in asked_for.items()
    }


def test_what_was_sent_is_not_sent_again_by_another_run_behind_it(tmp_path):
    wanted, texts = setup(tmp_path), []
    for name, concs, sent in (
        ("client", CONCS, ("warmup-c2-", "c2-")),
        ("client-2", CONCS[1:], ("warmup-c4-", "c4-")),
    ):
        aiperf_load.write(wanted, concs, tmp_path / name)
        lines = [json.loads(line) for line in (tmp_path / name / "prompts.jsonl").read_text().splitlines()]
        texts += [one["text"] for one in lines if one["session_id"].startswith(sent)]
    assert len(texts) == 2 + 12 + 4 + 24
    assert len({text[:40] for text in texts}) == len(texts)  # or the deployment's prefix cache would answer


def test_a_run_in_order_is_a_point_a_loop_with_the_raw_files(tmp_path):
    first, second = in_order(tmp_path)
    assert (first.conc, first.status, first.reasons, first.requests, first.completed) == (2, "ok", (), 12, 12)
    assert (second.conc, second.status, second.reasons, second.requests, second.completed) == (
        4,
        "ok",
        (),
        24,
        24,
    )
    assert first.duration_s == pytest.approx(3.68, abs=0.01)
    assert (first.gpus_prefill, first.gpus_decode) == (4, 8)
    names = [raw.path.removeprefix("raw/client/").removesuffix(".gz") for raw in first.raw]
    assert names == [
        "records.jsonl",
        "aggregate.json",
        "phases.json",
        "load.json",
        "aiperf.log",
        "console.log",
        "asked.json",
    ]
    assert first.raw == second.raw
    assert gzip.decompress((tmp_path / first.raw[0].path).read_bytes()).count(b"\n") == 42


def test_an_answer_that_a_buffer_held_back_is_no_stream_unless_the_workers_were_told_to_send_it_so(tmp_path):
    def hold_back(name: str, interval: int) -> tuple[Point, ...]:
        wanted = setup(tmp_path / name)
        commands = {"decode-0": ("vllm", "--stream-interval", str(interval), "--x")}
        http = FakeHttp()
        client = FakeClient(buffered=True, meanwhile={loop: serving(http, loop) for loop in WITH_WARMUP})
        told = replace(wanted, endpoint=replace(wanted.endpoint, commands=commands))
        return aiperf.measure(told, Clients(client, http, FakeClock())).points

    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    assert [point.reasons for point in hold_back("one", 1)] == [
        (f"not-streamed: {sent} of {sent} answers came faster than a token in 0.5 ms",) for sent in (12, 24)
    ]
    assert [point.reasons for point in hold_back("many", 24)] == [(), ()]


def test_stages_say_what_was_measurement_and_what_was_the_client(tmp_path):
    client = FakeClient(polls=50)
    found = measured(tmp_path, client, FakeHttp())
    assert found.stages_s["warm-up"] == pytest.approx(0.882 + 1.007, abs=0.001)
    assert found.stages_s["measure"] == pytest.approx(3.684 + 3.621, abs=0.001)
    assert sum(found.stages_s.values()) == pytest.approx(
        14.9
    )  # three times fifty looks, 0.1 s apart, and no sleep after the last
    assert found.versions == {"aiperf": "0.13.0", "ai-dynamo": "1.4.2"}
    assert found.commands["aiperf"] == ("aiperf", "profile", "--config", "ARTIFACTS/load.json")
    assert found.commands["frontend"] == ("python", "-m", "dynamo.frontend")


def test_it_runs_beside_the_frontend_with_a_short_folder_of_its_own(tmp_path):
    client = FakeClient()
    measured(tmp_path, client, FakeHttp())
    (words,) = client.ran
    assert words[2:6] == ["-u", "HF_HUB_OFFLINE", "-u", "TRANSFORMERS_OFFLINE"]
    scratch = Path(words[6].removeprefix("TMPDIR="))
    assert scratch.name.startswith("rackbench-r1@")
    assert not scratch.exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (-9, "killed by signal 9"),
        (137, "killed by signal 9"),
        (1, "exit code 1: console"),
        (124, "exit code 124: console"),
    ],
)
def test_a_client_that_did_not_end_well_refuses_its_last_point(tmp_path, code, why):
    first, second = in_order(tmp_path, code=code)
    assert (first.reasons, second.reasons) == ((), (f"client-failed: {why}",))


def test_what_a_client_logged_as_its_error_is_told_and_not_its_farewell(tmp_path):
    console = "20:03:23.494 ERROR    Failed to configure (controller.py:9)\n20:03:24.006 INFO     Shutdown\n\nLog File: logs/aiperf.log"
    *_, last = in_order(tmp_path, code=1, console=console)
    assert last.reasons == (
        "client-failed: exit code 1: 20:03:23.494 ERROR    Failed to configure (controller.py:9)",
    )


def test_the_frame_of_a_box_is_not_a_clients_last_word(tmp_path):
    *_, last = in_order(
        tmp_path, code=1, console="╭─ Error ─╮\n│ no such model 'a' │\n╰─────────╯\n 100 % \n"
    )
    assert last.reasons == ("client-failed: exit code 1: │ no such model 'a' │",)


def test_a_client_that_dies_in_a_loop_costs_that_loop_and_another_goes_on_behind_it(tmp_path):
    client = FakeClient(code=-9, without=("c2", "pause-c4", "warmup-c4", "c4"))
    found = measured(tmp_path, client, FakeHttp())
    for point in found.points:
        lost = f"lost-requests: 0 of {point.requests} are in the client's records"  # and nobody knows whether they were sent
        assert point.reasons == (
            "client-failed: killed by signal 9",
            lost,
            "no-tokens: not one output token was generated",
        )
    assert [
        [phase["name"] for phase in load["benchmark"]["phases"] if phase["kind"] == "profiling"]
        for load in client.loads
    ] == [
        ["c2", "c4"],
        ["c4"],
    ]
    assert {raw.path.split("/")[1] for raw in found.points[1].raw} == {"client-2"}


def test_a_client_that_fails_whatever_it_is_asked_is_not_tried_a_third_time(tmp_path):
    client = FakeClient(code=1, without=("warmup-c2", "c2", "pause-c4", "warmup-c4", "c4", "c8", "c16"))
    found = measured(tmp_path, client, FakeHttp(), concs=(2, 4, 8, 16))
    assert [point.conc for point in found.points] == [2, 4]
    assert len(client.ran) == 2


def test_a_client_that_dies_in_each_loop_before_it_wrote_a_record_is_asked_for_the_next(tmp_path):
    concs = (2, 4, 8, 16)
    client = FakeClient(
        code=-9, without=("warmup-c2", "c2", "pause-c4", "warmup-c4", "c4", "c8", "c16"), begins=True
    )
    found = measured(tmp_path, client, FakeHttp(), concs=concs)
    assert ([point.conc for point in found.points], len(client.ran)) == ([*concs], len(concs))


def test_counters_of_the_deployment_are_held_against_the_loop_that_they_belong_to(tmp_path):
    def wrongly(name: str, loop: str, **wrong: int | None) -> tuple[Point, ...]:
        http = FakeHttp()
        (tmp_path / name).mkdir()
        return in_order(tmp_path / name, http, meanwhile={loop: serving(http, loop, **wrong)})

    first, second = wrongly("first", "c2", **{"prefill-0": 0})
    assert (first.reasons, second.reasons) == (
        ("wrong-path: prefill 0 requests served where 14 were sent",),
        (),
    )
    first, second = wrongly("second", "c4", **{"decode-0": 1})
    assert (first.reasons, second.reasons) == (
        (),
        ("wrong-path: decode 15 requests served where 28 were sent",),
    )
    first, second = wrongly("silent", "c4", **{"prefill-0": None})
    assert (first.not_evaluated[0][:5], second.reasons) == ("drift", ())
    assert (
        second.not_evaluated[0] == "path: the number of requests that prefill served in this loop is unknown"
    )


@pytest.mark.parametrize(
    ("frontend", "reasons"),
    [
        ((), ("idle-worker: decode-1 served no request",)),
        (("env", "DYN_ROUTER_MODE=kv", "python3", "-m", "dynamo.frontend"), ()),
        (("python3", "-m", "dynamo.frontend", "--router-mode", "kv"), ()),
    ],
)
def test_a_worker_that_was_passed_by_is_told_unless_the_router_may_do_so(tmp_path, frontend, reasons):
    http = FakeHttp()
    acts = {"c2": serving(http, "c2"), "c4": serving(http, "c4", **{"decode-0": 28, "decode-1": 0})}
    wanted = setup(tmp_path)
    routed = replace(wanted, endpoint=replace(wanted.endpoint, commands={"frontend": frontend}))
    first, second = aiperf.measure(routed, Clients(FakeClient(meanwhile=acts), http, FakeClock())).points
    assert (first.reasons, second.reasons) == ((), reasons)


def test_counters_that_were_read_too_late_belong_to_no_loop(tmp_path):
    for point in in_order(tmp_path, hurries=True):
        assert point.reasons == ()
        assert (
            point.not_evaluated[0]
            == "path: the number of requests that prefill, decode served in this loop is unknown"
        )


def test_counters_are_read_first_thing_in_a_pause(tmp_path):
    http, pauses = FakeHttp(), []
    rest = serving(http, "c4", **{"prefill-0": 24, "decode-0": 12, "decode-1": 12})

    def end() -> None:
        serving(http, "c2")()
        pauses.append("before c4")

    def look() -> list[DeploymentChange]:
        if pauses:  # it takes so long that the next warm-up is served meanwhile
            pauses.clear()
            serving(http, "c4", **{"prefill-0": 4, "decode-0": 2, "decode-1": 2})()
        return []

    found = measured(tmp_path, FakeClient(meanwhile={"c2": end, "c4": rest}), http, changes=look)
    assert [(point.reasons, point.not_evaluated[0][:5]) for point in found.points] == [((), "drift")] * 2


def test_loops_whose_ends_no_log_tells_are_not_held_against_counters_of_all_of_them(tmp_path):
    for point in in_order(tmp_path, silent=True):
        assert (point.status, point.reasons) == ("ok", ())
        assert (
            point.not_evaluated[0]
            == "path: the number of requests that prefill, decode served in this loop is unknown"
        )


def test_migrations_restarts_and_lost_streams_are_read_from_the_deployment(tmp_path):
    http = FakeHttp(migrations=3)

    def act() -> None:
        serving(http, "c4")()
        http.migrations = 5
        http.ids["decode-1"] = "another"
        with (tmp_path / "logs" / "frontend.log").open("a") as log:
            log.write("WARN Cannot recreate stream error=Migration limit exhausted\nINFO else\n")

    first, second = in_order(tmp_path, http, meanwhile={"c4": act})
    assert first.reasons == ()
    assert second.reasons == (
        "deployment-changed: decode-1 is another process than before",
        "truncated-streams: 0 of 24 ended before their last token; the frontend lost 1 streams",
        "migrations: 1 requests changed their worker",
    )


def changing(clock: FakeClock, at: float):
    return lambda: (
        [DeploymentChange(Cause.KILLED, "decode-1", -9, Path("its.log"), ("many", "lines"))]
        if clock.monotonic() > at
        else []
    )


def test_a_deployment_that_changes_is_measured_to_the_end_of_the_loop_and_no_further(tmp_path):
    clock, http = FakeClock(), FakeHttp()
    client = FakeClient(polls=50, without=("c4",), meanwhile={"c2": serving(http, "c2")})
    found = measured(tmp_path, client, http, clock, changes=changing(clock, 3.0))
    assert [(point.conc, point.reasons) for point in found.points] == [
        (2, ("deployment-changed: decode-1 was killed by signal 9",))
    ]
    assert len(client.ran) == 1
    assert clock.monotonic() == pytest.approx(
        5 + aiperf_run.FLUSHED_S, abs=0.3
    )  # its records are written by then


def test_a_deployment_that_is_whole_again_is_measured_on_by_another_run(tmp_path):
    clock, http = FakeClock(), FakeHttp()
    client = FakeClient(polls=50, without=("c4",), meanwhile={"c2": serving(http, "c2")})
    unreachable = [DeploymentChange(Cause.FRONTEND_UNREACHABLE, "frontend")]
    found = measured(
        tmp_path, client, http, clock, changes=lambda: unreachable if 2 < clock.monotonic() < 4 else []
    )
    first, second = found.points
    assert first.reasons == ("deployment-changed: the frontend does not answer",)
    assert (second.conc, len(client.ran)) == (4, 2)


def test_a_loop_over_which_the_deployment_changed_has_five_minutes(tmp_path):
    clock = FakeClock()
    found = measured(tmp_path, FakeClient(polls=10**6), FakeHttp(), clock, changes=changing(clock, 5.0))
    assert [point.conc for point in found.points] == [2]
    assert found.points[0].reasons[:2] == (
        "client-failed: ended 300 s after the deployment had changed",
        "deployment-changed: decode-1 was killed by signal 9",
    )
    assert 305 <= clock.monotonic() <= 308


def test_a_client_that_never_ends_is_ended_at_the_recipes_limit(tmp_path):
    clock = FakeClock()
    found = measured(
        tmp_path,
        FakeClient(polls=10**7, without=("c2", "warmup-c4", "c4")),
        FakeHttp(),
        clock,
        limits=Limits(time_s=30, ready_s=10),
        concs=(2,),
    )
    assert found.points[0].reasons[0] == "client-failed: did not end within 30 s"
    assert found.points[0].duration_s == pytest.approx(30, abs=1)


def test_no_other_run_begins_once_the_recipes_time_is_over(tmp_path):
    client = FakeClient(polls=10**7, without=("c2", "warmup-c4", "c4"))
    found = measured(tmp_path, client, FakeHttp(), limits=Limits(time_s=30, ready_s=10))
    assert ([point.conc for point in found.points], len(client.ran)) == ([2], 1)


def test_a_missing_client_says_how_to_install_it(tmp_path):
    missing = FakeClient(code=127, console="env: 'aiperf': No such file or directory")
    with pytest.raises(
        PipelineError, match="the load client 'aiperf' cannot be run: env: 'aiperf': No such file"
    ) as caught:
        measured(tmp_path, missing, FakeHttp())
    assert "`nox -s client` installs it" in caught.value.hint
    assert caught.value.exit_code == 2
