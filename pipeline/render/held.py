"""Where the time went in which live jobs held GPUs."""

from __future__ import annotations

from typing import Final

from pipeline.render.tables import Table, deployment
from pipeline.render.text import number, plain
from pipeline.schema.report import Report

# Stage in results -> heading; what a job names otherwise is summed as other.
STAGES: Final = {
    "start": "start",
    "ready": "load and ready",
    "warm-up": "warm-up",
    "measure": "measure",
    "client": "client",
    "teardown": "teardown",
}
RULE: Final = (
    "Shares of the time with GPUs held, by stage. Measured: the share of held GPU time in which prefill and"
    " decode GPUs were measured; GPUs that a deployment holds and does not count never are. The wait in the queue"
    " holds no GPU."
)


def table(report: Report) -> Table:
    """Return a row for each live job: queue, GPU-hours held, shares by stage, and what was measured of it."""
    heads = (
        "deployment",
        "run",
        "queue s",
        "GPUs held",
        "GPU-hours held",
        *STAGES.values(),
        "other",
        "measured",
    )
    rows = []
    for row in report.held:
        shares = [row.share(stage) for stage in STAGES]
        gpu_hours = row.held_gpu_s / 3600
        rows.append(
            (
                deployment(row.recipe, row.sku, report),
                plain(row.run_id),
                number(row.queue_s, "wall"),
                str(row.gpus_held),
                f"{gpu_hours:.3f}",
                *(number(share, "percent") for share in (*shares, max(0.0, 1 - sum(shares)))),
                number(row.measured_share, "percent"),
            )
        )
    return Table(heads, "ll" + "r" * (len(heads) - 2), tuple(rows))
