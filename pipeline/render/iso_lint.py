"""What iso, lint and compare print on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.render.terminal import aligned
from pipeline.render.text import about, number
from pipeline.schema.claims import CostMode
from pipeline.schema.compare import Reading
from pipeline.schema.lint import Finding, LintReport, Severity


def iso_readings(readings: Sequence[Reading], *, x: str, y: str, cost: CostMode | None, gap: float) -> str:
    """One line an interactivity, one column a SKU; ``≈`` where the knots around are farther apart than ``gap``."""
    skus = list(dict.fromkeys(one.sku for one in readings))
    by_place = {(one.sku, one.interactivity): one for one in readings}
    lines = [[x, *(f"{sku} {y}" for sku in skus), *([f"{sku} $/Mtok" for sku in skus] if cost else [])]]
    for at in dict.fromkeys(one.interactivity for one in readings):
        row = [by_place[sku, at] for sku in skus]
        cells = [_read(one, gap) for one in row]
        costs = [_cost(one, gap) for one in row]
        lines.append([number(at, "grid"), *cells, *(costs if cost else [])])
    said = f"cost: {_MODES[cost]}\n" if cost else ""
    directional = any(one.is_directional(gap) for one in readings)
    said += f"≈ directional: read between knots more than {gap:g} apart\n" if directional else ""
    return aligned(lines, left=0) + said


_MODES = {
    "derived": "derived from the throughput read",
    "article": "article: the cost of the knots, splined apart from the throughput",
}


def _read(one: Reading, gap: float) -> str:
    return about(
        number(one.total_tok_s_gpu, "tok_s_gpu", absent="unreachable"), directional=one.is_directional(gap)
    )


def _cost(one: Reading, gap: float) -> str:
    absent = "unreachable" if one.total_tok_s_gpu is None else "no price"
    return about(number(one.usd_per_mtok, "usd_per_mtok", absent=absent), directional=one.is_directional(gap))


def lint_text(linted: LintReport, *only: Severity) -> str:
    """Findings of one document as paragraphs: what is printed, what follows from the figures beside it, what should stand there.

    ``only`` these severities, all without; empty when there are none of them.
    """
    said = [f"{linted.title}\n"]
    if not linted.of(*(only or SEVERITIES)):
        return "" if only else f"{linted.title}\n\nnothing to say\n"
    for severity, title in SEVERITIES.items():
        found = linted.of(severity) if severity in (only or SEVERITIES) else ()
        if found:
            said += [f"\n{title} ({len(found)})\n", *map(_finding, found)]
    return "".join(said)


SEVERITIES: Final[dict[Severity, str]] = {
    "wrong": "wrong: no unrounded figures could print this",
    "edge": "edge: only figures at the edge of their rounding could",
    "note": "note: not wrong, but to be known",
    "holds": "holds: claims that were checked and stand",
}


def _finding(one: Finding) -> str:
    values = {"printed": one.printed, "computed": one.computed, "should be": one.corrected}
    figures = ", ".join(f"{name} {value}" for name, value in values.items() if value)
    lines = [
        f"- {one.rule} · {one.place}" + (f": {figures}" if figures else ""),
        f"    {one.why}",
        *([f"    {one.evidence}"] if one.evidence else []),
    ]
    return "\n".join(lines) + "\n"
