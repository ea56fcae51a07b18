"""Tables of a report, of at most eight columns; cells are inline Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.render.text import THIN_P99, about, best, code, number, plain
from pipeline.render.words.ranges import extrapolated_text
from pipeline.render.words.reasons import reason_text, setting_text
from pipeline.schema.report import Change, Curve, CurvePoint, IsoRow, Report

ICONS = {"better": "🟢", "worse": "🔴", "same": "⚪", "unknown": "🟡"}
MOST_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class Table:
    """Headers with units, one ``l`` or ``r`` per column, and rows of cells."""

    headers: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The alignment row of a Markdown table."""
        return tuple("---:" if side == "r" else ":---" for side in self.align)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class of each column in HTML."""
        return tuple("number" if side == "r" else "text" for side in self.align)


def short(recipe: str) -> str:
    """Return the last part of a recipe id, which is the name of its file."""
    return recipe.rsplit(".", 1)[-1]


def verdict(word: str) -> str:
    """Return icon and word, so that colour is not the only sign."""
    return f"{ICONS[word]} {word}"


def changed(report: Report) -> Table:
    """Return the points whose verdict is not ``same``."""
    return _changes([change for change in report.changes if change.verdict != "same"], report)


def unchanged(report: Report) -> Table:
    """Return the points whose verdict is ``same``."""
    return _changes([change for change in report.changes if change.verdict == "same"], report)


def _changes(changes: list[Change], report: Report) -> Table:
    headers = (
        "verdict",
        "SKU",
        "deployment",
        "tok/s/GPU before",
        "tok/s/GPU now",
        "change",
        "TTFT p50 change",
        "differences, or why unknown",
    )
    rows = []
    for change in changes:
        cells = (
            verdict(change.verdict),
            plain(report.sku_titles.get(change.sku, change.sku)),
            f"{change.shape} c{change.conc}",
        )
        figures = (
            number(change.before_tok_s_gpu, "tok_s_gpu"),
            number(change.after_tok_s_gpu, "tok_s_gpu", absent="no point"),
        )
        moved = (number(change.tok_s_gpu_change, "change"), number(change.ttft_p50_change, "change"))
        rows.append((*cells, *figures, *moved, why(change)))
    return Table(headers, "lllrrrrl", tuple(rows))


def why(change: Change) -> str:
    """Return the settings that differ, and why there is no verdict."""
    diffs = [
        f"{code(diff.field)} {plain(setting_text(diff.before))} → {plain(setting_text(diff.after))}"
        for diff in change.differs
    ]
    return "; ".join(([plain(reason_text(change.reason))] if change.reason else []) + diffs) or "none"


def iso(report: Report, rows: tuple[IsoRow, ...] | None = None) -> tuple[Table, ...]:
    """Return throughput and cost at equal interactivity, in one table where the columns fit.

    ``rows``: default those of the report.
    """
    rows = report.iso if rows is None else rows
    titles, several = list(report.sku_titles.values()), len(report.sku_titles) > 1
    speed = ("tok/s/user", *(f"{title} tok/s/GPU" for title in titles), *(["ratio"] if several else []))
    cost = (*(f"{title} $/Mtok" for title in titles), *(["$ ratio"] if several else []))
    left = tuple((_at(row), *_speeds(row, several=several)) for row in rows)
    right = tuple(_costs(row, several=several) for row in rows)
    if len(speed) + len(cost) <= MOST_COLUMNS:
        both = tuple((*one, *other) for one, other in zip(left, right, strict=True))
        return (Table((*speed, *cost), "r" * len(speed + cost), both),)
    costs = tuple((_at(row), *cells) for row, cells in zip(rows, right, strict=True))
    return Table(speed, "r" * len(speed), left), Table(("tok/s/user", *cost), "r" * (len(cost) + 1), costs)


def _at(row: IsoRow) -> str:
    return number(row.interactivity, "grid")


def _speeds(row: IsoRow, *, several: bool) -> tuple[str, ...]:
    cells = best([cell.total_tok_s_gpu for cell in row.cells], "tok_s_gpu_read", absent="unreachable")
    ratio = about(number(row.throughput_ratio, "ratio", absent="unreachable"), directional=row.directional)
    return (*marked(cells, row), *([ratio] if several else []))


def _costs(row: IsoRow, *, several: bool) -> tuple[str, ...]:
    absent = "unreachable" if any(cell.total_tok_s_gpu is None for cell in row.cells) else "no price"
    cells = best([cell.usd_per_mtok for cell in row.cells], "usd_per_mtok", lowest=True, absent=absent)
    ratio = about(number(row.cost_ratio, "ratio", absent=absent), directional=row.directional)
    return (*marked(cells, row), *([ratio] if several else []))


def marked(texts: Iterable[str], row: IsoRow) -> list[str]:
    """Return the texts of a row's cells, those of directional readings with ≈."""
    return [about(text, directional=cell.directional) for text, cell in zip(texts, row.cells, strict=True)]


