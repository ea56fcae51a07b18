"""Charts with one row per deployment: TTFT, memory, and errors of the calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Final

from pipeline.render.charts import BEYOND, SCHEMA, Spec
from pipeline.render.tables import short
from pipeline.render.text import number, plot, signed
from pipeline.render.theme import Theme
from pipeline.render.words.kinds import kind_text, kind_texts
from pipeline.schema.report import Curve, CurvePoint, Report
from pipeline.schema.timing import PointError

WIDE, NARROW, STEP = 620, 170, 22
ROLES: Final = {"prefill": "P", "decode": "D"}
COMPONENTS: Final = ("weights", "KV requested", "activations and overhead")


def ttft(report: Report, theme: Theme) -> Spec:
    """Return the median TTFT of every point by rising interactivity, with a tick at p99 where n allows it.

    Points of the kind that the tables read are bars; those of other kinds are marks on the same row.
    """
    values = _waits(report, theme)
    x = {
        "type": "quantitative",
        "title": "time to first token, s",
        "scale": {"domain": [0, _end(values, ("end",), 10)], "nice": False},
    }
    shown = [{"field": field} for field in ("row", "origin", "label", "tok/s/user")]
    main, others = ([{"filter": test}] for test in ("datum.is_main", "!datum.is_main"))

    def layers(title: str) -> list[Spec]:
        color = theme.palette[list(report.sku_titles.values()).index(title)]
        bar = {"type": "bar", "color": color, "height": 13}
        text = {"type": "text", "align": "left", "dx": 5, "color": theme.ink, "fontSize": 10.5}
        tick = {"type": "tick", "color": theme.faint, "thickness": 2, "height": 13}
        hollow = {"type": "point", "shape": "diamond", "filled": False, "color": theme.ink, "size": 50}
        return [
            {
                "transform": main,
                "mark": bar,
                "encoding": {"x": {"field": "p50", **x}, "tooltip": shown},
            },
            {"transform": main, "mark": tick, "encoding": {"x": {"field": "p99", **x}}},
            {
                "transform": others,
                "mark": hollow,
                "encoding": {"x": {"field": "p50", **x}, "tooltip": shown},
            },
            {"mark": text, "encoding": {"x": {"field": "end", **x}, "text": {"field": "text"}}},
        ]

    bars = kind_text(report.curves[0].kind if report.curves else None)
    kinds = kind_texts(curve.kind for curve, _ in _waiting(report))
    subtitle = [
        f"{bars} · bar: p50 · tick: p99, where at least 662 requests allow it",
        *(f"hollow: p50, {kind}" for kind in kinds if kind != bars),
        "rows by rising interactivity",
    ]
    return _stack(
        report,
        theme,
        values,
        layers,
        theme.heading("Time to first token", subtitle),
    )


def _waiting(report: Report) -> list[tuple[Curve, CurvePoint]]:
    """Return the points whose TTFT is shown."""
    return [
        (curve, point)
        for curve in report.curves
        for point in curve.points
        if point.ttft_p50_ms is not None and point.status != "invalid"
    ]


def _waits(report: Report, theme: Theme) -> list[Spec]:
    """Return one value per point, with a label for one point of each row: of the bar where there is one."""
    values = [
        {
            "SKU": report.sku_titles[curve.sku],
            "row": f"{point.shape} c{point.conc}" + BEYOND * (point.status == "extrapolated"),
            "p50": plot((point.ttft_p50_ms or 0.0) / 1000),
            "p99": plot(point.ttft_p99_ms / 1000) if point.ttft_p99_ms is not None else None,
            "end": plot(max(point.ttft_p50_ms or 0.0, point.ttft_p99_ms or 0.0) / 1000),
            "label": _wait(point, is_short=theme.is_narrow),
            "tok/s/user": number(point.interactivity, "interactivity").strip("_"),
            "origin": curve.origin,
            "is_main": curve.kind == report.curves[0].kind,
        }
        for curve, point in _waiting(report)
    ]
    labelled: set[tuple[object, object]] = set()  # SKU and row: one label each, preferably of the bar
    for value in sorted(values, key=lambda value: not value["is_main"]):
        value["text"] = "" if (value["SKU"], value["row"]) in labelled else value["label"]
        labelled.add((value["SKU"], value["row"]))
    return values


def hbm(report: Report, theme: Theme) -> Spec:
    """Return HBM of one GPU of each role by component, against the budget of vLLM and the capacity."""
    values = []
    for row in report.hbm:
        parts = (row.hbm.weights_gb, row.hbm.kv_gb or 0.0, row.hbm.other_gb)
        same = {
            "SKU": report.sku_titles.get(row.sku, row.sku),
            "row": f"{short(row.recipe)} · {ROLES[row.hbm.role] if theme.is_narrow else row.hbm.role}",
        }
        ends = {"budget": plot(row.hbm.budget_gb), "capacity": plot(row.hbm.capacity_gb)}
        amounts = enumerate(zip(COMPONENTS, parts, strict=True))
        values += [
            {**same, **ends, "order": at, "part": name, "gb": plot(part), "label": f"{number(part, 'gb')} GB"}
            for at, (name, part) in amounts
        ]
    end = _end(values, ("capacity",), 50)
    x = {"type": "quantitative", "title": "HBM of one GPU, GB", "scale": {"domain": [0, end], "nice": False}}
    scale = {"domain": list(COMPONENTS), "range": list(theme.parts[:3])}
    columns = {"columns": 1} if theme.is_narrow else {}
    color = {
        "field": "part",
        "type": "nominal",
        "scale": scale,
        "legend": {"title": None, "orient": "top", **columns},
    }
    shown = [{"field": field} for field in ("row", "part", "label")]

    def layers(_: str) -> list[Spec]:
        stacked = {
            "x": {"field": "gb", "stack": "zero", **x},
            "color": color,
            "order": {"field": "order"},
            "tooltip": shown,
        }
        budget = {"type": "tick", "color": theme.faint, "thickness": 2, "height": 16}
        capacity = {"type": "tick", "color": theme.ink, "thickness": 3, "height": 20}
        return [
            {"mark": {"type": "bar", "height": 13}, "encoding": stacked},
            {"mark": budget, "encoding": {"x": {"field": "budget", "aggregate": "max", **x}}},
            {"mark": capacity, "encoding": {"x": {"field": "capacity", "aggregate": "max", **x}}},
        ]

    subtitle = ["computed, not measured · thin tick: budget of vLLM · thick tick: capacity"]
    return _stack(report, theme, values, layers, theme.heading("HBM by component against capacity", subtitle))


def calibration(report: Report, theme: Theme) -> Spec:
    """Return the error of the fit at each point: filled with all points, hollow without that point."""
    values = [value for point in report.timing_errors for value in _fit_errors(point, report)]
    largest = [abs(value["error"]) for value in values]
    end = 5.0 * ceil(max(largest, default=1.0) / 5 + 0.01)
    x = {
        "field": "error",
        "type": "quantitative",
        "title": "error of the fit, %",
        "scale": {"domain": [-end, end], "nice": False},
    }
    legend = {"title": None, "orient": "top", "symbolSize": 90}
    scale = {"domain": ["tok/s/GPU", "TPOT"]}
    color = {
        "field": "metric",
        "type": "nominal",
        "scale": {**scale, "range": [theme.palette[0], theme.palette[1]]},
        "legend": legend,
    }
    shape = {
        "field": "metric",
        "type": "nominal",
        "scale": {**scale, "range": ["circle", "diamond"]},
        "legend": legend,
    }
    hollow = {"condition": {"test": "datum.how == 'fitted'", "value": 1}, "value": 0}
    shown = [{"field": field} for field in ("row", "metric", "how", "label")]
    marks = {"x": x, "color": color, "stroke": color, "shape": shape, "fillOpacity": hollow, "tooltip": shown}

    def layers(_: str) -> list[Spec]:
        zero = {
            "mark": {"type": "rule", "color": theme.faint},
            "encoding": {"x": {"datum": 0, **_without_field(x)}, "y": None},
        }
        return [
            zero,
            {"mark": {"type": "point", "filled": True, "size": 60, "strokeWidth": 1.6}, "encoding": marks},
        ]

    calibration = report.calibration
    source = f"fitted to {calibration.points} ({calibration.points_origin})" if calibration else "fit unknown"
    subtitle = [f"{source} · filled: with all points · hollow: predicted without this point"]
    return _stack(
        report,
        theme,
        values,
        layers,
        theme.heading("Errors of the simulation at its calibration points", subtitle),
    )


def _fit_errors(point: PointError, report: Report) -> Iterator[Spec]:
    """Yield one mark per metric, for the fit with all points and for the prediction without this point."""
    same = {
        "SKU": report.sku_titles.get(point.sku, point.sku),
        "row": f"{short(point.recipe)} c{point.conc}",
    }
    for name, metric in (("tok/s/GPU", "total_tok_s_gpu"), ("TPOT", "tpot_ms")):
        for how, prefix in (("fitted", "fitted_"), ("left out", "left_out_")):
            predicted = getattr(point, prefix + metric)
            if predicted is not None:
                error = predicted / getattr(point, metric) - 1
                yield {**same, "metric": name, "how": how, "error": plot(100 * error), "label": signed(error)}


def _without_field(channel: Spec) -> Spec:
    return {key: value for key, value in channel.items() if key != "field"}


def _stack(
    report: Report, theme: Theme, values: list[Spec], layers: Callable[[str], list[Spec]], heading: Spec
) -> Spec:
    """Return one panel per SKU and one row per deployment, in the order of the values."""
    panels = []
    for name in report.sku_titles.values():
        own = [value for value in values if value["SKU"] == name]
        y = {
            "field": "row",
            "type": "nominal",
            "title": None,
            "sort": list(dict.fromkeys(value["row"] for value in own)),
            "axis": {
                "labelLimit": 150 if theme.is_narrow else 260,
                **({"labelFontSize": 10} if theme.is_narrow else {}),
            },
        }
        panel = {
            "title": {"text": name, "fontSize": 12.5, "frame": "group"},
            "width": NARROW if theme.is_narrow else WIDE,
            "height": {"step": STEP},
            "data": {"values": own},
        }
        if own:
            panels.append({**panel, "encoding": {"y": y}, "layer": layers(name)})
    return {
        "$schema": SCHEMA,
        "title": heading,
        "padding": 4 if theme.is_narrow else 14,
        "vconcat": panels,
        "config": theme.config,
    }


def _end(values: Iterable[Spec], fields: tuple[str, ...], step: float) -> float:
    """Return the end of an axis: the next multiple of ``step`` with room for a label."""
    largest = max(
        (float(value[field]) for value in values for field in fields if value[field] is not None), default=1.0
    )
    return float(step * (ceil(largest * 1.15 / step) or 1))


def _wait(point: CurvePoint, *, is_short: bool) -> str:
    if is_short:
        return f"{number(point.ttft_p50_ms, 'seconds')} s"
    tail = "" if point.ttft_p99_ms is None else f" · p99 {number(point.ttft_p99_ms, 'seconds')}"
    return f"p50 {number(point.ttft_p50_ms, 'seconds')}{tail} s"
