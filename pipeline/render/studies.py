"""Sections on a published study: its figures beside ours, and what the linter finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.render.sections import Section
from pipeline.render.tables import MOST_COLUMNS, Table, marked
from pipeline.render.text import about, number, plain
from pipeline.render.words import figures, sources
from pipeline.render.words.kinds import kind_text
from pipeline.render.words.lint import printed_finding
from pipeline.schema.claims import Axis, CostMode, Quantity
from pipeline.schema.lint import Finding
from pipeline.schema.report import ComparedCurves, Report, StudyPoint, StudySection

AXES: dict[Axis, str] = {
    "interactivity": "1000 / median TPOT",
    "interactivity_as_printed": "tok/s/user as printed",
}
RATIOS: dict[tuple[Quantity, CostMode], str] = {
    ("total_tok_s_gpu", "derived"): "tok/s/GPU",
    ("total_tok_s_gpu", "article"): "tok/s/GPU",
    ("usd_per_mtok", "article"): "tokens per dollar, cost interpolated on its own, as in the study",
    ("usd_per_mtok", "derived"): "tokens per dollar, cost derived from the throughput",
}


def beside(report: Report, found: StudySection) -> Section:
    """Return the section with the study's curves beside each kind of ours, then its points."""
    study, titles = found.study, list(report.sku_titles.values())
    published = f", published {study.published_on}" if study.published_on else ""
    what = f"{plain(study.title)}: {plain(study.source)}, run {plain(study.run_id)}, dated "
    what += f"{study.measured_on} by the source{published}"
    axis = "The study is read at 1000 / median TPOT and at the prices of this report, as this report's own "
    axis += "figures are. Its printed tok/s/user is another statistic and has its own column. "
    axis += (
        "The TTFT and queue time implied by Little's law are upper bounds, since they include ramp and drain "
    )
    axis += "of the run."
    readings = [
        (f"Published figures beside {plain(kind_text(one.kind))}:", _readings(found, one, titles))
        for one in found.beside
    ]
    tables = readings or [("Published:", _alone(found, titles))]
    if found.peaks:
        tables.append(("Peaks of the published ratio, computed from the printed points:", _peaks(found)))
    points = [
        (f"Points of {plain(title)} as published:", _points(found, sku))
        for sku, title in report.sku_titles.items()
    ]
    waits = _waits(found, report.sku_titles)
    if waits.rows:
        points.append(("Median TTFT as published, beside this report's:", waits))
    again = tuple(_again(found, report.sku_titles))
    return Section(
        "Published figures beside ours", (f"{what}, {plain(study.url)}.", axis), "", (*tables, *points), again
    )


def checked(found: StudySection) -> Section:
    """Return the section with the findings of the linter, wrong figures first."""
    wrong = _figures(found.linted.table_findings)
    tables = (("Printed figures that do not follow from their operands:", wrong),) if wrong.rows else ()
    claims = [finding for finding in found.linted.wrong if finding.rule == "assertion"]
    folded = [
        (f"Claims of the text that do not hold: {len(claims)}", _claims(claims)),
        ("Findings at the edge of rounding, and notes", _claims(found.linted.of("edge", "note"))),
        ("Claims that hold", _claims(found.linted.of("holds"))),
    ]
    rule = "A figure is wrong when no unrounded operands that print as shown can give it. "
    rule += "A claim is checked against arithmetic or evidence. "
    rule += "Identities: ratio = last / first throughput, cost = rate · 10⁶ / (3600 · tok/s/GPU)."
    return Section(
        "The published study, checked",
        (sources.lint_counts(found.counts), rule),
        "",
        tables,
        tuple(pair for pair in folded if pair[1].rows),
    )


def _readings(found: StudySection, ours: ComparedCurves, titles: Sequence[str]) -> Table:
    """Return tok/s/GPU of every SKU, published and ours, and both ratios."""
    headers = ["tok/s/user"]
    for title in titles:
        headers += [f"{title} published tok/s/GPU", f"{title} {ours.origin} tok/s/GPU"]
    ratios = len(titles) > 1 and len(headers) + 2 <= MOST_COLUMNS
    headers += ["published ratio", f"{ours.origin} ratio"] if ratios else []
    rows = []
    for theirs, mine in zip(found.iso, ours.rows, strict=True):
        cells = [number(theirs.interactivity, "grid")]
        for one, other in zip(theirs.cells, mine.cells, strict=True):
            for cell in (one, other):
                figure = number(cell.total_tok_s_gpu, "tok_s_gpu_read", absent="unreachable")
                cells.append(about(figure, directional=cell.directional))
        if ratios:
            ratios_read = [
                (number(row.throughput_ratio, "ratio", absent="unreachable"), row) for row in (theirs, mine)
            ]
            cells += [about(figure, directional=row.directional) for figure, row in ratios_read]
        rows.append(tuple(cells))
    return Table(tuple(headers), "r" * len(headers), tuple(rows))


def _peaks(found: StudySection) -> Table:
    headers = (
        "ratio of",
        "read at",
        "local peak",
        "at tok/s/user",
        "exceeded again from tok/s/user",
        "end of the common range",
    )
    rows = (
        (
            RATIOS[peak.quantity, peak.cost],
            AXES[peak.axis],
            figures.ratio(peak.peak),
            number(peak.peak.at, "interactivity"),
            number(peak.again_from, "interactivity", absent="nowhere"),
            f"{figures.ratio(peak.end)} at {number(peak.end.at, 'interactivity')}",
        )
        for peak in found.peaks
    )
    return Table(headers, "llrrrr", tuple(rows))


