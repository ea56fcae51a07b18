"""Which worker shapes fit the memory of each SKU."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.schema.findings import ShapeFinding
from pipeline.schema.hbm import Hbm
from pipeline.schema.sku_comparison import ShapeCell, ShapeFit, ShapeRow, WorkerShape


def shape_rows(fits: Sequence[ShapeFit], skus: Sequence[str]) -> tuple[ShapeRow, ...]:
    """Return one row a worker shape, by rising width.

    SKUs whose usable memory is unknown have no cell in any row.
    """
    known = known_skus(fits, skus)
    by_shape: dict[WorkerShape, list[ShapeFit]] = {}
    for fit in fits:
        by_shape.setdefault(WorkerShape.parse(fit.hbm.shape), []).append(fit)
    rows = []
    for shape, of_shape in sorted(by_shape.items(), key=lambda item: item[0].order):
        cells = tuple(_cell({fit.hbm.role: fit.hbm for fit in of_shape if fit.sku == sku}) for sku in known)
        rows.append(
            ShapeRow(shape=shape, gpus=of_shape[0].gpus, weights_gb=of_shape[0].hbm.weights_gb, cells=cells)
        )
    return tuple(rows)


def _cell(hbm: dict[str, Hbm]) -> ShapeCell:
    prefill, decode = hbm["prefill"], hbm["decode"]
    return ShapeCell(
        weights_share=decode.weights_gb / decode.capacity_gb,
        decode_room_gb=decode.kv_budget_gb,
        decode_sequences=decode.max_sequences or 0,
        prefill_room_gb=prefill.kv_budget_gb,
        fits=bool(prefill.max_sequences and decode.max_sequences),
    )


def known_skus(fits: Sequence[ShapeFit], skus: Sequence[str]) -> tuple[str, ...]:
    """Return the SKUs whose usable memory is known, in the order of ``skus``."""
    known = {fit.sku for fit in fits}
    return tuple(sku for sku in skus if sku in known)


def capacities(fits: Sequence[ShapeFit], skus: Sequence[str]) -> tuple[float, ...]:
    """Return the usable HBM of one GPU of each SKU that has one, GB."""
    return tuple(
        next(fit.hbm.capacity_gb for fit in fits if fit.sku == sku) for sku in known_skus(fits, skus)
    )


def shape_findings(rows: Sequence[ShapeRow], skus: Sequence[str]) -> tuple[ShapeFinding, ...]:
    """Return the smallest worker that fits and the shapes that do not, one finding a SKU.

    ``skus``: of the cells of the rows.
    """
    return tuple(_finding(rows, at, sku) for at, sku in enumerate(skus))


def _finding(rows: Sequence[ShapeRow], at: int, sku: str) -> ShapeFinding:
    fitting = [row for row in rows if row.cells[at].fits]
    others = [row for row in rows if not row.cells[at].fits]
    smallest = min((row.gpus for row in fitting), default=None)
    return ShapeFinding(
        sku=sku,
        gpus=smallest,
        smallest=tuple(row.shape for row in fitting if row.gpus == smallest),
        not_fitting=tuple(row.shape for row in others),
        weights_share=min((row.cells[at].weights_share for row in others), default=None),
    )
