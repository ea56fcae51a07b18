"""What a deployment counts belongs to the loop in which it was counted."""

from __future__ import annotations

from pipeline.measure import counters
from pipeline.measure.counters import Reading


def test_streams_lost_before_and_after_a_loop_are_not_its_own(tmp_path):
    log = tmp_path / "frontend.log"
    lost = b"ERROR Cannot recreate stream\n"
    earlier, during = lost * 2, b"INFO request completed\n" * 9 + lost
    log.write_bytes(earlier + during + lost * 4)
    before, after = Reading({}, 0, log_bytes=len(earlier)), Reading({}, 0, log_bytes=len(earlier + during))
    assert counters.lost_streams(log, before, after) == 1
    assert counters.lost_streams(tmp_path / "none", before, after) is None
