"""What the figures say, in sentences whose numbers are still unrounded."""

from __future__ import annotations

from collections import Counter
from statistics import median

from pipeline.analyse.changes import NO_EARLIER
from pipeline.analyse.curves import Family
from pipeline.analyse.peak import CurvePair, peak
from pipeline.schema.compare import RatioAt
from pipeline.schema.curve_kind import CurveKind
from pipeline.schema.report import Change, CoverageRow, Definition, IsoRow, Sentence, Verdict
from pipeline.schema.timing import Timing

LONG_TTFT_MS = 10_000.0  # a reader of interactivity alone would not expect to wait longer for the first token


def overall(changes: tuple[Change, ...], coverage: tuple[CoverageRow, ...]) -> Verdict:
    """One word: worse beats everything; a gap is unknown, never a pass; a point without a past is no gap."""
    said = Counter("new" if change.reason == NO_EARLIER else change.verdict for change in changes)
    if said["worse"]:
        return "worse"
    if said["unknown"] or not (said["better"] or said["same"]) or any(row.state != "ran" for row in coverage):
        return "unknown"
    return "better" if said["better"] else "same"


def headline(
    changes: tuple[Change, ...], coverage: tuple[CoverageRow, ...], definition: Definition
) -> Sentence:
    """The verdict in one line: the largest change where there is one, else what ran and what it was compared with."""
    for verdict, word in (("worse", "slower"), ("better", "faster")):
        moved = sorted(
            (change for change in changes if change.verdict == verdict),
            key=lambda change: -abs(change.tok_s_gpu_change or 0),
        )
        if moved:
            return _moved(moved, word, coverage)
    return Sentence(
        words="{ran} · {compared}", values={"ran": _ran(coverage), "compared": _compared(changes, definition)}
    )


def _moved(moved: list[Change], word: str, coverage: tuple[CoverageRow, ...]) -> Sentence:
    first = moved[0]
    cause = (
        ", ".join(f"{diff.field} {diff.before} → {diff.after}" for diff in first.differs[:2])
        or "nothing that was asked for differs"
    )
    cause += f" and {len(first.differs) - 2} more fields" if len(first.differs) > 2 else ""
    others = f" · {len(moved) - 1} more {word}" if len(moved) > 1 else ""
    gaps = "" if all(row.state == "ran" for row in coverage) else f" · {_ran(coverage)}"
    return Sentence(
        words="{point} {word} by {change:percent}: {cause}{rest}",
        values={
            "point": f"{first.sku} {first.shape} c{first.conc}",
            "word": word,
            "change": abs(first.tok_s_gpu_change or 0.0),
            "cause": cause,
            "rest": others + gaps,
        },
    )


def _ran(coverage: tuple[CoverageRow, ...]) -> str:
    planned = [row for row in coverage if row.state != "not in plan"]
    complete = sum(row.state == "ran" for row in planned)
    least = "≥ " if any(row.planned_points is None for row in planned) else ""
    points = f"{sum(row.points for row in planned)}/{least}{sum(row.planned_points or 0 for row in planned)} points"
    states = Counter(row.state for row in planned if row.state != "ran")
    names = {row.state: f" ({row.recipe.rsplit('.', 1)[-1]})" for row in planned}
    gaps = "".join(
        f" · {count} {state}{names[state] if count == 1 else ''}" for state, count in sorted(states.items())
    )
    return f"{complete}/{len(planned)} deployments · {points}{gaps}"


def _compared(changes: tuple[Change, ...], definition: Definition) -> str:
    said = Counter("new" if change.reason == NO_EARLIER else change.verdict for change in changes)
    if not changes or said["new"] == len(changes):
        return "no earlier run to compare with"
    new = f", {said['new']} new" if said["new"] else ""
    unknown = f", {said['unknown']} not comparable" if said["unknown"] else ""
    if not said["same"]:
        reasons = Counter(
            change.reason for change in changes if change.verdict == "unknown" and change.reason != NO_EARLIER
        )
        return f"no verdict: {reasons.most_common(1)[0][0]} ({said['unknown']} points{new})"
    runs = sorted({change.before_run for change in changes if change.verdict == "same"})
    against = f"run {runs[0]}" if len(runs) == 1 else f"{len(runs)} runs"
    return f"no change beyond ±{percent_of(definition)} % against {against} ({said['same']} points compared{unknown}{new})"


def percent_of(definition: Definition) -> str:
    """The threshold as its author wrote it, in percent."""
    return f"{definition.relevant_change * 100:g}"


def rule(definition: Definition) -> Sentence:
    """What made the verdict."""
    return Sentence(
        words="tok/s/GPU of each recipe at equal concurrency against its previous run; {bar} % or more is better or worse, "
        "less is the same. A replay gives the same figures for the same seed, so there is no noise to beat; "
        "one night of measured data cannot tell and stays unknown.",
        values={"bar": percent_of(definition)},
    )


