"""The words for the findings of the linter."""

from __future__ import annotations

from math import floor, log10
from typing import Final, NamedTuple

from pipeline.schema.lint import (
    Check,
    ClaimCheck,
    ColumnName,
    CostCheck,
    CostRatioCheck,
    DominatedRow,
    Figure,
    FigureOutcome,
    Finding,
    FindingPlace,
    InteractivityCheck,
    KnotOutcome,
    LintReport,
    Outcome,
    PeakOutcome,
    PlacedRatio,
    PrintedFinding,
    PrintedLint,
    RangeOutcome,
    RatioCheck,
    RepeatedRow,
    ShapeCheck,
    StatisticsNote,
    UnitCheck,
    UnreadColumn,
    WaitCheck,
    WholeOutcome,
)

COLUMNS: Final[dict[ColumnName, str]] = {
    "usd_per_mtok": "$/Mtok",
    "prefill GPUs": "prefill GPUs",
    "decode GPUs": "decode GPUs",
    "ttft": "TTFT",
    "interactivity": "tok/s/user",
    "throughput_ratio": "ratio",
    "cost_ratio": "cost ratio",
}


class _Words(NamedTuple):
    """The figures of a finding as text, and the reason."""

    printed: str = ""
    computed: str = ""
    corrected: str = ""
    why: str = ""


def printed_lint(linted: LintReport) -> PrintedLint:
    """Return the findings of one document as text: what ``lint --json`` prints."""
    return PrintedLint(title=linted.title, findings=tuple(map(printed_finding, linted.findings)))


def printed_finding(finding: Finding) -> PrintedFinding:
    """Return one finding as text."""
    words = _words(finding.check)
    is_claim = isinstance(finding.check, ClaimCheck)
    return PrintedFinding(
        rule=finding.rule,
        severity=finding.severity,
        place=_place(finding.place),
        printed=words.printed,
        computed=words.computed,
        corrected="" if is_claim and finding.severity == "holds" else words.corrected,
        why=words.why,
        evidence=finding.check.evidence if isinstance(finding.check, ClaimCheck) else "",
    )


def _place(place: FindingPlace) -> str:
    """Return table, row and column.

    >>> _place(FindingPlace(table="iso", row="27", sku="gb300-nvl72", column="usd_per_mtok"))
    'iso, row 27: gb300-nvl72 $/Mtok'
    """
    if place.table == "text":
        return f"{place.row}, {place.where}"
    prefix = "row " if place.table == "iso" else ""
    row = f", {prefix}{place.row}" if place.row else ""
    sku = f"{place.sku} " if place.sku else ""
    column = f": {sku}{COLUMNS[place.column]}" if place.column else ""
    return f"{place.table}{row}{column}"


def figure_text(figure: Figure) -> str:
    """Return a figure as its source prints it.

    >>> figure_text(Figure(value=0.1, decimals=2)), figure_text(Figure(value=2.652))
    ('0.10', '2.652')
    """
    return f"{figure.value:.15g}" if figure.decimals is None else f"{figure.value:.{figure.decimals}f}"


def as_printed(value: float, decimals: int) -> str:
    """Return a computed value with the decimals of the printed figure, with more where it would print as zero.

    >>> as_printed(2.8241, 2), as_printed(0.0004, 2)
    ('2.82', '0.0004')
    """
    enough = max(decimals, -floor(log10(abs(value)))) if value else decimals
    return f"{value:.{enough}f}"


def _decimals(says: str) -> int:
    return len(says.partition(".")[2])


def _against(printed: Figure, computed: float, why: str) -> _Words:
    decimals = printed.decimals or 0
    return _Words(
        figure_text(printed), as_printed(computed, decimals + 2), as_printed(computed, decimals), why
    )


def _words(check: Check) -> _Words:
    match check:
        case CostCheck():
            why = f"{check.usd_per_gpu_hour} USD per GPU-hour over {figure_text(check.throughput)} tok/s/GPU"
            return _against(check.printed, check.computed, why)
        case RatioCheck():
            why = f"{figure_text(check.last)} / {figure_text(check.first)}"
            return _against(check.printed, check.computed, why)
        case CostRatioCheck():
            throughputs = f"{figure_text(check.last)} / {figure_text(check.first)}"
            why = f"{throughputs} x {check.usd_first} / {check.usd_last}"
            return _against(check.printed, check.computed, why)
        case InteractivityCheck():
            why = f"1000 / {figure_text(check.tpot_ms)} ms, both {check.statistic}"
            return _against(check.printed, check.computed, why)
        case UnitCheck():
            why = f"1000 / {figure_text(check.tpot_ms)} ms, a factor of {check.factor:g}: one column has another unit"
            return _against(check.printed, check.computed, why)
        case ClaimCheck():
            words = _outcome(check.outcome)
            return words._replace(corrected=check.corrected or words.corrected, why=check.claim)
        case _:
            return _notes(check)


