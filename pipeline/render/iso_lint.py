"""The output of iso and lint on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.render.terminal import aligned
from pipeline.render.text import about, number
from pipeline.render.words.lint import printed_finding
from pipeline.schema.claims import CostMode
from pipeline.schema.compare import Reading
from pipeline.schema.lint import Finding, LintReport, Severity


def iso_readings(readings: Sequence[Reading], *, x: str, y: str, cost: CostMode | None, gap: float) -> str:
    """Return one line per interactivity and one column per SKU; ``≈`` marks readings between knots over ``gap`` apart."""
    skus = list(dict.fromkeys(one.sku for one in readings))
    by_place = {(one.sku, one.interactivity): one for one in readings}
    lines = [[x, *(f"{sku} {y}" for sku in skus), *([f"{sku} $/Mtok" for sku in skus] if cost else [])]]
    for at in dict.fromkeys(one.interactivity for one in readings):
        row = [by_place[sku, at] for sku in skus]
        cells = [_read(one, gap) for one in row]
        costs = [_cost(one, gap) for one in row]
        lines.append([number(at, "grid"), *cells, *(costs if cost else [])])
    notes = f"cost: {_MODES[cost]}\n" if cost else ""
    directional = any(one.is_directional(gap) for one in readings)
    notes += f"≈ directional: read between knots more than {gap:g} apart\n" if directional else ""
    return aligned(lines, left=0) + notes


_MODES = {
    "derived": "derived from the throughput at that interactivity",
    "article": "article: interpolated between the costs of the knots, not from the throughput",
}


def _read(one: Reading, gap: float) -> str:
    return about(
        number(one.total_tok_s_gpu, "tok_s_gpu", absent="unreachable"), directional=one.is_directional(gap)
    )


def _cost(one: Reading, gap: float) -> str:
    absent = "unreachable" if one.total_tok_s_gpu is None else "no price"
    return about(number(one.usd_per_mtok, "usd_per_mtok", absent=absent), directional=one.is_directional(gap))


def lint_text(linted: LintReport, *only: Severity) -> str:
    """Return the findings of one document as paragraphs: the printed, the computed and the corrected figure.

    ``only``: these severities, default all; empty when there are no findings of them.
    """
    parts = [f"{linted.title}\n"]
    if not linted.of(*(only or SEVERITIES)):
        return "" if only else f"{linted.title}\n\nno findings\n"
    for severity, title in SEVERITIES.items():
        found = linted.of(severity) if severity in (only or SEVERITIES) else ()
        if found:
            parts += [f"\n{title} ({len(found)})\n", *map(_finding, found)]
    return "".join(parts)


SEVERITIES: Final[dict[Severity, str]] = {
    "wrong": "wrong: no unrounded figures round to this",
    "edge": "edge: only figures at the edge of their rounding give this",
    "note": "note: not wrong, but relevant",
    "holds": "holds: claims that were checked and are right",
}


def _finding(finding: Finding) -> str:
    one = printed_finding(finding)
    values = {"printed": one.printed, "computed": one.computed, "should be": one.corrected}
    figures = ", ".join(f"{name} {value}" for name, value in values.items() if value)
    lines = [
        f"- {one.rule} · {one.place}" + (f": {figures}" if figures else ""),
        f"    {one.why}",
        *([f"    {one.evidence}"] if one.evidence else []),
    ]
    return "\n".join(lines) + "\n"
