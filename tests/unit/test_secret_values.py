"""No value of a secret variable leaves in an artifact, a log line or an error, and no text is slow to search."""

import base64
import gzip
import io
import json
import secrets as random_secrets
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from pipeline import cli, secret_values
from pipeline.errors import LaunchError
from pipeline.measure import outcome, redaction, surroundings
from pipeline.measure.points import pack
from pipeline.measure.provenance import Attempt, RunSettings, record
from pipeline.schema.plan import Plan
from pipeline.schema.result import Measurement
from tests.fakes import results
from tests.fakes.contexts import context

VALUE = "correct-horse/battery+staple"
NAMES = [
    "HF_TOKEN", "GITHUB_TOKEN", "MY_JWT", "GH_PAT", "VLLM_LICENSE", "NVIDIA_LICENCE", "SLACK_WEBHOOK", "RACKBENCH_WEBHOOK_URL",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET", "NGC_API_KEY", "DB_PASSWORD", "PGPASS",
    "SENTRY_DSN", "SAS", "SIGNING_KEY", "AZURE_STORAGE_CONNECTION_STRING", "OTP", "BASIC_AUTH", "DYN_HTTP_HEADERS", "NVAPI_KEYS",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_a_variable_that_sounds_secret_is_known(name):
    assert VALUE in secret_values.of({name: VALUE})


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "PWD",
        "OLDPWD",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "SSH_AUTH_SOCK",
        "TOKENIZERS_PARALLELISM",
        "AUTHOR",
        "COMPATIBLE",
        "KEYBOARD",
        "VLLM_ATTENTION_BACKEND",
    ],
)
def test_other_variables_are_not(name):
    assert secret_values.of({name: VALUE}) == ()


FORMS = {
    "as it is": VALUE,
    "in JSON": json.dumps({"a": VALUE}),
    "in an address": "https://x/?k=correct-horse%2Fbattery%2Bstaple",
    "in base64": base64.b64encode(VALUE.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["console.log", "records.jsonl", "a.log"])
@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 5, (1 << 20) - 30, (2 << 20) - 12])
def test_a_raw_file_has_no_secret_wherever_it_lies_in_it(form, name, before, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"-" * before + FORMS[form].encode() + b"\nend\n")
    raw = pack(source, tmp_path, name, secrets=secret_values.of({"HF_TOKEN": VALUE}))
    content = gzip.decompress((tmp_path / raw.path).read_bytes())
    assert b"battery" not in content
    assert FORMS["in base64"].encode() not in content
    assert content.endswith(b"\nend\n")
    assert content.startswith(b"-" * before)


def test_a_raw_file_without_secrets_is_unchanged(tmp_path):
    content = random_secrets.token_bytes(3 << 20) + b"\n\xff\xfe\x00 tokens: 12\n"
    (tmp_path / "source").write_bytes(content)
    raw = pack(tmp_path / "source", tmp_path, "records.jsonl", secrets=("never-in-there",))
    assert gzip.decompress((tmp_path / raw.path).read_bytes()) == content
    log = b"".join(b"line %d, 12 tokens/s \xff\n" % number for number in range(20_000))
    (tmp_path / "log").write_bytes(log)
    raw = pack(tmp_path / "log", tmp_path, "engine.log")
    assert gzip.decompress((tmp_path / raw.path).read_bytes()) == log


def test_a_log_has_no_secret_of_another_process_either(tmp_path):
    (tmp_path / "log").write_text(
        "start\nAuthorization: Bearer abcdefghijklmnop\n--api-key s3cr3ts3cr3t\nend\n"
    )
    raw = pack(tmp_path / "log", tmp_path, "engine.log")
    content = gzip.decompress((tmp_path / raw.path).read_bytes()).decode()
    assert "abcdefgh" not in content
    assert "s3cr3t" not in content
    assert content.startswith("start\n")
    assert content.endswith("end\n")


FROZEN = Path(__file__).parents[1] / "contract" / "frozen"
ENV = {"HF_TOKEN": VALUE, "VLLM_HOST_NAME": f"node-{VALUE}", "VLLM_LICENSE": VALUE}


def attempt() -> Attempt:
    plan = Plan.from_json(max(FROZEN.glob("plan.*.json")).read_bytes(), where="plan.json")
    settings = RunSettings(plan, "101", 1, is_quick=False, seed=None)
    return Attempt.of(plan.jobs[0], settings, started_at="2026-11-23T02:00:00Z")


def test_no_document_of_an_artifact_has_a_secret():
    measured = Measurement(
        points=(), versions={}, stages_s={}, commands={"worker": ("vllm", f"--x={VALUE}", VALUE)}
    )
    made = record(attempt(), measured, env=ENV, finished_at="2026-11-23T02:05:00Z")
    assert VALUE not in made.to_json()
    assert VALUE not in str(surroundings.environment(ENV))
    failed = outcome.without_values(results.failure(f"died: {VALUE}"), ENV)
    assert VALUE not in failed.to_json()


def test_no_log_line_and_no_error_has_a_secret(capsys):
    with redirect_stderr(io.StringIO()) as out:
        context(Path(), env=ENV).log(f"starting with {VALUE}")
    assert VALUE not in out.getvalue()
    assert cli.run(["query", VALUE, "--history", VALUE], ENV) == 2
    assert VALUE not in capsys.readouterr().err
    assert VALUE not in outcome.without_values(outcome.failure(LaunchError(VALUE)), ENV).to_json()


PIECES = [
    "://",
    "//a:",
    "//a:b",
    "a@b:",
    "--key ",
    "'",
    '\\"',
    "-----BEGIN ",
    "eyJ",
    "eyJa.",
    "[",
    "TOKEN",
    "bearer ",
    "x" * 60 + "=",
    "u:p@",
]


@pytest.mark.parametrize("piece", PIECES)
def test_the_search_for_secrets_looks_at_pieces_of_limited_length(piece):
    text = piece * (400_000 // len(piece))
    pieces = list(redaction._pieces(text))
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= redaction.PIECE
    assert len(redaction.without_secrets(text)) <= 2 * len(text)