def findings(
    iso: tuple[IsoRow, ...], family: Family | None, titles: dict[str, str], between: Sentence | None = None
) -> tuple[Sentence, ...]:
    """The largest ratio on the grid with what is ``between`` its places, and the waits that interactivity does not show."""
    found = []
    rows = [row for row in iso if row.throughput_ratio is not None and len(row.cells) > 1]
    if rows and family:
        largest = _peak(
            max(rows, key=lambda row: row.throughput_ratio or 0.0), rows, family, list(titles.values())
        )
        words, more = (between.words, between.values) if between else ("", {})
        found.append(Sentence(words=f"{largest.words}{words}.", values={**largest.values, **more}))
    points = (
        [point for curve in family.curves for point in curve.points if point.status == "ok"] if family else []
    )
    slow = [point for point in points if (point.ttft_p50_ms or 0.0) > LONG_TTFT_MS]
    if slow:
        worst = max(slow, key=lambda point: point.ttft_p50_ms or 0.0)
        words = "Interactivity does not show the wait for the first token: TTFT p50 is above {limit:grid} s at {count} points, "
        words += "up to {worst:seconds} s ({point})."
        values: dict[str, float | str] = {
            "limit": LONG_TTFT_MS / 1000,
            "count": f"{len(slow)} of {len(points)}",
            "worst": worst.ttft_p50_ms or 0.0,
        }
        found.append(
            Sentence(
                words=words, values={**values, "point": f"{titles[worst.sku]} {worst.shape} c{worst.conc}"}
            )
        )
    return tuple(found)


def _peak(best: IsoRow, rows: list[IsoRow], family: Family, titles: list[str]) -> Sentence:
    about, low, high = ("≈ " if row.directional else "" for row in (best, rows[0], rows[-1]))
    cost = f" and {about}{{cost:ratio}} the tokens per dollar" if best.cost_ratio is not None else ""
    ends = (
        f"; {low}{{low_ratio:ratio}} at {{low:grid}}, {high}{{high_ratio:ratio}} at {{high:grid}}"
        if len(rows) > 1
        else ""
    )
    return Sentence(
        words=f"{{last}} over {{first}}: {about}{{ratio:ratio}} the tok/s/GPU{cost} at {{at:grid}} tok/s/user, the largest on this grid "
        f"({{low:grid}} to {{high:grid}}, {{kind}}{{marked}}){ends}",
        values={
            "last": titles[-1],
            "first": titles[0],
            "ratio": best.throughput_ratio or 0.0,
            "cost": best.cost_ratio or 0.0,
            "at": best.interactivity,
            "low": rows[0].interactivity,
            "high": rows[-1].interactivity,
            "low_ratio": rows[0].throughput_ratio or 0.0,
            "high_ratio": rows[-1].throughput_ratio or 0.0,
            "kind": family.curves[0].origin,
            "marked": ", directional" if best.directional else "",
        },
    )


def between(pair: CurvePair, definition: Definition) -> Sentence | None:
    """Where the ratio of two curves peaks on the continuum: inside, told apart from where their common range ends."""
    found = peak(pair, definition.interactivity, "total_tok_s_gpu")
    if found is None:
        return None

    def about(place: RatioAt) -> str:
        return "≈ " if place.gap > definition.directional_gap else ""

    values: dict[str, float | str] = {"end_ratio": found.high.ratio, "end": found.high.at}
    inside = "no local peak"
    if found.local:
        values |= {"peak": found.local[0].ratio, "peak_at": found.local[0].at}
        inside = f"local peak {about(found.local[0])}{{peak:ratio}} at {{peak_at:interactivity}}"
    end = f"{about(found.high)}{{end_ratio:ratio}} at {{end:interactivity}}, the end of the common range"
    return Sentence(words=f"; between and beyond: {inside}, {end}", values=values)


def banners(
    kinds: tuple[Family, ...], coverage: tuple[CoverageRow, ...], timing: Timing | None
) -> tuple[Sentence, ...]:
    """What a reader must know before reading a number: origin, reduced request counts, gaps, kinds that are not mixed."""
    said = []
    curves = [curve for family in kinds for curve in family.curves]
    origins = {curve.origin for curve in curves}
    if "simulated" in origins:
        said.append(_simulated(timing, kinds[0].kind))
    if "published" in origins:
        said.append(
            Sentence(words="published: figures of others, restated here and not measured by this project")
        )
    warning = "reduced request count: {kind}; never compared with full runs, good for trying things out only"
    said += [Sentence(words=warning, values={"kind": family.kind}) for family in kinds if family.is_reduced]
    gaps = sum(row.is_gap for row in coverage)
    if gaps and curves:
        warning = "incomplete: {gaps} of {all} deployments lack points (see Coverage); curves, readings and ratios are without them"
        said.append(Sentence(words=warning, values={"gaps": str(gaps), "all": str(len(coverage))}))
    if len(kinds) > 1:
        others = {f"other{index}": family.kind for index, family in enumerate(kinds[1:])}
        names = "; ".join(f"{{{name}}}" for name in others)
        said.append(
            Sentence(
                words="several kinds of figures that are never mixed: the tables of curves read {main}, not "
                + names,
                values={"main": kinds[0].kind, **others},
            )
        )
    return tuple(said)


def _simulated(timing: Timing | None, kind: CurveKind) -> Sentence:
    start = "simulated: " + (
        "Dynamo's scheduler in virtual time"
        if kind.is_virtual_time
        else "Dynamo live over HTTP with simulated engines"
    )
    if timing is None:
        return Sentence(words=start + ", timing parameters not recorded")
    errors = timing.relative_errors
    how_well = (
        "median error {median:percent}, largest {largest:percent} (tok/s/GPU and TPOT of {n} points)"
        if errors
        else "errors not recorded"
    )
    values: dict[str, float | str] = {
        "points": timing.points,
        "origin": timing.points_origin,
        "date": timing.fitted_on,
        "n": str(len(timing.errors)),
    }
    if errors:
        values |= {"median": median(errors), "largest": errors[-1]}
    return Sentence(
        words=start + ", timing fitted to {points} ({origin}) on {date}, " + how_well, values=values
    )
