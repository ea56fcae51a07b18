"""What a deployment counts belongs to the loop in which it was counted."""

from __future__ import annotations

import pytest

from pipeline.edge.http import Response
from pipeline.edge.place import Files
from pipeline.measure import counters
from pipeline.measure.counters import CounterSnapshot
from tests.fakes.clients import endpoint


def test_streams_lost_before_and_after_a_loop_are_not_its_own(tmp_path):
    log = tmp_path / "frontend.log"
    lost = b"ERROR Cannot recreate stream\n"
    earlier, during = lost * 2, b"INFO request completed\n" * 9 + lost
    log.write_bytes(earlier + during + lost * 4)
    before, after = (
        CounterSnapshot({}, 0, log_bytes=len(earlier)),
        CounterSnapshot({}, 0, log_bytes=len(earlier + during)),
    )
    assert counters.lost_streams(Files(), log, before, after) == 1
    assert counters.lost_streams(Files(), tmp_path / "none", before, after) is None


@pytest.mark.parametrize(
    ("before", "after"), [(20, 10), (11, 10), (10, 20)]
)  # shorter when read, or since then
def test_a_log_that_shrank_tells_of_no_streams(tmp_path, before, after):
    log = tmp_path / "frontend.log"
    log.write_bytes(b"0123456789")
    assert (
        counters.lost_streams(
            Files(), log, CounterSnapshot({}, 0, log_bytes=before), CounterSnapshot({}, 0, log_bytes=after)
        )
        is None
    )


# As Dynamo 1.4.2 printed it after a decode worker was killed under load: one request was about to be sent to it, 14 streams ran on it.
FRONTEND = """# HELP dynamo_frontend_model_migration_total Total number of request migrations due to worker unavailability
# TYPE dynamo_frontend_model_migration_total counter
dynamo_frontend_model_migration_total{{migration_type="new_request",model="deepseek-ai/DeepSeek-V4-Pro"}} 1
dynamo_frontend_model_migration_total{{migration_type="ongoing_request",model="deepseek-ai/DeepSeek-V4-Pro"}} 14
{limit}"""
LIMIT = 'dynamo_frontend_model_migration_limit{{model="deepseek-ai/DeepSeek-V4-Pro"}} {}\n'


@pytest.mark.parametrize(
    ("limit", "lost", "changed"),
    [
        (LIMIT.format(0), 14, 0),  # no request may change its worker: all 15 ended as errors
        (LIMIT.format(3), 0, 15),
        (LIMIT.format(3), 2, 13),
        ("", 14, 1),  # nobody says what it may: what it counts stands
    ],
)
def test_only_requests_that_may_change_their_worker_have_done_so(tmp_path, limit, lost, changed):
    class Frontend:
        def request(self, _method: str, url: str, **_: object) -> Response:
            return Response(
                200, {}, FRONTEND.format(limit=limit).encode() if url.endswith(":18000/metrics") else b""
            )

    before, after = CounterSnapshot({}, 0, 0), counters.read(endpoint(tmp_path / "logs"), Frontend())
    assert counters.migrated(before, after, lost) == changed