def _alone(found: StudySection, titles: Sequence[str]) -> Table:
    headers = ("tok/s/user", *(f"{title} published tok/s/GPU" for title in titles))
    rows = (
        (
            number(row.interactivity, "grid"),
            *marked(
                (number(cell.total_tok_s_gpu, "tok_s_gpu_read", absent="unreachable") for cell in row.cells),
                row,
            ),
        )
        for row in found.iso
    )
    return Table(headers, "r" * len(headers), tuple(rows))


def _points(found: StudySection, sku: str) -> Table:
    headers = (
        "published deployment",
        "conc",
        "tok/s/GPU",
        "tok/s/user as printed",
        "1000 / TPOT",
        "$/Mtok as printed",
        "implied TTFT + queue s",
        "this report tok/s/GPU",
    )
    return Table(headers, "lrrrrrrr", tuple(_point(point) for point in found.points if point.sku == sku))


def _point(point: StudyPoint) -> tuple[str, ...]:
    wait = None if point.implied_wait_s is None else 1000 * point.implied_wait_s
    return (
        point.shape,
        number(point.conc, "conc"),
        number(point.total_tok_s_gpu, "tok_s_gpu"),
        number(point.interactivity_as_printed, "interactivity", absent="not stated"),
        number(point.interactivity, "interactivity", absent="not stated"),
        number(point.usd_per_mtok_as_printed, "usd", absent="not stated"),
        number(wait, "seconds"),
        _ours(point.ours_tok_s_gpu, point.total_tok_s_gpu, "tok_s_gpu"),
    )


def _waits(found: StudySection, titles: Mapping[str, str]) -> Table:
    """Return the median TTFTs that the study states beside ours and beside what Little's law implies."""
    headers = (
        "SKU",
        "published deployment",
        "conc",
        "median TTFT s",
        "this report median TTFT s",
        "implied TTFT + queue s",
    )
    rows = (
        (
            plain(titles[point.sku]),
            point.shape,
            number(point.conc, "conc"),
            number(point.ttft_p50_ms, "seconds"),
            _ours(point.ours_ttft_p50_ms, point.ttft_p50_ms, "seconds"),
            number(None if point.implied_wait_s is None else 1000 * point.implied_wait_s, "seconds"),
        )
        for point in found.points
        if point.ttft_p50_ms is not None
    )
    return Table(headers, "llrrrr", tuple(rows))


def _ours(value: float | None, published: float | None, quantity: str) -> str:
    """Return a figure of ours with its relative difference from the published one, where there is one."""
    text = number(value, quantity, absent="not run")
    return f"{text} ({number(value / published - 1, 'change')})" if value and published else text


def _again(found: StudySection, names: dict[str, str]) -> Iterable[tuple[str, Table]]:
    """Yield the study's own iso table, printed and recomputed with its method: throughput, then cost."""
    if not found.study.iso:
        return
    titles = [names.get(sku, sku) for sku in found.study.iso.skus]
    pairs = list(zip(found.printed, found.again, strict=True))
    for name, unit, quantity in (("throughput", "tok/s/GPU", "tok_s_gpu_read"), ("cost", "$/Mtok", "usd")):
        is_cost = name == "cost"
        rows = []
        for printed, again in pairs:
            stated = printed.usd_per_mtok if is_cost else printed.total_tok_s_gpu
            read = [cell.usd_per_mtok if is_cost else cell.total_tok_s_gpu for cell in again.cells]
            ratios = (
                (printed.cost_ratio, again.cost_ratio)
                if is_cost
                else (printed.throughput_ratio, again.throughput_ratio)
            )
            recomputed = marked((number(one, quantity) for one in read), again)
            cells = [
                f"{number(one, quantity)} / {other}" for one, other in zip(stated, recomputed, strict=False)
            ]
            ratio = about(number(ratios[1], "ratio"), directional=again.directional)
            cells.append(f"{number(ratios[0], 'ratio')} / {ratio}")
            rows.append((plain(printed.label), number(again.interactivity, "grid"), *cells))
        headers = (
            "row",
            "read at tok/s/user",
            *(f"{title} {unit}, printed / recomputed" for title in titles),
            "ratio, printed / recomputed",
        )
        yield (
            (
                f"Its table of {name}, as printed and recomputed from its printed points (cost interpolated "
                "on its own, printed tok/s/user)"
            ),
            Table(headers, "r" * len(headers), tuple(rows)),
        )


def _figures(findings: Sequence[Finding]) -> Table:
    headers = ("where", "rule", "printed", "computed", "should print", "from")
    rows = (
        (
            plain(one.place),
            one.rule,
            plain(one.printed),
            plain(one.computed),
            f"**{plain(one.corrected)}**",
            plain(one.why),
        )
        for one in map(printed_finding, findings)
    )
    return Table(headers, "llrrrl", tuple(rows))


def _claims(findings: Sequence[Finding]) -> Table:
    headers = ("where", "what", "printed", "computed", "should say", "evidence")
    rows = (
        (
            plain(one.place),
            plain(one.why),
            plain(one.printed) or "_as text_",
            plain(one.computed) or "_by evidence_",
            plain(one.corrected) or ("_holds_" if one.severity == "holds" else "_no error_"),
            plain(one.evidence) or "_by the rule_",
        )
        for one in map(printed_finding, findings)
    )
    return Table(headers, "llllll", tuple(rows))