def _notes(
    check: StatisticsNote | ShapeCheck | WaitCheck | DominatedRow | RepeatedRow | UnreadColumn,
) -> _Words:
    match check:
        case StatisticsNote():
            return _Words(
                printed=f"statistic: {check.interactivity_statistic}",
                computed=f"{100 * check.lowest:+.2f} to {100 * check.highest:+.2f} % off 1000 / TPOT",
                corrected="1000 / median TPOT, in a column of its own",
                why=f"{check.rows_off} of {check.rows} rows are not the reciprocal of their TPOT ({check.tpot_statistic}): "
                "the table holds two statistics; name both",
            )
        case ShapeCheck(pool=pool):
            product = f"{pool.workers} x tp {pool.tp} x pp {pool.pp} x dp {pool.dp} = {pool.gpus}"
            why = f"{product} GPUs of {pool.shape} workers"
            return _Words(str(check.printed), str(pool.gpus), str(pool.gpus), why)
        case WaitCheck():
            why = (
                "decoding alone takes longer than the whole request"
                if check.wait_s < 0
                else "implied TTFT and queue; an upper bound, since ramp and drain are included"
            )
            return _Words("none", f"{check.wait_s:.1f} s", "", why)
        case DominatedRow():
            return _Words(
                printed=f"{check.tok_s_gpu:g} at {check.interactivity:g}",
                computed=f"{check.better_tok_s_gpu:g} at {check.better_interactivity:g}",
                why=f"conc {check.better_conc} is better on both axes: the row is not on the frontier",
            )
        case RepeatedRow():
            return _Words(why=f"the same as row {check.first} of the table: remove one")
        case UnreadColumn():
            return _Words(why=f"column `{check.column}` not checked")


def _outcome(outcome: Outcome | None) -> _Words:
    match outcome:
        case None:
            return _Words()
        case FigureOutcome(says=says, computed=computed):
            if computed is None:
                return _Words(says, "unreachable", "unreachable")
            decimals = _decimals(says)
            return _Words(says, as_printed(computed, decimals + 2), as_printed(computed, decimals))
        case WholeOutcome(of=of, per=per):
            return _Words(f"{of} by {per}", f"{of / per:g} workers", "a whole number of workers")
        case PeakOutcome():
            return _peak(outcome)
        case KnotOutcome():
            return _knot(outcome)
        case RangeOutcome(least=least, most=most, lowest=lowest, highest=highest):
            if lowest is None or highest is None:
                return _Words(f"{least} to {most}", "no such rows")
            ends = f"{lowest:.2f} to {highest:.2f}"
            return _Words(f"{least} to {most}", ends, ends)


def _peak(outcome: PeakOutcome) -> _Words:
    claim = f"{outcome.says} at {outcome.at}"
    if outcome.highest is None:
        return _Words(claim, "no ratio", "no range in common")
    decimals = _decimals(outcome.says)

    def place(one: PlacedRatio) -> str:
        return f"{as_printed(one.ratio, decimals + 2)} at {one.at:.2f}"

    parts = []
    if outcome.on_grid:
        parts.append(
            f"on the grid {as_printed(outcome.on_grid.ratio, decimals + 2)} at {outcome.on_grid.at:g}"
        )
    if outcome.local:
        parts.append(f"local peak {place(outcome.local)}")
    parts.append(f"largest {place(outcome.highest)} ({'edge' if outcome.is_edge else 'local peak'})")
    best = outcome.local or outcome.highest
    again = f" below {outcome.passed_again_from:.2f}" if outcome.passed_again_from else ""
    return _Words(claim, "; ".join(parts), f"{as_printed(best.ratio, decimals)} at {best.at:.2f}{again}")


def _knot(outcome: KnotOutcome) -> _Words:
    if outcome.knot_tok_s_gpu is None or outcome.knot_interactivity is None:
        return _Words(outcome.says, "no knots")
    place = f"at {outcome.knot_interactivity:g}"
    corrected = as_printed(outcome.knot_tok_s_gpu, _decimals(outcome.says))
    return _Words(outcome.says, f"{outcome.knot_tok_s_gpu:g} {place}", f"{corrected} {place}")
