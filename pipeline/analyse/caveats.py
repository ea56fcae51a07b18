"""What a reader must know before reading a number: origin, calibration, reduced request counts, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pipeline.analyse.curves import Family
from pipeline.schema.findings import Calibration, Caveats, ExtrapolatedPoints
from pipeline.schema.report import CoverageRow
from pipeline.schema.timing import Timing


def caveats(
    families: Sequence[Family], coverage: Sequence[CoverageRow], left_out: tuple[str, ...]
) -> Caveats:
    """Return the caveats of all families that a report shows, the one that the tables read first."""
    kinds = tuple(family.kind for family in families)
    return Caveats(
        simulated=next((kind for kind in kinds if kind.origin == "simulated"), None),
        has_published=any(kind.origin == "published" for kind in kinds),
        reduced=tuple(family.kind for family in families if family.is_reduced),
        extrapolated=_extrapolated(families),
        incomplete=sum(row.is_gap for row in coverage),
        deployments=len(coverage),
        has_curves=any(family.curves for family in families),
        kinds=kinds,
        left_out=left_out,
    )


def _extrapolated(families: Sequence[Family]) -> ExtrapolatedPoints | None:
    points = [point for family in families for curve in family.curves for point in curve.points]
    beyond = [point for point in points if point.status == "extrapolated"]
    if not beyond:
        return None
    axes = dict.fromkeys(one.axis for point in beyond for one in point.extrapolated)
    return ExtrapolatedPoints(count=len(beyond), points=len(points), axes=tuple(axes))


def calibration(timing: Timing | None) -> Calibration | None:
    """Return what the timing was fitted to, and how well; None where nothing is known of it."""
    if timing is None:
        return None
    errors = timing.relative_errors
    return Calibration(
        points=timing.points,
        points_origin=timing.points_origin,
        points_sha256=timing.points_sha256,
        fitted_on=timing.fitted_on,
        requests_per_conc=timing.requests_per_conc,
        versions=timing.versions,
        count=len(timing.errors),
        median_error=median(errors) if errors else None,
        largest_error=errors[-1] if errors else None,
    )
