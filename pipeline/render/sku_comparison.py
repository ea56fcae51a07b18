"""Tables of a report beyond its curves; cells are inline Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.render.tables import MOST_COLUMNS, Table
from pipeline.render.text import MINUS, about, best, code, fixed, number, percent, plain
from pipeline.render.words.reasons import NOT_SET, setting_text
from pipeline.render.words.specs import BOUNDS, SPECS, spec_label
from pipeline.schema.report import SkuComparison
from pipeline.schema.sku_comparison import Confounder, ShapeCell, ValueInUse

WHERE = {"both": "prefill and decode"}


def specs(comparison: SkuComparison, titles: Sequence[str], price_tier: str) -> Table:
    """Return the specifications side by side."""
    several = ("ratio",) if len(titles) > 1 else ()
    rows = []
    for row in comparison.specs:
        words = SPECS[row.spec]
        figures = (number(value, words.quantity) for value in row.values)
        ratio = [number(row.ratio, "ratio")] if several else []
        rows.append((plain(spec_label(row.spec, price_tier)), words.unit, *figures, *ratio))
    return Table(
        ("per GPU", "unit", *titles, *several), "ll" + "r" * (len(titles) + len(several)), tuple(rows)
    )


def best_of_all(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """Return what the radar shows, in figures."""
    rows = (
        (
            SPECS[axis.spec].axis,
            *(number(share, "percent") for share in axis.shares),
            plain(", ".join(axis.best)),
        )
        for axis in comparison.radar
    )
    return Table(
        ("specification", *(f"{title}, share of the maximum" for title in titles), "SKUs with the maximum"),
        "l" + "r" * len(titles) + "l",
        tuple(rows),
    )


def ceilings(comparison: SkuComparison) -> Table:
    """Return the limit of tokens per dollar of each resource."""
    headers = (
        "only limit",
        "specification",
        "ratio per GPU",
        "price ratio",
        "tokens per dollar, at most",
    )
    rows = (
        (
            BOUNDS[row.bound],
            SPECS[row.spec].label,
            number(row.spec_ratio, "ratio"),
            number(row.price_ratio, "ratio", absent="no price"),
            number(row.tokens_per_dollar_ratio, "ratio"),
        )
        for row in comparison.ceilings
    )
    return Table(headers, "llrrr", tuple(rows))


def shapes(comparison: SkuComparison, names: dict[str, str]) -> Table:
    """Return the memory that each worker shape leaves for KV on each SKU.

    Shares of HBM only where the columns allow it.
    """
    headers, titles = ["worker", "GPUs", "weights GB/GPU"], [names[sku] for sku in comparison.shape_skus]
    has_shares = len(headers) + 2 * len(titles) <= MOST_COLUMNS
    for title in titles:
        headers += [f"{title} weights / HBM"] if has_shares else []
        headers.append(f"{title} KV cache GB/GPU, decode (sequences per rank)")
    rows = []
    for row in comparison.shapes:
        cells = [row.shape.code, number(row.gpus, "count"), number(row.weights_gb, "gb")]
        for cell in row.cells:
            cells += [*([number(cell.weights_share, "percent")] if has_shares else []), _room(cell)]
        rows.append(tuple(cells))
    return Table(tuple(headers), "l" + "r" * (len(headers) - 1), tuple(rows))


def _room(cell: ShapeCell) -> str:
    if cell.decode_sequences == 0:
        return f"**does not fit**: {number(cell.decode_room_gb, 'gb')}"
    return f"{number(cell.decode_room_gb, 'gb')} ({cell.decode_sequences:,})"


def prefill_rooms(comparison: SkuComparison, names: dict[str, str]) -> Table:
    """Return the same for a prefill worker, whose activations are larger."""
    headers = ("worker", *(f"{names[sku]} KV cache GB/GPU, prefill" for sku in comparison.shape_skus))
    rows = (
        (
            row.shape.code,
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
    """Return experts per GPU and the time of the all-to-all, inside the domain and over scale-out."""
    headers = [
        "EP",
        "experts per GPU and layer",
        "MB sent per token",
        *(f"{title} scale-up ms/step" for title in titles),
        "scale-out ms/step",
    ]
    has_ratio = len(headers) + 2 <= MOST_COLUMNS
    headers += [*(["scale-out / scale-up"] if has_ratio else []), "fastest step ms (tokens per rank)"]
    rows = []
    for row in comparison.exchange:
        cells = [str(row.ep), number(row.experts_per_gpu, "grid"), number(row.mb_per_token, "ms")]
        cells += [
            number(milliseconds, "ms", absent="wider than the domain") for milliseconds in row.scaleup_ms
        ]
        cells.append(number(row.scaleout_ms, "ms"))
        cells += [number(_over(row.scaleout_ms, row.scaleup_ms[-1]), "ratio")] if has_ratio else []
        held = "" if row.step_tokens is None else f" ({number(row.step_tokens, 'grid')})"
        rows.append((*cells, number(row.step_ms, "ms", absent="not run") + held))
    return Table(tuple(headers), "r" * len(headers), tuple(rows))


def _over(above: float, below: float | None) -> float | None:
    return None if below is None else above / below


def confounders(differing: Sequence[Confounder], titles: Sequence[str]) -> Table:
    """Return the settings that are not the same on all SKUs."""
    rows = (
        (WHERE.get(row.where, row.where), code(row.field), *map(_values, row.values)) for row in differing
    )
    return Table(("where", "setting", *titles), "ll" + "l" * len(titles), tuple(rows))


def _values(values: Sequence[ValueInUse]) -> str:
    """Return every value in use, with its share of the recipes where there are several."""
    if len(values) == 1:
        (only,) = values
        return f"_{NOT_SET}_" if only.value is None else plain(only.value)
    return plain(
        ", ".join(f"{setting_text(one.value)} ({one.recipes} of {one.all_recipes})" for one in values)
    )


def what_if(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """Return tokens per dollar, last SKU over first, under other prices and denominators."""
    span, last = percent(comparison.definition.price_span), titles[-1]
    headers = (
        "tok/s/user",
        "as given",
        f"{last} {span} dearer",
        f"{last} {span} cheaper",
        "all GPUs held are charged",
        f"break-even premium of {last}",
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
    """Return a price ratio as a premium in whole percent."""
    change = fixed(100 * (ratio - 1), 0)
    return f"{change} %" if change.startswith(MINUS) or change == "0" else f"+{change} %"


def attainable(comparison: SkuComparison, titles: Sequence[str]) -> Table:
    """Return the best point within both limits, with its deployment; cost only where the columns allow it."""
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
