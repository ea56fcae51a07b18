"""AIPerf's own files, the command that makes them, and what becomes of a run that did not go well."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.edge.shell import Completed
from pipeline.errors import MeasureError, PipelineError
from pipeline.measure import aiperf, aiperf_files
from pipeline.measure.validity import Seen, judge
from pipeline.schema.recipe import Limits
from pipeline.schema.result import Measurement, Point
from tests.fakes.clients import FakeClient, FakeHttp, endpoint, lay_out
from tests.fakes.clock import FakeClock
from tests.fakes.orders import GB300, order

WHOLE, CUT = 14, 28  # requests with those of the warm-up


def setup(tmp_path: Path, first_conc: int, per_conc: int, *, alive=list, **changed) -> aiperf.Setup:
    wanted = order(GB300, run_id="r1")
    client = wanted.job.recipe.client.model_copy(update={"warmup_per_conc": 1})
    recipe = wanted.job.recipe.model_copy(update={"conc": (first_conc,), "client": client, **changed})
    job = wanted.job.model_copy(update={"recipe": recipe})
    return aiperf.Setup(job, wanted.sku, endpoint(tmp_path / "logs", alive=alive), "aiperf", "r1", per_conc, 7, tmp_path)


def measured(tmp_path: Path, client: FakeClient, http: FakeHttp, *, conc: int = 2, per_conc: int = 6, alive=list) -> Measurement:
    return aiperf.measure(setup(tmp_path, conc, per_conc, alive=alive), aiperf.Means(client, http, FakeClock()))


def whole(tmp_path: Path, http: FakeHttp | None = None, **changed) -> Point:
    """A run in which all went well, but for what is changed."""
    http = http or FakeHttp()

    def serve() -> None:
        http.served |= {"prefill-0": WHOLE, "decode-0": WHOLE // 2, "decode-1": WHOLE // 2}

    (point,) = measured(tmp_path, FakeClient("whole", **{"meanwhile": serve, **changed}), http).points
    return point


def test_records_are_requests_with_what_was_asked_and_what_the_server_counted(tmp_path):
    recorded = aiperf_files.read(lay_out("whole", tmp_path))
    assert (len(recorded.requests), recorded.trouble) == (12, "")
    assert recorded.warmup_s == pytest.approx(0.584, abs=0.001)
    first = recorded.requests[0]
    assert (first.start_s, first.asked, first.output, first.error) == (0.0, first.output, first.asked, "")
    assert all(19 <= one.asked <= 24 and one.is_whole for one in recorded.requests)
    aggregate = json.loads((tmp_path / aiperf_files.AGGREGATE).read_text())
    assert sum(one.ttft_ms for one in recorded.requests) / 12 == pytest.approx(aggregate["time_to_first_token"]["avg"])
    assert sum(one.tpot_ms for one in recorded.requests) / 12 == pytest.approx(aggregate["inter_token_latency"]["avg"])
    assert sum(one.held_ms for one in recorded.requests) / 12 == pytest.approx(aggregate["credit_to_start_latency"]["avg"], rel=1e-4)


def test_a_worker_that_died_under_a_client_that_ended_well_is_found_in_its_records(tmp_path):
    recorded = aiperf_files.read(lay_out("cut", tmp_path))
    assert recorded.trouble == ""  # its own word
    assert judge(Seen(4, 24, recorded.requests)).reasons == (
        "request-errors: 1 of 24, most often '500 Internal Server Error'",
        "truncated-streams: 2 of 24 ended before their last token",
    )


def test_a_stream_that_was_cut_before_its_first_token_is_cut_and_no_error(tmp_path):
    records = lay_out("whole", tmp_path) / aiperf_files.RECORDS
    *others, last = records.read_text().splitlines()
    cut = json.loads(last) | {"metrics": {}, "error": {"type": "InvalidInferenceResultError", "message": "no content"}}
    records.write_text("\n".join([*others, json.dumps(cut)]) + "\n")
    reasons = judge(Seen(2, 12, aiperf_files.read(tmp_path).requests)).reasons
    assert reasons == ("truncated-streams: 1 of 12 ended before their last token",)


def test_prompts_may_say_what_they_like(tmp_path):
    evil = {
        "session_id": "s1",
        "payloads": [{"messages": [{"content": '"max_completion_tokens": 9, "session_id": "s2"'}], "max_tokens": 5}],
    }
    (tmp_path / "inputs.json").write_text(json.dumps({"data": [evil]}, indent=1))
    assert aiperf_files.asked_lengths(tmp_path / "inputs.json") == {"s1": 5}


def test_a_client_that_was_killed_leaves_a_torn_line_or_nothing(tmp_path):
    assert aiperf_files.read(tmp_path).requests == ()
    lay_out("whole", tmp_path)
    records = tmp_path / aiperf_files.RECORDS
    records.write_bytes(records.read_bytes()[:-100])
    (tmp_path / aiperf_files.AGGREGATE).unlink()
    found = aiperf_files.read(tmp_path)
    assert (len(found.requests), found.trouble) == (11, "no profile_export_aiperf.json")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (aiperf_files.RECORDS, "{}\n"),
        (aiperf_files.RECORDS, "x\n"),
        (aiperf_files.AGGREGATE, "{}"),
        (aiperf_files.PHASES, "[]"),
        (aiperf_files.INPUTS, "[]"),
    ],
)
def test_files_that_are_not_aiperfs_are_refused(tmp_path, name, content):
    lay_out("whole", tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(MeasureError):
        aiperf_files.read(tmp_path)


def test_the_command_says_the_whole_load(tmp_path):
    argv = aiperf.command(setup(tmp_path, 16, 10), 16, Path("OUT"))
    said = dict(zip(argv, [*argv[1:], ""], strict=True))
    assert argv[:2] == ["aiperf", "profile"]
    wanted = {
        "--concurrency": "16",
        "--request-count": "160",
        "--num-dataset-entries": "176",  # no prompt twice, or a prefix cache would answer
        "--warmup-request-count": "16",
        "--isl": "1024",
        "--osl": "64",
        "--random-range-ratio": "0.8",
        "--random-corpus-style": "sglang",
        "--random-seed": "7",
        "--extra-inputs": "ignore_eos:true",
        "--tokenizer": "/srv/tokenizer",
        "--url": "http://127.0.0.1:18000",
    }
    assert {name: said[name] for name in wanted} == wanted
    assert {"--streaming", "--use-server-token-count"} <= set(argv)


def test_a_run_in_order_is_a_point_with_its_raw_files(tmp_path):
    point = whole(tmp_path)
    assert (point.status, point.reasons, point.requests, point.completed) == ("ok", (), 12, 12)
    assert point.duration_s == pytest.approx(3.21, abs=0.01)
    assert (point.gpus_prefill, point.gpus_decode) == (4, 8)
    names = [raw.path for raw in point.raw]
    assert names == [f"raw/c2/{name}.gz" for name in ("records.jsonl", "aggregate.json", "phases.json", "console.log", "asked.json")]
    assert gzip.decompress((tmp_path / names[0]).read_bytes()).count(b"\n") == 14
    assert sum(json.loads(gzip.decompress((tmp_path / names[-1]).read_bytes())).values()) >= point.output_tokens


def test_stages_say_what_was_measurement_and_what_was_the_client(tmp_path):
    found = measured(tmp_path, FakeClient("whole", polls=100), FakeHttp())
    assert found.stages_s["warm-up"] == pytest.approx(0.584, abs=0.001)
    assert found.stages_s["measure"] == pytest.approx(3.218, abs=0.001)
    assert sum(found.stages_s.values()) == pytest.approx(10.0)  # a hundred looks, 0.1 s apart
    assert found.versions == {"aiperf": "0.13.0", "ai-dynamo": "1.4.2"}
    assert found.commands["aiperf c2"][0] == "aiperf"
    assert found.commands["frontend"] == ("python", "-m", "dynamo.frontend")


def test_it_runs_beside_the_frontend_with_a_short_folder_of_its_own(tmp_path):
    client = FakeClient("whole")
    measured(tmp_path, client, FakeHttp())
    (words,) = client.ran
    assert words[2:6] == ["-u", "HF_HUB_OFFLINE", "-u", "TRANSFORMERS_OFFLINE"]
    scratch = Path(words[6].removeprefix("TMPDIR="))
    assert scratch.name.startswith("rackbench-r1@")
    assert not scratch.exists()


@pytest.mark.parametrize(
    ("code", "why"), [(-9, "killed by signal 9"), (137, "killed by signal 9"), (1, "exit code 1: console"), (124, "exit code 124: console")]
)
def test_a_client_that_did_not_end_well_refuses_its_point(tmp_path, code, why):
    assert whole(tmp_path, code=code).reasons == (f"client-failed: {why}",)


def test_counters_of_the_deployment_are_held_against_the_client(tmp_path):
    def serve_wrongly(http: FakeHttp, **changed) -> Point:
        def act() -> None:
            http.served |= {"prefill-0": WHOLE, "decode-0": 7, "decode-1": 7, **changed}
            http.migrations = None if http.migrations is None else http.migrations + changed.pop("migrations", 0)

        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return whole(folder, http, meanwhile=act)

    assert serve_wrongly(FakeHttp()).reasons == ()
    assert serve_wrongly(FakeHttp(), **{"prefill-0": 0}).reasons == ("wrong-path: prefill 0 requests served where 14 were sent",)
    silent = serve_wrongly(FakeHttp(), **{"prefill-0": None})
    assert (silent.reasons, silent.withheld[0][:13]) == ((), "path: prefill")


def test_migrations_restarts_and_lost_streams_are_read_from_the_deployment(tmp_path):
    http = FakeHttp(migrations=3)

    def act() -> None:
        http.served |= {"prefill-0": WHOLE, "decode-0": 7, "decode-1": 7}
        http.migrations = 5
        http.ids["decode-1"] = "another"
        with (tmp_path / "logs" / "frontend.log").open("a") as log:
            log.write("WARN Cannot recreate stream error=Migration limit exhausted\nINFO else\n")

    assert whole(tmp_path, http, meanwhile=act).reasons == (
        "deployment-changed: decode-1 is another process than before",
        "truncated-streams: 0 of 12 ended before their last token; the frontend lost 1 streams",
        "migrations: 1 requests changed their worker",
    )


def test_a_deployment_that_changes_gives_its_client_five_minutes_and_is_not_measured_further(tmp_path):
    clock, client = FakeClock(), FakeClient("whole", polls=10**6)
    died = setup(
        tmp_path,
        2,
        6,
        alive=lambda: ["decode-1 was killed; the end of its.log:\n  many lines"] if clock.monotonic() > 5 else [],
        conc=(2, 4),
    )
    found = aiperf.measure(died, aiperf.Means(client, FakeHttp(), clock))
    assert [point.conc for point in found.points] == [2]
    assert found.points[0].reasons[:2] == (
        "client-failed: ended 300 s after the deployment had changed",
        "deployment-changed: decode-1 was killed",
    )
    assert 305 <= clock.monotonic() <= 308


def test_a_client_that_never_ends_is_ended_at_the_recipes_limit(tmp_path):
    clock = FakeClock()
    wanted = setup(tmp_path, 2, 6, limits=Limits(time_s=30, ready_s=10))
    found = aiperf.measure(wanted, aiperf.Means(FakeClient("whole", polls=10**7), FakeHttp(), clock))
    assert found.points[0].reasons[0] == "client-failed: did not end within 30 s"
    assert found.points[0].duration_s == pytest.approx(30, abs=1)


def test_a_missing_client_says_how_to_install_it(tmp_path):
    missing = FakeClient("whole", version=Completed(127, "", "env: 'aiperf': No such file or directory\n"))
    with pytest.raises(PipelineError, match="the load client 'aiperf' cannot be run: env: 'aiperf': No such file") as caught:
        measured(tmp_path, missing, FakeHttp())
    assert "`nox -s client` installs it" in caught.value.hint
    assert caught.value.exit_code == 2
