"""Tables of what a report says beyond its curves; cells are inline Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.render.reasons import NOT_SET, setting_text
from pipeline.render.tables import MOST_COLUMNS, Table
from pipeline.render.text import MINUS, about, best, code, fixed, number, percent, plain
from pipeline.schema.report import SkuComparison
from pipeline.schema.sku_comparison import Confounder, ShapeCell, ValueInUse

WHERE = {"both": "prefill and decode"}


def specs(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """The specifications side by side."""
    several = ("ratio",) if len(titles) > 1 else ()
    rows = []
    for row in comparison.specs:
        figures = (number(value, row.quantity) for value in row.values)
        rows.append(
            (plain(row.label), plain(row.unit), *figures, *([number(row.ratio, "ratio")] if several else []))
        )
    return Table(
        ("per GPU", "unit", *titles, *several), "ll" + "r" * (len(titles) + len(several)), tuple(rows)
    )


def best_of_all(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """What the radar shows, in figures."""
    rows = (
        (plain(axis.label), *(number(share, "percent") for share in axis.shares), plain(axis.best))
        for axis in comparison.radar
    )
    return Table(
        ("specification", *(f"{title}, of the maximum" for title in titles), "who has the maximum"),
        "l" + "r" * len(titles) + "l",
        tuple(rows),
    )


def ceilings(comparison: SkuComparison) -> Table:
    """Tokens per dollar if one resource were the only limit."""
    headers = (
        "if only this limited both",
        "specification",
        "ratio per GPU",
        "price ratio",
        "tokens per dollar, at most",
    )
    rows = (
        (
            row.bound,
            row.spec,
            number(row.spec_ratio, "ratio"),
            number(row.price_ratio, "ratio", absent="no price"),
            number(row.tokens_per_dollar_ratio, "ratio"),
        )
        for row in comparison.ceilings
    )
    return Table(headers, "llrrr", tuple(rows))


def shapes(comparison: SkuComparison) -> Table:
    """What each worker shape leaves for KV on each SKU; shares of HBM only where the columns allow it."""
    headers, titles = ["worker", "GPUs", "weights GB/GPU"], comparison.shape_titles
    has_shares = len(headers) + 2 * len(titles) <= MOST_COLUMNS
    for title in titles:
        headers += [f"{title} weights / HBM"] if has_shares else []
        headers.append(f"{title} KV room GB, decode (sequences a rank)")
    rows = []
    for row in comparison.shapes:
        cells = [row.shape, number(row.gpus, "count"), number(row.weights_gb, "gb")]
        for cell in row.cells:
            cells += [*([number(cell.weights_share, "percent")] if has_shares else []), _room(cell)]
        rows.append(tuple(cells))
    return Table(tuple(headers), "l" + "r" * (len(headers) - 1), tuple(rows))


def _room(cell: ShapeCell) -> str:
    if cell.decode_sequences == 0:
        return f"**does not fit**: {number(cell.decode_room_gb, 'gb')}"
    return f"{number(cell.decode_room_gb, 'gb')} ({cell.decode_sequences:,})"


def prefill_rooms(comparison: SkuComparison) -> Table:
    """The same for a prefill worker, whose activations are larger."""
    headers = ("worker", *(f"{title} KV room GB, prefill" for title in comparison.shape_titles))
    rows = (
        (
            row.shape,
            *(
                ("**does not fit**: " if cell.prefill_room_gb < 0 else "")
                + number(cell.prefill_room_gb, "gb")
                for cell in row.cells
            ),
        )
        for row in comparison.shapes
    )
    return Table(headers, "l" + "r" * (len(headers) - 1), tuple(rows))


def exchange(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """Experts per GPU and time of the all-to-all, inside the domain and over scale-out; their ratio where columns allow."""
    headers = [
        "EP",
        "experts per GPU and layer",
        "MB sent per token",
        *(f"{title} scale-up ms/step" for title in titles),
        "scale-out ms/step",
    ]
    has_ratio = len(headers) + 2 <= MOST_COLUMNS
    headers += [*(["scale-out / scale-up"] if has_ratio else []), "fastest step ms (tokens a rank)"]
    rows = []
    for row in comparison.exchange:
        cells = [str(row.ep), number(row.experts_per_gpu, "grid"), number(row.mb_per_token, "ms")]
        cells += [
            number(milliseconds, "ms", absent="wider than its domain") for milliseconds in row.scaleup_ms
        ]
        cells.append(number(row.scaleout_ms, "ms"))
        cells += [number(_over(row.scaleout_ms, row.scaleup_ms[-1]), "ratio")] if has_ratio else []
        held = "" if row.step_tokens is None else f" ({number(row.step_tokens, 'grid')})"
        rows.append((*cells, number(row.step_ms, "ms", absent="none ran") + held))
    return Table(tuple(headers), "r" * len(headers), tuple(rows))


def _over(above: float, below: float | None) -> float | None:
    return None if below is None else above / below


def confounders(rows: Sequence[Confounder], titles: Sequence[str]) -> Table:
    """Settings that are not the same on all SKUs."""
    said = ((WHERE.get(row.where, row.where), code(row.field), *map(_values, row.values)) for row in rows)
    return Table(("where", "setting", *titles), "ll" + "l" * len(titles), tuple(said))


def _values(values: Sequence[ValueInUse]) -> str:
    """Return every value in use, with its share of the recipes where there are several."""
    if len(values) == 1:
        (only,) = values
        return f"_{NOT_SET}_" if only.value is None else plain(only.value)
    return plain(
        ", ".join(f"{setting_text(one.value)} ({one.recipes} of {one.all_recipes})" for one in values)
    )


def what_if(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """Tokens per dollar, last SKU over first, under other prices and denominators."""
    span, last = percent(comparison.definition.price_span), titles[-1]
    headers = (
        "tok/s/user",
        "as given",
        f"{last} {span} dearer",
        f"{last} {span} cheaper",
        "every GPU held is paid",
        f"level when {last} costs",
    )
    rows = []
    for row in comparison.what_if:
        cells = [
            number(one, "ratio", absent="unreachable") for one in (row.as_given, row.dearer, row.cheaper)
        ]
        cells = [about(cell, directional=row.directional) for cell in cells]
        cells.append(about(number(row.held, "ratio", absent="unreachable"), directional=row.held_directional))
        cells.append(
            "_unreachable_"
            if row.break_even is None
            else about(_premium(row.break_even), directional=row.directional)
        )
        rows.append((number(row.interactivity, "grid"), *cells))
    return Table(headers, "rrrrrr", tuple(rows))


def _premium(ratio: float) -> str:
    """A price ratio as a premium in whole percent."""
    change = fixed(100 * (ratio - 1), 0)
    return f"{change} %" if change.startswith(MINUS) or change == "0" else f"+{change} %"


def attainable(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """The best point that keeps both promises, with its deployment; cost only where the columns allow it."""
    headers = ["tok/s/user, at least"]
    for title in titles:
        headers += [f"{title} tok/s/GPU", f"{title} deployment"]
    has_cost = len(titles) == 2
    headers += [f"{title} $/Mtok" for title in titles] + ["$ ratio"] if has_cost else []
    rows = []
    for row in comparison.slo:
        speeds = best([cell.total_tok_s_gpu for cell in row.cells], "tok_s_gpu_read", absent="none")
        costs = best([cell.usd_per_mtok for cell in row.cells], "usd_per_mtok", lowest=True, absent="none")
        cells = [number(row.interactivity, "grid")]
        for speed, cell in zip(speeds, row.cells, strict=True):
            cells += [speed, cell.shape or "_none_"]
        rows.append(
            (*cells, *([*costs, number(row.cost_ratio, "ratio", absent="unreachable")] if has_cost else []))
        )
    align = "r" + "rl" * len(titles) + ("rrr" if has_cost else "")
    return Table(tuple(headers), align, tuple(rows))
