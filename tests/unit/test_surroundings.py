"""What a result says of its machine: no secret, nothing invented, and what the driver says of each GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.edge.shell import Completed
from pipeline.errors import PipelineError
from pipeline.measure import provenance, redaction, surroundings
from pipeline.schema.plan import Plan
from pipeline.schema.result import Measurement
from tests.fakes import launch_specs

COMMANDS = sorted((Path(__file__).parents[1] / "golden").glob("*/*.txt"))

SMI = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>580.65.06</driver_version>
  <gpu id="00000008:01:00.0">
    <product_name>NVIDIA GB300</product_name>
    <uuid>GPU-1</uuid>
    <vbios_version>97.10.4A.00.01</vbios_version>
    <clocks><sm_clock>1965 MHz</sm_clock><mem_clock>3996 MHz</mem_clock></clocks>
    <gpu_power_readings><current_power_limit>1400.00 W</current_power_limit></gpu_power_readings>
    <fabric><state>Completed</state><cliqueId>32766</cliqueId><clusterUuid>5c4a-1</clusterUuid></fabric>
  </gpu>
  <gpu id="00000009:01:00.0">
    <product_name>NVIDIA GB300</product_name>
    <power_readings><power_limit>1300.00 W</power_limit></power_readings>
    <clocks><sm_clock>N/A</sm_clock></clocks>
    <fabric><cliqueId>N/A</cliqueId></fabric>
  </gpu>
</nvidia_smi_log>
"""


class Answers:
    def __init__(self, found: Completed | PipelineError) -> None:
        self.found = found

    def run(self, argv, **_):
        if argv == ["on-the-rack", "uname", "-n"]:
            return Completed(0, "tray-7\n", "")
        assert argv == ["on-the-rack", "nvidia-smi", "-q", "-x"]
        if isinstance(self.found, PipelineError):
            raise self.found
        return self.found


def gpus(found):
    return surroundings.gpus(Answers(found), lambda argv: ["on-the-rack", *argv])


def test_every_gpu_says_clocks_power_cap_driver_and_its_place_in_the_fabric():
    first, second = gpus(Completed(0, SMI, ""))
    assert (first.name, first.driver, first.sm_mhz, first.memory_mhz, first.power_limit_w) == (
        "NVIDIA GB300",
        "580.65.06",
        1965,
        3996,
        1400,
    )
    assert (first.node, second.node) == ("tray-7", "tray-7")
    assert (first.fabric_cluster, first.fabric_clique, first.index) == ("5c4a-1", "32766", "0")
    assert (
        second.power_limit_w,
        second.sm_mhz,
        second.uuid,
        second.fabric_cluster,
        second.fabric_clique,
    ) == (1300, None, None, None, None)


@pytest.mark.parametrize(
    "found",
    [
        PipelineError("nvidia-smi is not installed"),
        Completed(9, SMI, ""),
        Completed(0, "no devices", ""),
        Completed(0, "<nvidia_smi_log>", ""),
    ],
    ids=["absent", "failed", "other", "torn"],
)
def test_gpus_that_nobody_describes_are_unknown_and_not_none(found):
    assert gpus(found) is None


@pytest.mark.parametrize(
    "words",
    ["N/A", "[N/A]", "Not Supported", "[Not Supported]", "[Unknown Error]", "Insufficient Permissions", ""],
)
def test_what_the_driver_does_not_say_is_unknown_in_every_field(words):
    said = (
        SMI.replace("97.10.4A.00.01", words)
        .replace("1400.00 W", words)
        .replace("1965 MHz", words)
        .replace("32766", words)
    )
    first, _ = gpus(Completed(0, said, ""))
    assert (first.vbios, first.power_limit_w, first.sm_mhz, first.fabric_clique) == (None, None, None, None)
    assert first.fabric_cluster == "5c4a-1"


def test_gpus_outside_of_any_nvlink_cluster_are_in_none_together():
    """The driver gives all of them one identifier of nothing but zeros."""
    first, _ = gpus(Completed(0, SMI.replace("5c4a-1", "00000000-0000-0000-0000-000000000000"), ""))
    assert first.fabric_cluster is None


