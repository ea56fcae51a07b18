"""What went wrong is told in documents and on pages, and what programs said of it without their secrets."""

from __future__ import annotations

from pipeline.errors import LaunchError
from pipeline.measure import aiperf_run, outcome


def test_an_error_is_told_without_the_secrets_of_the_log_that_it_quotes():
    error = LaunchError(
        "prefill-0 died: --api-key hunter2",
        where="http://me:hunter2@h/log",
        hint="last line: password=hunter2",
    )
    told = outcome.failure(error)
    assert (told.what, told.where, told.hint) == (
        "prefill-0 died: --api-key (redacted)",
        "http://(redacted)@h/log",
        "last line: password=(redacted)",
    )


def test_an_error_without_a_secret_is_told_as_it_is():
    error = LaunchError("prefill-0 died (exit code 1)", hint="see logs/prefill-0.log")
    told = outcome.failure(error)
    assert (told.error, told.what, told.where, told.hint) == ("LaunchError", error.what, "", error.hint)


def test_what_a_client_said_last_is_told_without_its_secrets(tmp_path):
    log = tmp_path / "console.log"
    log.write_text("20:03:23 ERROR    http://me:hunter2@h/ refused\n", "utf-8")
    assert aiperf_run._exit_reason(1, log) == "exit code 1: 20:03:23 ERROR    http://(redacted)@h/ refused"
