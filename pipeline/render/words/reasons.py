"""The words for differences, for problems of points and for absent verdicts; not escaped for Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.render.words.ranges import extrapolated_text
from pipeline.schema.reasons import ChangeReason, CoverageProblem, FieldDiff, Problem

NOT_SET: Final = "not set"


def setting_text(value: str | None) -> str:
    """Return a value, or the word for one that is not set."""
    return NOT_SET if value is None else value


def given_text(value: str | None) -> str:
    """Return a value of a command line; an option without a value is ``given``."""
    return NOT_SET if value is None else value or "given"


def diff_text(diff: FieldDiff) -> str:
    """Return a field with both of its values.

    >>> diff_text(FieldDiff(field="image", before="vllm:v1", after=None))
    'image vllm:v1 → not set'
    """
    return f"{diff.field} {setting_text(diff.before)} → {setting_text(diff.after)}"


def reason_text(reason: ChangeReason | None) -> str:
    """Return why a verdict is unknown; empty where there is one.

    >>> reason_text(ChangeReason(kind="failed", side="now", error="worker died"))
    'failed now: worker died'
    """
    if reason is None:
        return ""
    match reason.kind:
        case "no-earlier-run":
            return "no earlier run of this point"
        case "no-longer-planned":
            return "no longer planned"
        case "noise unknown":
            return "one run on each side: the noise is not known yet"
        case "not-simulated":
            return f"virtual time does not simulate {', '.join(map(diff_text, reason.fields))}; a run on a rack decides"
        case "series differ":
            return "not comparable: the series keys differ"
        case "fields-differ":
            return f"not comparable: {', '.join(map(diff_text, reason.fields))}"
        case "extrapolated":
            return f"extrapolated {reason.side}: {extrapolated_text(reason.extrapolated)}"
        case kind:
            side = "" if reason.side is None else f" {reason.side}"
            return _problem(kind, side, reason.error, reason.reasons)


def coverage_text(problems: Iterable[CoverageProblem]) -> str:
    """Return what is wrong with the points of one recipe; empty where nothing is.

    >>> coverage_text([CoverageProblem(kind="missing", conc=64)])
    'c64 missing: no result arrived'
    """
    return "; ".join(
        _problem(one.kind, "", one.error, one.reasons)
        if one.conc is None
        else f"c{one.conc} {_problem(one.kind, '', one.error, one.reasons)}"
        for one in problems
    )


def _problem(kind: Problem, side: str, error: str, reasons: tuple[str, ...]) -> str:
    match kind:
        case "missing":
            return f"missing{side}: no result arrived"
        case "failed":
            return f"failed{side}: {error or 'no reason recorded'}"
        case "invalid":
            return f"invalid{side}: {', '.join(reasons) or 'no reason recorded'}"
