"""Where figures come from: caveats, calibration, prices, and what the linter found in a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.render.text import number, plain
from pipeline.render.words.kinds import kind_text
from pipeline.schema.catalogue import Price
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.findings import Calibration, Caveats, LintCounts
from pipeline.schema.report import Report

NAMED = 5  # recipes that a banner names


def banners(report: Report) -> Iterator[str]:
    """Yield what a reader must know before reading a number, as Markdown."""
    found: Caveats = report.caveats
    if found.simulated is not None:
        yield _simulated(found.simulated, report.calibration)
    if found.has_published:
        yield "published: figures from other sources, reprinted here and not measured by this project"
    if found.extrapolated is not None:
        counted = f"{found.extrapolated.count} of {found.extrapolated.points} points"
        axes = ", ".join(found.extrapolated.axes)
        yield (
            f"extrapolated: {counted} are outside of the range that the timing was fitted to ({axes}); they are "
            "shown, and are on no frontier and in no reading, ratio or verdict"
        )
    for kind in found.reduced:
        text = plain(kind_text(kind))
        yield f"reduced request count: {text}; for trials only, never compared with full runs"
    if found.incomplete and found.has_curves:
        counted = f"{found.incomplete} of {found.deployments} deployments lack points (see Coverage)"
        yield f"incomplete: {counted}; curves, readings and ratios do not include them"
    if found.left_out:
        yield f"left out: {_left_out(found.left_out)}"
    if len(found.kinds) > 1:
        main, *others = (plain(kind_text(kind)) for kind in found.kinds)
        used = f"the tables under Curves use {main}, not {'; '.join(others)}"
        yield f"different kinds of figures are never mixed: {used}"


def _left_out(recipes: Sequence[str]) -> str:
    named = ", ".join(plain(recipe) for recipe in recipes[:NAMED])
    more = f" and {len(recipes) - NAMED} more" if len(recipes) > NAMED else ""
    count = f"{len(recipes)} recipe{'s' * (len(recipes) > 1)}"
    return f"{count} in the plan of this run but not selected by the report: {named}{more}"


def _simulated(kind: CurveKind, calibration: Calibration | None) -> str:
    how = "Dynamo's scheduler in virtual time"
    if not kind.is_virtual_time:
        how = "Dynamo live over HTTP with simulated engines"
    if calibration is None:
        return f"simulated: {how}, timing parameters not recorded"
    fitted = f"timing fitted to {plain(calibration.points)} ({calibration.points_origin}) on "
    fitted += f"{plain(calibration.fitted_on)}"
    return f"simulated: {how}, {fitted}, {_errors(calibration)}"


def _errors(found: Calibration) -> str:
    if found.median_error is None or found.largest_error is None:
        return "errors not recorded"
    median, largest = (number(error, "percent") for error in (found.median_error, found.largest_error))
    return f"median error {median}, largest {largest} (tok/s/GPU and TPOT of {found.count} points)"


def calibration_source(found: Calibration) -> str:
    """Return what the timing was fitted to, when, and with which versions, as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    points = f"{found.points} ({found.points_origin}, SHA-256 {found.points_sha256[:12]})"
    load = f"{found.requests_per_conc} × conc requests"
    return plain(f"Fitted to {points} on {found.fitted_on} with {load}; {versions}")


def price(found: Price | None, tier: str) -> str:
    """Return the price of a GPU-hour with its tier, date, source, and why it is provisional, as Markdown."""
    if found is None:
        return f"no {plain(tier)} price known"
    provisional = f"; provisional: {plain(found.provisional)}" if found.provisional else ""
    rate = f"{found.usd_per_gpu_hour} USD per GPU-hour, {plain(tier)} tier"
    return f"{rate}, as of {found.date}, {plain(found.source)}{provisional}"


def lint_counts(found: LintCounts) -> str:
    """Return what the linter found in a study."""
    figures = f"{number(found.wrong_figures, 'count')} printed figures do not follow from their operands"
    claims = (
        f"{number(found.wrong_claims, 'count')} do not hold and {number(found.right_claims, 'count')} hold"
    )
    return (
        f"In its tables, {figures}. Of the claims in its text and charts, {claims}. Findings at the edge of "
        f"rounding: {number(found.edges, 'count')}. Notes: {number(found.notes, 'count')}."
    )