def iso_wait(report: Report) -> Table:
    """Return TTFT and the nearest deployment at equal interactivity."""
    headers = ["tok/s/user"]
    for title in report.sku_titles.values():
        headers += [f"{title} TTFT p50 s", f"{title} nearest knot"]
    rows = []
    for row in report.iso:
        absent = ["unreachable" if cell.total_tok_s_gpu is None else "unknown" for cell in row.cells]
        waits = best([cell.ttft_p50_ms for cell in row.cells], "seconds", lowest=True)
        cells = [_at(row)]
        for cell, wait, word in zip(row.cells, waits, absent, strict=True):
            cells += [
                f"_{word}_" if cell.ttft_p50_ms is None else about(wait, directional=cell.directional),
                cell.shape or "_unreachable_",
            ]
        rows.append(tuple(cells))
    return Table(tuple(headers), "r" + "rl" * len(report.sku_titles), tuple(rows))


def points(curve: Curve) -> Table:
    """Return throughput, interactivity, TTFT and cost at each concurrency."""
    headers = (
        "deployment",
        "conc",
        "tok/s/GPU",
        "tok/s/user",
        "TTFT p50 s",
        "TTFT p99 s",
        "$/Mtok",
        "GPUs counted / held",
    )
    return Table(headers, "lrrrrrrr", tuple(_point(point) for point in curve.points))


def _point(point: CurvePoint) -> tuple[str, ...]:
    place = "" if point.is_knot else " _dominated_"
    if point.status == "invalid":
        place = f" _invalid: {plain('; '.join(point.reasons))}_"
    if point.status == "extrapolated":
        place = f" _extrapolated: {plain(extrapolated_text(point.extrapolated))}_"
    return (
        point.shape + place,
        number(point.conc, "conc"),
        number(point.total_tok_s_gpu, "tok_s_gpu"),
        number(point.interactivity, "interactivity"),
        number(point.ttft_p50_ms, "seconds"),
        number(point.ttft_p99_ms, "seconds", absent="unknown" if point.ttft_p50_ms is None else THIN_P99),
        number(point.usd_per_mtok, "usd_per_mtok", absent="no price"),
        f"{point.gpus_counted} / {point.gpus_held}",
    )


def bill(curve: Curve) -> Table:
    """Return cost with all GPUs held, decode rate, TPOT and number of requests of each point."""
    headers = (
        "deployment",
        "conc",
        "$/Mtok, all GPUs held",
        "output tok/s/decode GPU",
        "TPOT p50 ms",
        "requests",
        "not evaluated",
    )
    rows = tuple(
        (
            point.shape,
            number(point.conc, "conc"),
            number(point.usd_per_mtok_held, "usd_per_mtok", absent="no price"),
            number(point.output_tok_s_gpu, "tok_s_gpu"),
            number(point.tpot_p50_ms, "ms"),
            number(point.requests, "count"),
            plain("; ".join(point.not_evaluated)) or "_none_",
        )
        for point in curve.points
    )
    return Table(headers, "lrrrrrl", rows)


def deployment(recipe: str, sku: str, report: Report) -> str:
    """Return the SKU and the file name of a recipe: enough to tell the rows of one report apart."""
    return f"{plain(report.sku_titles.get(sku, ''))} {code(short(recipe))}".strip()
