"""Which worker shapes a SKU's memory holds, and what that makes of the smallest replica."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.schema.plan import Hbm
from pipeline.schema.report import Sentence
from pipeline.schema.sku_comparison import ShapeCell, ShapeFit, ShapeRow


def shape_rows(fits: Sequence[ShapeFit], skus: Sequence[str]) -> tuple[ShapeRow, ...]:
    """One row a worker shape, in the order of the fits; SKUs whose usable memory is unknown have no cell in any row."""
    known = _known(fits, skus)
    rows = []
    for shape in dict.fromkeys(fit.hbm.shape for fit in fits):
        of_shape = [fit for fit in fits if fit.hbm.shape == shape]
        cells = tuple(_cell({fit.hbm.role: fit.hbm for fit in of_shape if fit.sku == sku}) for sku in known)
        rows.append(
            ShapeRow(shape=shape, gpus=of_shape[0].gpus, weights_gb=of_shape[0].hbm.weights_gb, cells=cells)
        )
    return tuple(rows)


def _known(fits: Sequence[ShapeFit], skus: Sequence[str]) -> list[str]:
    judged = {fit.sku for fit in fits}
    return [sku for sku in skus if sku in judged]


def _cell(hbm: dict[str, Hbm]) -> ShapeCell:
    prefill, decode = hbm["prefill"], hbm["decode"]
    return ShapeCell(
        weights_share=decode.weights_gb / decode.capacity_gb,
        decode_room_gb=decode.kv_budget_gb,
        decode_sequences=decode.max_sequences,
        prefill_room_gb=prefill.kv_budget_gb,
        fits=min(prefill.max_sequences, decode.max_sequences) > 0,
    )


def known_titles(fits: Sequence[ShapeFit], titles: dict[str, str]) -> tuple[str, ...]:
    """SKUs that were judged, by name, in the order of ``titles``."""
    return tuple(titles[sku] for sku in _known(fits, list(titles)))


def capacities(fits: Sequence[ShapeFit], skus: Sequence[str]) -> tuple[float, ...]:
    """Usable HBM of one GPU of each SKU that was judged, GB."""
    return tuple(next(fit.hbm.capacity_gb for fit in fits if fit.sku == sku) for sku in _known(fits, skus))


def shape_findings(
    rows: Sequence[ShapeRow], fits: Sequence[ShapeFit], titles: dict[str, str]
) -> tuple[Sentence, ...]:
    """What does not fit and why, then the smallest worker that does; one sentence a SKU."""
    return tuple(_finding(rows, at, titles[sku]) for at, sku in enumerate(_known(fits, list(titles))))


def _finding(rows: Sequence[ShapeRow], at: int, title: str) -> Sentence:
    values: dict[str, float | str] = {"sku": title}
    refused = [row for row in rows if not row.cells[at].fits]
    fitting = [row for row in rows if row.cells[at].fits]
    if not fitting:
        return Sentence(words="{sku} holds none of these workers.", values=values)
    smallest = min(row.gpus for row in fitting)
    values |= {
        "gpus": str(smallest),
        "names": ", ".join(row.shape for row in fitting if row.gpus == smallest),
    }
    words = "{sku}: the smallest worker that fits has {gpus} GPUs ({names})"
    if refused:
        least = min(refused, key=lambda row: row.cells[at].weights_share)
        share = least.cells[at].weights_share
        values |= {"refused": ", ".join(row.shape for row in refused), "share": share}
        words += "; {refused} do not: " + (
            "weights alone take {share:percent} of its HBM or more" if share > 1 else "no room is left for KV"
        )
    return Sentence(words=words + ".", values=values)