def test_the_environment_of_engines_is_kept_without_secrets():
    kept = surroundings.environment(
        {
            "NCCL_DEBUG": "WARN",
            "VLLM_API_KEY": "hunter2",
            "HF_HUB_TOKEN": "hunter2",
            "UCX_PROXY": "http://me:hunter2@proxy:80/",
            "CUDA_VISIBLE_DEVICES": "0",
            "HOME": "/root",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
        }
    )
    assert "hunter2" not in str(kept)
    assert kept == {
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_HUB_TOKEN": "(redacted)",
        "NCCL_DEBUG": "WARN",
        "UCX_PROXY": "http://(redacted)@proxy:80/",
        "VLLM_API_KEY": "(redacted)",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DYN_AUTH", "Bearer hunter2"),
        ("DYN_PASS", "hunter2"),
        ("DYN_ETCD_AUTH_PASSPHRASE", "hunter2"),
        ("VLLM_HTTP_HEADERS", "Authorization: hunter2"),
        ("DYN_OTEL_EXPORTER_HEADERS", "x=hunter2"),
        ("NIXL_WORDS", "authorization: bearer hunter2"),
        ("NIXL_URL", "https://h/x?sig=hunter2&X-Amz-Signature=s"),
        ("UCX_URL", "https://user:hunter2/w@h/x"),
        ("VLLM_PWD", "hunter2"),
        ("VLLM_KEY", "hunter2"),
        ("DYN_NATS_NKEY", "hunter2"),
        ("VLLM_HFTOKEN", "hunter2"),
        ("VLLM_ARGS", "--max-num-seqs 4 --api-key hunter2"),
        ("VLLM_ARGS", "--api-key=hunter2 --numa-bind"),
        ("VLLM_JSON", '{"api_key": "hunter2", "n": 1}'),
        ("NIXL_S3", "region=x;aws_secret_access_key=hunter2"),
        ("DYN_STORE", "host:6379?password=hunter2"),
        ("TORCH_WORDS", "authorization: token hunter2"),
        ("DYN_PEM", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"),
        ("VLLM_WORD", "hf_hunter2hunter2hunter2hunter2"),
        ("VLLM_WORD", "ghp_hunter2hunter2hunter2hunter2hunter2"),
        ("VLLM_WORD", "nvapi-hunter2hunter2hunter2"),
    ],
)
def test_a_secret_in_any_of_its_usual_places_is_redacted(name, value):
    (shown,) = surroundings.environment({name: value}).values()
    assert "hunter2" not in shown
    assert "(redacted)" in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_MAX_TOKENS_PER_EXPERT_FP4_MOE", "2048"),
        ("VLLM_TOKENIZER_MODE", "deepseek_v4"),
        ("VLLM_PASS_THROUGH", "1"),
        ("TILELANG_CLEANUP_TEMP_FILES", "1"),
        ("VLLM_ARGS", "--max-num-batched-tokens 32768 --tokenizer-mode deepseek_v4"),
        ("DYN_URL", "http://127.0.0.1:18000/v1"),
        ("NIXL_JSON", '{"kv_connector":"NixlConnector","max_tokens":4}'),
    ],
)
def test_what_only_sounds_like_a_secret_is_kept(name, value):
    assert surroundings.environment({name: value}) == {name: value}


@pytest.mark.parametrize(
    "name",
    [
        "DYN_PW",
        "VLLM_KEYS",
        "DYN_TOKENS",
        "DYN_CRED",
        "DYN_CREDS",
        "DYN_CREDENTIALS",
        "DYN_PASSWD",
        "DYN_API_TOKENS",
    ],
)
def test_a_variable_named_like_a_secret_is_redacted_whole(name):
    assert surroundings.environment({name: "a,hunter2"}) == {name: "(redacted)"}


@pytest.mark.parametrize(
    "text",
    [
        '{"api_keys": ["first", "hunter2"]}',
        '{"n": {"credentials": {"user": {"of": ["hunter2"]}}}}',
        '[{"env": "{\\"password\\": \\"hunter2\\"}"}]',
        'sent {\\"password\\": \\"hunter2\\"} to it',
        'sent {\\"password\\": \\"ab\\\\\\"hunter2\\"} to it',
        'sent "password": "ab\\"hunter2" to it',
        'cut within "password": "ab hunter2',
        'api_keys=["first", "hunter2"]',
        "refused {'credentials': {'user': 'hunter2'}}",
        "http://user:p@hunter2@h/",
        "https://user:p/hunter2@h/",
        "nats://hunter2@h",
        "redis at user:hunter2@h:6379",
        "--api-key -hunter2",
        '--api-key "two hunter2"',
        '["--api-key", "hunter2"]',
        "could not run ['x', '--api-key', 'hunter2']",
        "secret = a, hunter2",
        "sent token hunter2, which is old",
        "password=ab'hunter2",
        "TOKENS=hunter2",
        "headers: X-Api-Key: hunter2",
        "Authorization: Basic hunter2",
        "curl -u me:hunter2 h",
        "curl --user=me:hunter2 h",
        'curl --proxy-user "me:hunter2" h',
        "xoxb-1234567890-hunter2",
        "AIzaSyA-hunter2-0123456789",
        "eyJhbGciOiJI.eyJzdWIiOiIx.hunter2_-",
    ],
)
def test_a_secret_in_a_text_is_not_told(text):
    shown = redaction.without_secrets(text)
    assert "hunter2" not in shown
    assert "(redacted)" in shown
    assert surroundings.environment({"DYN_X": text}) == {"DYN_X": shown}


