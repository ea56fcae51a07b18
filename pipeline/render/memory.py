"""Worker shapes against memory: weights, and what is left for KV cache on one GPU of each SKU."""

from __future__ import annotations

from math import ceil
from typing import Final

from pipeline.render.bars import NARROW, STEP, WIDE
from pipeline.render.charts import SCHEMA, Spec
from pipeline.render.text import number, plot
from pipeline.render.theme import Theme
from pipeline.schema.report import Report
from pipeline.schema.sku_comparison import ShapeCell, ShapeRow

PARTS: Final = ("weights", "left for KV cache")


def shapes(report: Report, theme: Theme) -> Spec:
    """Return one panel a SKU, with one bar a worker shape and a line at the capacity of a GPU."""
    found = report.comparison
    panels, end = [], 50.0
    if found:
        largest = max([row.weights_gb for row in found.shapes] + list(found.capacity_gb), default=1.0)
        end = 50.0 * (ceil(largest * 1.2 / 50) or 1)
        titles = [report.sku_titles[sku] for sku in found.shape_skus]
        for at, (title, capacity) in enumerate(zip(titles, found.capacity_gb, strict=True)):
            values = [value for row in found.shapes for value in _bar(row, row.cells[at], capacity)]
            panels.append(_panel(title, values, capacity, (theme, end)))
    subtitle = ["one GPU of a decode worker; computed, not measured · line: HBM that nvidia-smi shows"]
    return {
        "$schema": SCHEMA,
        "title": theme.heading("What fits where: weights, and what is left for KV cache", subtitle),
        "padding": 4 if theme.is_narrow else 14,
        "vconcat": panels,
        "config": theme.config,
    }


def _bar(row: ShapeRow, cell: ShapeCell, capacity: float) -> list[Spec]:
    shape, weights_gb = row.shape.code, row.weights_gb
    room = max(0.0, cell.decode_room_gb)
    text = (
        f"{number(room, 'gb')} GB for KV cache"
        if cell.decode_sequences
        else f"does not fit: weights take {number(cell.weights_share, 'percent')}"
    )
    same = {"worker": shape, "label": text, "end": plot(max(weights_gb + room, capacity))}
    return [
        {**same, "part": PARTS[0], "order": 0, "gb": plot(weights_gb), "GB": number(weights_gb, "gb")},
        {**same, "part": PARTS[1], "order": 1, "gb": plot(room), "GB": number(cell.decode_room_gb, "gb")},
    ]


def _panel(title: str, values: list[Spec], capacity: float, drawn: tuple[Theme, float]) -> Spec:
    theme, end = drawn
    x = {"type": "quantitative", "title": "HBM of one GPU, GB", "scale": {"domain": [0, end], "nice": False}}
    scale = {"domain": list(PARTS), "range": [theme.parts[0], theme.parts[3]]}
    color = {"field": "part", "type": "nominal", "scale": scale, "legend": {"title": None, "orient": "top"}}
    shown = [*({"field": field} for field in ("worker", "part", "GB")), {"field": "label", "title": "fit"}]
    y = {
        "field": "worker",
        "type": "nominal",
        "title": None,
        "sort": list(dict.fromkeys(value["worker"] for value in values)),
    }
    bars = {
        "x": {"field": "gb", "stack": "zero", **x},
        "color": color,
        "order": {"field": "order"},
        "tooltip": shown,
    }
    label = {"type": "text", "align": "left", "dx": 5, "color": theme.ink, "fontSize": 10.5}
    last = {
        "transform": [{"filter": "datum.order == 1"}],
        "mark": label,
        "encoding": {"x": {"field": "end", **x}, "text": {"field": "label"}},
    }
    limit = {
        "mark": {"type": "rule", "color": theme.ink, "strokeWidth": 2},
        "encoding": {"x": {"datum": capacity, **x}, "y": None},
    }
    layers = [{"mark": {"type": "bar", "height": 13}, "encoding": bars}, limit]
    return {
        "title": {"text": f"{title}, {number(capacity, 'gb')} GB", "fontSize": 12.5, "frame": "group"},
        "width": NARROW + 70 if theme.is_narrow else WIDE,
        "height": {"step": STEP},
        "data": {"values": values},
        "encoding": {"y": y},
        "layer": layers if theme.is_narrow else [*layers, last],
    }
