"""Specifications as shares of the best known SKU: one polygon a SKU."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

from pipeline.render.charts import SCHEMA, Spec
from pipeline.render.text import number, plot
from pipeline.render.theme import SHAPES, Theme
from pipeline.render.words.specs import SPECS
from pipeline.schema.report import Report
from pipeline.schema.sku_comparison import RadarAxis

RINGS: Final = (0.25, 0.5, 0.75, 1.0)
DASHES: Final = (
    [1, 0],
    [6, 3],
    [2, 2],
    [8, 3, 2, 3],
    [1, 3],
)  # one a SKU: lines that lie on each other stay visible
REACH = 1.45  # of the scales: room for the axis names


def radar(report: Report, theme: Theme) -> Spec:
    """Return one line per SKU, from 0 in the middle to the maximum over all known SKUs at the rim."""
    axes = report.comparison.radar if report.comparison else ()
    titles = list(report.sku_titles.values())
    side = 290 if theme.is_narrow else 440
    scale = {"domain": [-REACH, REACH], "nice": False}
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": scale}
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {**scale, "domain": [-1.2, 1.2]}}
    place: Spec = {"x": x, "y": y, "order": {"field": "order", "type": "quantitative"}}
    corners = [corner for at, title in enumerate(titles) for corner in _polygon(axes, at, title)]
    missing = [SPECS[axis.spec].axis for axis in axes if None in axis.shares]
    gaps = f" · not stated for every SKU: {', '.join(missing)}" if missing else ""
    return {
        "$schema": SCHEMA,
        "width": side if theme.is_narrow else round(side * REACH / 1.2),
        "height": round(side * 1.2 / REACH) if theme.is_narrow else side,
        "padding": 4 if theme.is_narrow else 14,
        "title": theme.heading(
            "On paper: share of the best of all known SKUs",
            [f"per GPU, and per scale-up domain where it says so{gaps}"],
        ),
        "layer": [
            *_grid(axes, theme, place),
            *_names(axes, theme, place),
            *_lines(corners, titles, theme, place),
        ],
        "config": theme.config,
    }


def _at(index: int, count: int, radius: float) -> Spec:
    angle = pi / 2 - 2 * pi * index / count
    return {"x": plot(radius * cos(angle)), "y": plot(radius * sin(angle))}


def _polygon(axes: tuple[RadarAxis, ...], at: int, title: str) -> list[Spec]:
    """Return the corners in order, the first one again at the end; an axis without a figure is left out."""
    known = [
        (index, axis, share) for index, axis in enumerate(axes) if (share := axis.shares[at]) is not None
    ]
    ring = [*known, *known[:1]]
    return [
        {
            **_at(index, len(axes), share),
            "order": order,
            "SKU": title,
            "specification": SPECS[axis.spec].axis,
            "of the maximum": number(share, "percent"),
            "maximum": ", ".join(axis.best),
        }
        for order, (index, axis, share) in enumerate(ring)
    ]


def _grid(axes: tuple[RadarAxis, ...], theme: Theme, place: Spec) -> list[Spec]:
    count = len(axes)
    rings = (
        [
            {**_at(index, count, ring), "order": index, "ring": ring}
            for ring in RINGS
            for index in range(count + 1)
        ]
        if count
        else []
    )
    spokes = [
        {**_at(index, count, end), "order": end, "spoke": index} for index in range(count) for end in (0, 1)
    ]
    line = {"type": "line", "color": theme.grid, "strokeWidth": 1}
    marks = [{**_at(0, 1, ring), "label": number(ring, "share")} for ring in RINGS]
    text = {"type": "text", "color": theme.faint, "fontSize": 9, "dx": 12, "dy": 5}
    return [
        {"data": {"values": rings}, "mark": line, "encoding": {**place, "detail": {"field": "ring"}}},
        {"data": {"values": spokes}, "mark": line, "encoding": {**place, "detail": {"field": "spoke"}}},
        {
            "data": {"values": marks},
            "mark": text,
            "encoding": {"x": place["x"], "y": place["y"], "text": {"field": "label"}},
        },
    ]


def _names(axes: tuple[RadarAxis, ...], theme: Theme, place: Spec) -> list[Spec]:
    """Return the names of the axes, outside of the rim."""
    layers = []
    for index, axis in enumerate(axes):
        where = _at(index, len(axes), 1.09)
        align = "center" if abs(where["x"]) < 0.1 else "left" if where["x"] > 0 else "right"
        lines = SPECS[axis.spec].axis.split(" ") if theme.is_narrow else [SPECS[axis.spec].axis]
        mark = {
            "type": "text",
            "align": align,
            "baseline": "middle",
            "color": theme.ink,
            "fontSize": 10 if theme.is_narrow else 12,
        }
        data = {"values": [{**where, "label": lines}]}
        layers.append(
            {
                "data": data,
                "mark": mark,
                "encoding": {"x": place["x"], "y": place["y"], "text": {"field": "label"}},
            }
        )
    return layers


def _lines(corners: list[Spec], titles: list[str], theme: Theme, place: Spec) -> list[Spec]:
    domain = {"domain": titles, "range": list(theme.palette[: len(titles)])}
    legend = {"title": None, "orient": "top" if theme.is_narrow else "right", "symbolSize": 110}
    color = {"field": "SKU", "type": "nominal", "scale": domain, "legend": legend}
    shape = {
        "field": "SKU",
        "type": "nominal",
        "scale": {"domain": titles, "range": list(SHAPES[: len(titles)])},
        "legend": legend,
    }
    dashes = {"domain": titles, "range": list(DASHES[: len(titles)])}
    dash = {"field": "SKU", "type": "nominal", "legend": legend, "scale": dashes}
    tooltip = [{"field": field} for field in ("SKU", "specification", "of the maximum", "maximum")]
    line = {"type": "line", "strokeWidth": 2.2}
    point = {"type": "point", "filled": True, "size": 70}
    return [
        {
            "data": {"values": corners},
            "mark": line,
            "encoding": {**place, "color": color, "strokeDash": dash},
        },
        {
            "data": {"values": corners},
            "mark": point,
            "encoding": {**place, "color": color, "shape": shape, "tooltip": tooltip},
        },
    ]
