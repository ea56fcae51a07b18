"""The Pareto chart, as one Vega-Lite document with its data inline."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import Any, Final

from pipeline.render.labels import Box, place
from pipeline.render.text import number, plot
from pipeline.render.theme import SHAPES, Theme
from pipeline.render.words.kinds import NOTHING_RAN, kind_text, kind_texts
from pipeline.schema.report import Change, Curve, CurvePoint, Report

Spec = dict[str, Any]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
WIDE, NARROW = (860, 500), (290, 380)  # px of the plot; labels are placed for it
BEYOND: Final = " (extrapolated)"
MOST_LABELS: Final = 60  # the others are in the tooltips and tables
X_TITLE, Y_TITLE = (
    "interactivity, tok/s/user (1000 / median TPOT)",
    "throughput, tok/s/GPU (input + output, GPUs counted)",
)


def pareto(report: Report, theme: Theme) -> Spec:
    """Return throughput over interactivity: filled points are knots, hollow ones dominated, grey ones the run before.

    Points of the kind that the tables read have labels; other kinds have dashed lines and tooltips.
    """
    points = [
        (curve, point)
        for curve in report.curves
        for point in curve.points
        if point.status != "invalid" and point.interactivity
    ]
    ghosts = [
        change
        for change in report.changes
        if change.verdict in ("better", "worse") and change.before_interactivity
    ]
    limits, size = _limits(points, ghosts), NARROW if theme.is_narrow else WIDE
    values = [_datum(curve, point, report, theme) for curve, point in points]
    _add_labels(values, limits, size)
    return {
        "$schema": SCHEMA,
        "width": size[0],
        "height": size[1],
        "padding": 4 if theme.is_narrow else 14,
        "title": theme.heading(report.definition.title, _subtitle(report, ghosts=bool(ghosts))),
        "data": {"values": values},
        "params": _filters(report),
        "transform": [
            {"filter": "(origin == 'all' || datum.origin == origin) && (sku == 'all' || datum.SKU == sku)"}
        ],
        "layer": [
            _line(report, theme, limits),
            *_ghosts(ghosts, theme, limits),
            _leaders(theme, limits),
            _marks(report, theme, limits),
            _texts(limits),
        ],
        "config": theme.config,
    }


def _limits(points: list[tuple[Curve, CurvePoint]], ghosts: list[Change]) -> tuple[float, float]:
    """Return the ends of both axes, with room for labels above and to the right of the points."""
    x = [point.interactivity or 0.0 for _, point in points] + [
        ghost.before_interactivity or 0.0 for ghost in ghosts
    ]
    y = [point.total_tok_s_gpu for _, point in points] + [ghost.before_tok_s_gpu or 0.0 for ghost in ghosts]
    highest = max([1.0, *y])
    step = min(1000.0, 10.0 ** (floor(log10(5 * highest)) - 1))
    return 5.0 * (ceil(max(x, default=1.0) / 5) + 2), step * (ceil(highest / step) + 1)


def _datum(curve: Curve, point: CurvePoint, report: Report, theme: Theme) -> Spec:
    shown = {
        "deployment": f"{point.shape} c{point.conc}" + BEYOND * (point.status == "extrapolated"),
        "shape": point.shape,
        "conc": str(point.conc),
        "tok/s/GPU": number(point.total_tok_s_gpu, "tok_s_gpu"),
        "tok/s/user": number(point.interactivity, "interactivity"),
        "TTFT p50 s": number(point.ttft_p50_ms, "seconds", absent="not stated").strip("_"),
        "USD/Mtok": number(point.usd_per_mtok, "usd_per_mtok", absent="no price").strip("_"),
        "place": _place(point),
    }
    where = {
        "x": plot(point.interactivity),
        "y": plot(point.total_tok_s_gpu),
        "is_knot": point.is_knot,
        "is_main": curve.kind == report.curves[0].kind,
        "label": point.shape.split(" ")[0] if theme.is_narrow else shown["deployment"],
        "ink": theme.labels[list(report.sku_titles).index(point.sku)],
    }
    return {
        **where,
        "SKU": report.sku_titles.get(point.sku, point.sku),
        "origin": curve.origin,
        "kind": kind_text(curve.kind),
        **shown,
    }


def _place(point: CurvePoint) -> str:
    if point.status == "extrapolated":
        return "extrapolated: on no frontier"
    return "on the frontier" if point.is_knot else "dominated"


def _add_labels(values: list[Spec], limits: tuple[float, float], size: tuple[int, int]) -> None:
    """Add the place of its label, in units of the axes, to every datum of the main kind."""
    width, height = size
    x_px, y_px = width / limits[0], height / limits[1]
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for value in values:
        if value["is_knot"]:
            lines.setdefault((value["SKU"], value["kind"]), []).append(
                (value["x"] * x_px, height - value["y"] * y_px)
            )
    labelled = _labelled([value for value in values if value["is_main"]])
    for value in values:
        if value["is_main"] and not any(value is one for one in labelled):
            at = {"label_x": value["x"], "label_y": value["y"], "leader_y": value["y"]}
            value.update(label="", align="left", is_far=False, **at)
    for value in values:
        if not value["is_main"]:
            lines[value["SKU"], f"{len(lines)}"] = 2 * [
                (value["x"] * x_px, height - value["y"] * y_px)
            ]  # a mark without a label
    anchors: list[tuple[float, float]] = [
        (value["x"] * x_px, height - value["y"] * y_px) for value in labelled
    ]
    labels = place(
        anchors, [value["label"] for value in labelled], list(lines.values()), Box(0, 0, width, height)
    )
    for value, label in zip(labelled, labels, strict=True):
        value.update(
            label_x=plot(label.x / x_px),
            label_y=plot((height - label.y) / y_px),
            leader_y=plot((height - label.leader_y) / y_px),
            align=label.align,
            is_far=label.is_far,
        )


def _labelled(values: list[Spec]) -> list[Spec]:
    """Return the points that get a label, in their order: of too many, those on the frontier first."""
    if len(values) <= MOST_LABELS:
        return values
    first = sorted(range(len(values)), key=lambda index: (not values[index]["is_knot"], index))
    return [values[index] for index in sorted(first[:MOST_LABELS])]


def _subtitle(report: Report, *, ghosts: bool) -> list[str]:
    kinds = kind_texts(curve.kind for curve in report.curves)
    previous = " · grey: the run before" if ghosts else ""
    beyond = " or extrapolated" if report.caveats.extrapolated else ""
    others = f" · dashed and small: {' and '.join(kinds[1:])}" if kinds[1:] else ""
    return [
        f"{kinds[0] if kinds else NOTHING_RAN} · run {', '.join(report.runs) or 'none'}",
        f"filled: on the Pareto frontier · hollow: dominated{beyond}{previous}{others}",
    ]


def _filters(report: Report) -> list[Spec]:
    """Return the selectors of the page."""
    offered: dict[str, list[str]] = {
        "sku": list(report.sku_titles.values()),
        "origin": list({curve.origin: None for curve in report.curves}),
    }
    shown = {"sku": "SKU ", "origin": "origin "}
    return [
        {
            "name": name,
            "value": "all",
            "bind": {"input": "select", "options": ["all", *options], "name": shown[name]},
        }
        for name, options in offered.items()
    ]


def _axes(limits: tuple[float, float], x: str = "x", y: str = "y") -> Spec:
    return {
        "x": {
            "field": x,
            "type": "quantitative",
            "title": X_TITLE,
            "scale": {"domain": [0, limits[0]], "nice": False},
        },
        "y": {
            "field": y,
            "type": "quantitative",
            "title": Y_TITLE,
            "scale": {"domain": [0, limits[1]], "nice": False},
        },
    }


def _sku(report: Report, values: tuple[str, ...], *, legend: bool) -> Spec:
    titles = list(report.sku_titles.values())
    shown = {"title": None, "orient": "top-right", "symbolSize": 110} if legend else None
    return {
        "field": "SKU",
        "type": "nominal",
        "scale": {"domain": titles, "range": list(values[: len(titles)])},
        "legend": shown,
    }


def _faded(solid: float = 1.0) -> Spec:
    return {"condition": {"param": "chosen", "value": solid}, "value": 0.12}


def _dash(report: Report) -> Spec:
    """Return solid lines for the kind of the tables, dashed lines for the others."""
    kinds = kind_texts(curve.kind for curve in report.curves)
    dashes = [[1, 0], [6, 4], [2, 3], [8, 3, 2, 3]]
    return {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": kinds, "range": dashes[: len(kinds)] or [[1, 0]]},
    }


def _line(report: Report, theme: Theme, limits: tuple[float, float]) -> Spec:
    color = _sku(report, theme.palette, legend=True)
    return {
        "transform": [{"filter": "datum.is_knot"}],
        "mark": {"type": "line", "interpolate": "monotone", "strokeWidth": 2},
        "encoding": {
            **_axes(limits),
            "color": color,
            "detail": {"field": "kind"},
            "strokeDash": _dash(report),
            "opacity": _faded(0.75),
        },
    }


def _ghosts(ghosts: list[Change], theme: Theme, limits: tuple[float, float]) -> list[Spec]:
    if not ghosts:
        return []
    values = [
        {
            "x": plot(ghost.before_interactivity),
            "y": plot(ghost.before_tok_s_gpu),
            "now_x": plot(ghost.after_interactivity),
            "now_y": plot(ghost.after_tok_s_gpu),
            "before": f"{ghost.shape} c{ghost.conc}: {number(ghost.before_tok_s_gpu, 'tok_s_gpu')} tok/s/GPU in run {ghost.before_run}",
        }
        for ghost in ghosts
    ]
    tooltip = [{"field": "before"}]
    trail = {"type": "rule", "color": theme.faint, "strokeDash": [3, 3], "strokeWidth": 1.5}
    mark = {"type": "point", "filled": False, "color": theme.faint, "size": 80, "strokeWidth": 1.8}
    ends = {"x2": {"field": "now_x"}, "y2": {"field": "now_y"}}
    data = {"values": values}
    return [
        {"data": data, "mark": trail, "encoding": {**_axes(limits), **ends}},
        {"data": data, "mark": mark, "encoding": {**_axes(limits), "tooltip": tooltip}},
    ]


def _leaders(theme: Theme, limits: tuple[float, float]) -> Spec:
    return {
        "transform": [{"filter": "datum.is_far"}],
        "mark": {"type": "rule", "color": theme.faint, "strokeWidth": 0.8},
        "encoding": {
            **_axes(limits),
            "x2": {"field": "label_x"},
            "y2": {"field": "leader_y"},
            "opacity": _faded(0.7),
        },
    }


def _marks(report: Report, theme: Theme, limits: tuple[float, float]) -> Spec:
    tooltip = [
        {"field": field}
        for field in (
            "shape",
            "conc",
            "SKU",
            "tok/s/GPU",
            "tok/s/user",
            "TTFT p50 s",
            "USD/Mtok",
            "origin",
            "place",
        )
    ]
    return {
        "params": [{"name": "chosen", "select": {"type": "point", "fields": ["SKU"]}, "bind": "legend"}],
        "mark": {"type": "point", "filled": True, "strokeWidth": 1.8},
        "encoding": {
            **_axes(limits),
            "color": _sku(report, theme.palette, legend=True),
            "stroke": _sku(report, theme.palette, legend=True),
            "shape": _sku(report, SHAPES, legend=True),
            "fillOpacity": {"condition": {"test": "datum.is_knot", "value": 1}, "value": 0},
            "size": {"condition": {"test": "datum.is_main", "value": 85}, "value": 40},
            "opacity": _faded(),
            "tooltip": tooltip,
        },
    }


def _texts(limits: tuple[float, float]) -> Spec:
    mark = {
        "type": "text",
        "align": {"expr": "datum.align"},
        "baseline": "middle",
        "fontSize": 10.5,
        "color": {"expr": "datum.ink"},
    }
    encoding = {**_axes(limits, "label_x", "label_y"), "text": {"field": "label"}, "opacity": _faded()}
    return {"transform": [{"filter": "datum.is_main"}], "mark": mark, "encoding": encoding}