@pytest.mark.parametrize(
    "text",
    [
        "--max-num-batched-tokens 32768 --num-speculative-tokens 3 --token-budget 8k --long-prefill-token-threshold 2048",
        "--tokenizer-mode auto --pass-through x --use-server-token-count --numa-bind",
        '{"max_tokens": 4,  "num_speculative_tokens": 3, "token_budget": null}',
        "max_tokens=None top_p=1.0",
        "prompt tokens: 5, output tokens: 6, in all 11",
        "NCCL_AUTHORITY=host:1",
        "each token is late; token 151643 is no word",
        "KeyError: 'x'",
        "no-tokens: not one output token was generated",
        "docker://nvcr.io:5000/nvidia/vllm:1@sha256:ab12",
        "nvcr.io/nvidia/vllm:1@sha256:ab12",
        "git@github.com:a/b",
        "docker run --user 1000:1000 x",
        "env -u HF_HUB_OFFLINE TMPDIR=/x",
        "UCX_NET_DEVICES=mlx5_0:1,mlx5_1:1",
        "etcd://h:2379, http://127.0.0.1:8000/v1",
        "[2026-11-30 08:00:01] ERROR {torn",
        "mocker-0 died with exit code 1",
    ],
)
def test_a_text_without_a_secret_is_told_as_it_is(text):
    assert redaction.without_secrets(text) == text
    assert redaction.command(text.split()) == tuple(text.split())


def test_json_without_its_secrets_is_json_still():
    shown = redaction.without_secrets(
        '{"model": "é", "api_keys": ["a", "b"], "urls": ["http://u:p@h/"], "n": 1}'
    )
    assert shown == '{"model":"é","api_keys":"(redacted)","urls":["http://(redacted)@h/"],"n":1}'


@pytest.mark.parametrize(
    "argv",
    [
        ("--api-key", "-hunter2"),
        ("-u", "me:hunter2"),
        ("--user", "me:hunter2"),
        ("--user=me:hunter2",),
        ("DYN_KEYS=a hunter2",),
        ("-e", "DYN_KEYS=a hunter2"),
        ('--config={"api_keys":["a","hunter2"]}',),
        ("--config", '{"api_keys":["a","hunter2"]}'),
    ],
    ids=" ".join,
)
def test_a_secret_in_a_command_is_not_told(argv):
    kept = redaction.command(("curl", *argv, "--last"))
    assert "hunter2" not in " ".join(kept)
    assert (kept[0], kept[-1], len(kept)) == ("curl", "--last", len(argv) + 2)


def test_a_command_is_kept_without_its_secrets():
    argv = (
        "env",
        "HF_TOKEN=hunter2",
        "VLLM_MAX_TOKENS=4",
        "x",
        "--api-key",
        "hunter2",
        "--use-server-token-count",
        "--url=http://me:hunter2@h/",
    )
    kept = redaction.command(argv)
    assert kept[2:5] == ("VLLM_MAX_TOKENS=4", "x", "--api-key")
    assert kept[6] == "--use-server-token-count"
    assert len(kept) == len(argv)
    assert "hunter2" not in " ".join(kept)


@pytest.mark.parametrize("page", COMMANDS, ids=lambda path: path.stem)
def test_nothing_is_hidden_of_the_commands_of_a_recipe(page):
    words = tuple(page.read_text("utf-8").split())
    assert redaction.command(words) == words


def test_a_result_tells_its_commands_and_its_environment_without_secrets():
    order, cluster = launch_specs.spec(run_id="r"), launch_specs.cluster()
    plan = Plan(
        plan_id="p",
        event="dispatch",
        select="*",
        since=None,
        shard="1/1",
        git_sha=None,
        git_dirty=False,
        created_at="now",
        cluster=cluster,
        skus={order.sku.id: order.sku},
        llms={order.llm.id: order.llm},
        timings=(),
        jobs=(order.job,),
        left_out=(),
    )
    attempt = provenance.Attempt(
        plan, order.job, run_id="r", attempt=1, requests_per_conc=10, seed=0, started_at="now"
    )
    commands = {"frontend": ("env", "HF_TOKEN=hunter2", "python", "--api-key", "hunter2")}
    measured = Measurement(points=(), versions={}, stages_s={}, commands=commands)
    told = provenance.record(attempt, measured, env={"VLLM_API_KEY": "hunter2"}, finished_at="later")
    assert "hunter2" not in told.to_json()
    assert told.provenance.commands["frontend"][2] == "python"
    assert told.provenance.environment.keys() == {"VLLM_API_KEY"}
