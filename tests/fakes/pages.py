"""Writes the pages that the browser tests open: the kept report, and one of invented figures of two origins."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.analyse import analyse
from pipeline.render import render
from pipeline.schema.report import Report, ReportData
from tests.fakes.rows import GB200, recipe, report_data, row

KEPT = Path("reports/gb300-vs-gb200/data.json")


def two_origins() -> Report:
    """Three simulated points and one measured."""
    fast, few = recipe("6p1d-dep4-dep8"), recipe("1p17d-tep4-tp4", conc=(18,))
    old = row(recipe("3p1d-dep8-dep8", sku=GB200), 4096, (8_900.0, 15.0), ttft_s=64.0)
    simulated = (row(fast, 4096, (11_000.0, 13.0), ttft_s=27.0), row(few, 18, (138.8, 73.43)), old)
    return analyse(
        report_data(
            *simulated,
            row(fast, 4096, (10_500.0, 12.5), ttft_s=30.0, origin="measured", measure="aiperf", run="102"),
        )
    )


def main(out: Path) -> None:
    reports = {
        "kept": analyse(ReportData.from_json(KEPT.read_bytes(), where=str(KEPT))),
        "two-origins": two_origins(),
    }
    for name, report in reports.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_bytes(render(report)["index.html"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
