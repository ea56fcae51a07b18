"""The Pareto picture, as one declarative Vega-Lite document with its data inline."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from pipeline.render.labels import Box, place
from pipeline.render.text import number, plot
from pipeline.render.theme import SHAPES, Theme
from pipeline.schema.report import Change, Curve, CurvePoint, Report

Spec = dict[str, Any]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"
WIDTH, HEIGHT = 860, 500
X_TITLE, Y_TITLE = "interactivity, tok/s/user (1000 / median TPOT)", "throughput, tok/s/GPU (input + output, GPUs counted)"


def pareto(report: Report, theme: Theme) -> Spec:
    """Throughput over interactivity: filled points are knots, hollow ones dominated, grey ones the night before."""
    points = [(curve, point) for curve in report.curves for point in curve.points if point.status == "ok" and point.interactivity]
    ghosts = [change for change in report.changes if change.verdict in ("better", "worse") and change.before_interactivity]
    limits = _limits(points, ghosts)
    values = [_datum(curve, point, report, theme) for curve, point in points]
    _add_labels(values, limits)
    return {
        "$schema": SCHEMA,
        "width": WIDTH,
        "height": HEIGHT,
        "padding": 14,
        "title": {"text": report.definition.title, "subtitle": _subtitle(report, ghosts=bool(ghosts))},
        "data": {"values": values},
        "params": _params(report),
        "transform": [{"filter": "kind == 'all' || datum.kind == kind"}] if _params(report) else [],
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
    """Ends of both axes: room for a label above and to the right of everything that is drawn."""
    x = [point.interactivity or 0.0 for _, point in points] + [ghost.before_interactivity or 0.0 for ghost in ghosts]
    y = [point.total_tok_s_gpu for _, point in points] + [ghost.before_tok_s_gpu or 0.0 for ghost in ghosts]
    return 5.0 * (ceil(max(x, default=1.0) / 5) + 2), 1000.0 * (ceil(max(y, default=1.0) / 1000) + 1)


def _datum(curve: Curve, point: CurvePoint, report: Report, theme: Theme) -> Spec:
    label = f"{point.shape} c{point.conc}"
    shown = {
        "deployment": label,
        "tok/s/GPU": number(point.total_tok_s_gpu, "tok_s_gpu"),
        "tok/s/user": number(point.interactivity, "interactivity"),
        "TTFT p50 s": number(point.ttft_p50_ms, "seconds").strip("_"),
        "USD/Mtok": number(point.usd_per_mtok, "usd_per_mtok", absent="no price").strip("_"),
        "place": "on the frontier" if point.is_knot else "dominated",
    }
    where = {
        "x": plot(point.interactivity),
        "y": plot(point.total_tok_s_gpu),
        "is_knot": point.is_knot,
        "ink": theme.labels[list(report.sku_titles).index(point.sku)],
    }
    return {**where, "SKU": report.sku_titles.get(point.sku, point.sku), "origin": curve.origin, "kind": curve.kind, **shown}


def _add_labels(values: list[Spec], limits: tuple[float, float]) -> None:
    """Give every datum the place of its label, in units of the axes."""
    x_px, y_px = WIDTH / limits[0], HEIGHT / limits[1]
    anchors = [(value["x"] * x_px, HEIGHT - value["y"] * y_px) for value in values]
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for value, anchor in zip(values, anchors, strict=True):
        if value["is_knot"]:
            lines.setdefault((value["SKU"], value["kind"]), []).append(anchor)
    labels = place(anchors, [value["deployment"] for value in values], list(lines.values()), Box(0, 0, WIDTH, HEIGHT))
    for value, label in zip(values, labels, strict=True):
        value.update(
            label_x=plot(label.x / x_px),
            label_y=plot((HEIGHT - label.y) / y_px),
            leader_y=plot((HEIGHT - label.leader_y) / y_px),
            align=label.align,
            is_far=label.is_far,
        )


def _subtitle(report: Report, *, ghosts: bool) -> list[str]:
    kinds = list(dict.fromkeys(curve.kind for curve in report.curves))
    night_before = " · grey: the run before" if ghosts else ""
    return [
        f"{' and '.join(kinds) or 'nothing ran'} · run {report.run}",
        f"filled: on the Pareto frontier · hollow: dominated{night_before}",
    ]


def _params(report: Report) -> list[Spec]:
    kinds = list(dict.fromkeys(curve.kind for curve in report.curves))
    bind = {"input": "select", "options": ["all", *kinds], "name": "figures "}
    return [{"name": "kind", "value": "all", "bind": bind}] if len(kinds) > 1 else []


def _axes(limits: tuple[float, float], x: str = "x", y: str = "y") -> Spec:
    return {
        "x": {"field": x, "type": "quantitative", "title": X_TITLE, "scale": {"domain": [0, limits[0]], "nice": False}},
        "y": {"field": y, "type": "quantitative", "title": Y_TITLE, "scale": {"domain": [0, limits[1]], "nice": False}},
    }


def _sku(report: Report, values: tuple[str, ...], *, legend: bool) -> Spec:
    titles = list(report.sku_titles.values())
    shown = {"title": None, "orient": "top-right", "symbolSize": 110} if legend else None
    return {"field": "SKU", "type": "nominal", "scale": {"domain": titles, "range": list(values[: len(titles)])}, "legend": shown}


def _faded(solid: float = 1.0) -> Spec:
    return {"condition": {"param": "chosen", "value": solid}, "value": 0.12}


def _line(report: Report, theme: Theme, limits: tuple[float, float]) -> Spec:
    color = _sku(report, theme.palette, legend=True)
    return {
        "transform": [{"filter": "datum.is_knot"}],
        "mark": {"type": "line", "interpolate": "monotone", "strokeWidth": 2},
        "encoding": {**_axes(limits), "color": color, "detail": {"field": "kind"}, "opacity": _faded(0.75)},
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
        "encoding": {**_axes(limits), "x2": {"field": "label_x"}, "y2": {"field": "leader_y"}, "opacity": _faded(0.7)},
    }


def _marks(report: Report, theme: Theme, limits: tuple[float, float]) -> Spec:
    tooltip = [{"field": field} for field in ("deployment", "SKU", "tok/s/GPU", "tok/s/user", "TTFT p50 s", "USD/Mtok", "origin", "place")]
    return {
        "params": [{"name": "chosen", "select": {"type": "point", "fields": ["SKU"]}, "bind": "legend"}],
        "mark": {"type": "point", "filled": True, "size": 85, "strokeWidth": 1.8},
        "encoding": {
            **_axes(limits),
            "color": _sku(report, theme.palette, legend=True),
            "stroke": _sku(report, theme.palette, legend=False),
            "shape": _sku(report, SHAPES, legend=True),
            "fillOpacity": {"condition": {"test": "datum.is_knot", "value": 1}, "value": 0},
            "opacity": _faded(),
            "tooltip": tooltip,
        },
    }


def _texts(limits: tuple[float, float]) -> Spec:
    mark = {"type": "text", "align": {"expr": "datum.align"}, "baseline": "middle", "fontSize": 10.5, "color": {"expr": "datum.ink"}}
    return {"mark": mark, "encoding": {**_axes(limits, "label_x", "label_y"), "text": {"field": "deployment"}, "opacity": _faded()}}
