"""``compare A B`` as Markdown: the tables of a report for two sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.render import tables
from pipeline.render.tables import Table
from pipeline.render.text import about, best, code, number, plain
from pipeline.render.words.kinds import kind_text
from pipeline.render.words.reasons import setting_text
from pipeline.render.words.specs import SPECS, spec_label
from pipeline.schema.compare import CompareNote, PairedCurves, Peak, RatioAt, SideBySide
from pipeline.schema.reasons import FieldDiff
from pipeline.schema.report import Change, IsoCell, IsoRow
from pipeline.schema.sku_comparison import SpecKey


def side_by_side(compared: SideBySide) -> str:
    """Return the whole comparison."""
    return "\n".join(_parts(compared)) + "\n"


def _parts(compared: SideBySide) -> Iterator[str]:
    a, b = _labels(compared.names, is_recipes=compared.kind == "recipes")
    yield f"# {a} against {b}\n"
    if (a, b) != tuple(map(plain, compared.names)):
        yield f"{a} is {code(compared.names[0])}, {b} is {code(compared.names[1])}.\n"
    yield f"Comparison of two {compared.kind}. Throughput ratios are {b} over {a}, cost ratios {a} over {b}: above 1 favours {b}.\n"
    yield from (f"- _{plain(_note(note))}_\n" for note in compared.notes)
    if compared.specs:
        rows = [
            (_spec(row.spec, compared.price_tier), *map(_figure, row.values), number(row.ratio, "ratio"))
            for row in compared.specs
        ]
        yield _section("On paper", Table(("per GPU", a, b, "ratio"), "lrrr", tuple(rows)))
    for one in compared.together:
        yield from _curves(one, (a, b), compared.gap)
    if compared.changes:
        yield _section("Point by point", _changes(compared.changes, a, b))
    if compared.differs:
        yield _section("Settings that differ", _differs(compared.differs, a, b))


def _note(note: CompareNote) -> str:
    if note.kind == "no points":
        return f"{note.side}: no points; name a history that has points of it (--history URL)"
    return "no kind of figures (origin, measure, load, LLM, lengths) has curves of both sides: nothing can be compared"


def _spec(spec: SpecKey, price_tier: str) -> str:
    return f"{plain(spec_label(spec, price_tier))}, {SPECS[spec].unit}"


def _labels(names: tuple[str, str], *, is_recipes: bool) -> tuple[str, str]:
    """Return short names of recipes where those differ."""
    a, b = (plain(tables.short(name) if is_recipes else name) for name in names)
    return (a, b) if a != b else (plain(names[0]), plain(names[1]))


def _section(title: str, table: Table) -> str:
    return f"## {title}\n\n{_markdown(table)}"


def _markdown(table: Table) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (table.headers, table.rules, *table.rows))


def _figure(value: float | None) -> str:
    return "_unknown_" if value is None else f"{value:,.6g}"


def _curves(one: PairedCurves, labels: tuple[str, str], gap: float) -> Iterator[str]:
    about = f"{plain(one.about)} · " if one.about else ""
    yield f"## {about}{plain(kind_text(one.kind))}\n"
    yield (
        _markdown(_iso(one.iso, *labels))
        if one.iso
        else "Neither side reaches any of these interactivities; give others with --at.\n"
    )
    if any(cell.directional for row in one.iso for cell in row.cells):
        yield "≈ directional: read between knots that are far apart.\n"
    for peak, name in ((one.throughput_peak, "tok/s/GPU"), (one.cost_peak, "tokens per dollar")):
        if peak:
            yield f"- {name}: {_peak(peak, gap)}\n"
    for title, curve in zip(labels, one.curves, strict=True):
        if curve is not None:
            yield f"### {title} · {plain(curve.title)}\n\n{_markdown(tables.points(curve))}"


def _iso(rows: Iterable[IsoRow], a: str, b: str) -> Table:
    headers = (
        "tok/s/user",
        f"{a} tok/s/GPU",
        f"{b} tok/s/GPU",
        "ratio",
        f"{a} $/Mtok",
        f"{b} $/Mtok",
        "$ ratio",
    )
    return Table(headers, "r" * len(headers), tuple(_iso_row(row) for row in rows))


def _iso_row(row: IsoRow) -> tuple[str, ...]:
    speeds = best([cell.total_tok_s_gpu for cell in row.cells], "tok_s_gpu_read", absent="unreachable")
    costs = [number(cell.usd_per_mtok, "usd_per_mtok", absent=_why_no_cost([cell])) for cell in row.cells]
    cost_ratio = number(row.cost_ratio, "ratio", absent=_why_no_cost(row.cells))
    return (
        number(row.interactivity, "grid"),
        *tables.marked(speeds, row),
        about(number(row.throughput_ratio, "ratio", absent="unreachable"), directional=row.directional),
        *tables.marked(costs, row),
        about(cost_ratio, directional=row.directional),
    )


def _why_no_cost(cells: Iterable[IsoCell]) -> str:
    return "unreachable" if any(cell.total_tok_s_gpu is None for cell in cells) else "no price"


def _peak(peak: Peak, gap: float) -> str:
    """Return grid, local peak and ends separately: the end of the measured range is not a peak."""

    def place(one: RatioAt, at: str) -> str:
        return f"{about(number(one.ratio, 'ratio'), directional=one.gap > gap)} at {number(one.at, at)}"

    grid = f"largest on this grid {place(peak.on_grid, 'grid')}; " if peak.on_grid else ""
    inside = "".join(f"local peak {place(one, 'interactivity')}; " for one in peak.local[:1])
    ends = " and ".join(place(one, "interactivity") for one in (peak.low, peak.high))
    return f"{grid}{inside}{ends}, at the ends of the common range"


def _changes(changes: Iterable[Change], a: str, b: str) -> Table:
    headers = (
        "verdict",
        "recipe",
        "conc",
        f"{a} tok/s/GPU",
        f"{b} tok/s/GPU",
        "change",
        "TTFT p50 change",
        "what differs, or why unknown",
    )
    rows = [
        (
            tables.verdict(one.verdict),
            code(one.recipe),
            number(one.conc, "conc"),
            number(one.before_tok_s_gpu, "tok_s_gpu"),
            number(one.after_tok_s_gpu, "tok_s_gpu", absent="no point"),
            number(one.tok_s_gpu_change, "change"),
            number(one.ttft_p50_change, "change"),
            tables.why(one),
        )
        for one in changes
    ]
    return Table(headers, "llrrrrrl", tuple(rows))


def _differs(differs: Iterable[FieldDiff], a: str, b: str) -> Table:
    return Table(
        ("field", a, b),
        "lll",
        tuple(
            (code(one.field), plain(setting_text(one.before)), plain(setting_text(one.after)))
            for one in differs
        ),
    )
