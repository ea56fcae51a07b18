"""The message of a rendered report, and of a run that measured nothing."""

from __future__ import annotations

from dataclasses import replace

from pipeline.plaintext import one_line
from pipeline.publish.foreign import Head
from pipeline.publish.message import Message, WorkflowRun
from pipeline.schema.publication import PageEntry
from pipeline.schema.report import CoverageRow, Report, ReportData


def of_report(report: Report, data: ReportData, *, headline: str, body: str) -> Message:
    """Return the message of a report; the verdict is that of its data, and nothing is parsed out of its text."""
    return Message(
        name=report.name,
        verdict=report.verdict,
        headline=one_line(headline),
        body=body,
        head_sha="",
        origin=report.origin,
        has_failures=any(has_failed(row, data) for row in report.coverage),
    )


def has_failed(row: CoverageRow, data: ReportData) -> bool:
    """Return whether a recipe failed or has an invalid point, or did not arrive although the run had to measure it."""
    return row.state in ("failed", "invalid") or (row.state == "missing" and row.recipe in data.awaited)


def of_nothing(name: str, why: str, run_url: str) -> Message:
    """Return the message of a run that measured nothing."""
    headline = f"🔴 nothing was measured: {one_line(why)}"
    link = f"[The run]({run_url}) says more.\n" if run_url else ""
    body = f"# {headline}\n\n{link}"
    return Message(name=name, verdict="unknown", headline=headline, body=body, head_sha="", has_failures=True)


def about(message: Message, run: WorkflowRun, head: Head | None) -> Message:
    """Return a message about the commit of a run, or about the head that a ``workflow_run`` event names."""
    if head is None:
        return replace(message, head_sha=run.sha)
    return replace(message, head_sha=head.sha, head_repository=head.repository)


def page_entry(message: Message, run: WorkflowRun, *, site_url: str, published_at: str) -> PageEntry:
    """Return the entry of a message's page in the site."""
    return PageEntry(
        name=message.name,
        run_id=run.run_id or "local",
        attempt=run.attempt,
        verdict=message.verdict,
        headline=one_line(message.headline),
        origin=message.origin,
        published_at=published_at,
        site_url=site_url,
        run_url=run.url,
    )
