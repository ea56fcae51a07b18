"""A kept report told again: from its data alone, or by today's definition and facts over the rows that it keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.errors import PipelineError, RecipeError
from pipeline.flow import reporting
from pipeline.flow.context import Context
from pipeline.schema.report import ReportData

ROOT = Path(__file__).parents[2]
NAME = "gb300-vs-gb200"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of one's own with the kept report's definition, data and published studies."""
    shutil.copytree(ROOT / "reports" / "published", tmp_path / "published")
    (tmp_path / NAME).mkdir()
    shutil.copy(ROOT / "reports" / f"{NAME}.yaml", tmp_path)
    shutil.copy(ROOT / "reports" / NAME / "data.json", tmp_path / NAME)
    return tmp_path


def told(place: Path, *, refreshed: bool) -> ReportData:
    context = Context(Shell(), SystemClock(), ROOT / "recipes", http=SystemHttp)
    return reporting.report_data(
        context,
        reporting.ReportOptions(place / f"{NAME}.yaml", None, None, place / "out", is_refreshed=refreshed),
    )


def edit(place: Path, before: str, after: str) -> None:
    path = place / f"{NAME}.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_a_refreshed_report_keeps_its_rows_and_reads_everything_else_again(place: Path) -> None:
    edit(place, "ttft_limit_s: 10", "ttft_limit_s: 20")
    kept = ReportData.from_json((place / NAME / "data.json").read_bytes(), where="kept")
    new = told(place, refreshed=True)
    assert new.rows == kept.rows
    assert (kept.definition.comparison and kept.definition.comparison.ttft_limit_s) == 10
    assert (new.definition.comparison and new.definition.comparison.ttft_limit_s) == 20


def test_without_a_refresh_only_the_kept_data_counts(place: Path) -> None:
    edit(place, "ttft_limit_s: 10", "ttft_limit_s: 20")
    shutil.rmtree(place / "published")
    assert told(place, refreshed=False) == ReportData.from_json(
        (place / NAME / "data.json").read_bytes(), where="kept"
    )


def test_a_study_that_is_not_there_is_named(place: Path) -> None:
    edit(place, "published/2026-05-22-gb300-vs-gb200.yaml", "published/nobody.yaml")
    with pytest.raises(PipelineError, match=r"nobody\.yaml"):
        told(place, refreshed=True)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("TEP4, ", "TEP0, ", "TEP0"),
        ("price_span: 0.2", "price_span: 1.5", "price_span"),
        ("  fit: ", "  fitt: ", "fitt"),
    ],
)
def test_a_wrong_assumption_is_refused_at_its_line(place: Path, before: str, after: str, what: str) -> None:
    edit(place, before, after)
    line = next(
        n for n, text in enumerate((place / f"{NAME}.yaml").read_text().splitlines(), start=1) if what in text
    )
    with pytest.raises(RecipeError) as refused:
        told(place, refreshed=True)
    assert line in {problem.line for problem in refused.value.problems}
