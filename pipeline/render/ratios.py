"""Tokens per dollar of the last SKU over the first by interactivity, with the limits of the specifications."""

from __future__ import annotations

from collections import defaultdict
from math import ceil, floor
from typing import Any, Final

from pipeline.render.charts import NARROW, SCHEMA, WIDE, X_TITLE, Spec
from pipeline.render.text import number, plot
from pipeline.render.theme import Theme
from pipeline.render.words.kinds import kind_text
from pipeline.render.words.specs import BOUNDS
from pipeline.schema.report import Report, SkuComparison

HEIGHT: Final = 300
DASHES: Final = ([1, 0], [6, 4], [2, 3], [8, 3, 2, 3])


def ratios(report: Report, theme: Theme) -> Spec:
    """Return one line a kind of figures, rules at 1× and at each ceiling.

    On a log scale, since twice and half are alike.
    """
    found = report.comparison
    titles = list(report.sku_titles.values())
    values = _values(found) if found else []
    rules = _rules(found) if found else []
    limits = _limits([value["ratio"] for value in values] + [rule["ratio"] for rule in rules])
    scale = {"type": "log", "domain": limits, "nice": False}
    axis = {
        "title": f"tokens per dollar, {titles[-1]} / {titles[0]}",
        "axis": {"values": _ticks(limits), "labelExpr": "datum.label + '×'"},
    }
    y: Spec = {"field": "ratio", "type": "quantitative", "scale": scale, **axis}
    x = {"field": "x", "type": "quantitative", "title": X_TITLE, "scale": {"zero": False, "nice": True}}
    subtitle = [
        f"above 1×, {titles[-1]} is cheaper · dotted: limits if one resource bounds both, at their prices",
        (
            f"between knots more than {report.definition.directional_gap:g} tok/s/user apart a line is "
            "directional only"
        ),
    ]
    return {
        "$schema": SCHEMA,
        "width": NARROW[0] if theme.is_narrow else WIDE[0],
        "height": HEIGHT,
        "padding": 4 if theme.is_narrow else 14,
        "title": theme.heading(f"Tokens per dollar: {titles[-1]} over {titles[0]}", subtitle),
        "layer": [_lines(values, (x, y), theme), *_ceilings(rules, y, theme)],
        "config": theme.config,
    }


def _values(found: SkuComparison) -> list[Spec]:
    return [
        {
            "x": plot(point.interactivity),
            "ratio": plot(point.cost),
            "kind": kind_text(curve.kind),
            "label": number(point.cost, "ratio"),
        }
        for curve in found.ratios
        for point in curve.points
        if point.cost is not None
    ]


def _rules(found: SkuComparison) -> list[Spec]:
    """Return one rule per height; resources with the same ceiling share it."""
    by_height: defaultdict[str, list[str]] = defaultdict(list)
    heights = {}
    for ceiling in found.ceilings:
        if ceiling.tokens_per_dollar_ratio is not None:
            height = number(ceiling.tokens_per_dollar_ratio, "ratio")
            by_height[height].append(BOUNDS[ceiling.bound])
            heights[height] = ceiling.tokens_per_dollar_ratio
    level = {"ratio": 1.0, "label": "level: the same cost per token"}
    return [
        level,
        *(
            {"ratio": plot(heights[height]), "label": f"{height} limit: {' or '.join(names)}"}
            for height, names in by_height.items()
        ),
    ]


def _limits(heights: list[Any]) -> list[float]:
    known = [float(height) for height in heights if height]
    return [0.9 * min(known, default=0.5), 1.15 * max(known, default=2.0)]


def _ticks(limits: list[float]) -> list[float]:
    """Halves and whole numbers within the limits."""
    return [tick / 2 for tick in range(max(1, ceil(2 * limits[0])), floor(2 * limits[1]) + 1)]


def _ceilings(rules: list[Spec], y: Spec, theme: Theme) -> list[Spec]:
    rule = {"type": "rule", "color": theme.faint, "strokeDash": [3, 3]}
    text = {
        "type": "text",
        "align": "right",
        "baseline": "bottom",
        "dy": -2,
        "dx": -4,
        "color": theme.faint,
        "fontSize": 10,
    }
    end = {"x": {"value": "width"}, "y": y, "text": {"field": "label"}}
    halo = {**text, "stroke": theme.paper, "strokeWidth": 4}
    data = {"values": rules}
    return [
        {"data": data, "mark": rule, "encoding": {"y": y}},
        *({"data": data, "mark": mark, "encoding": end} for mark in (halo, text)),
    ]


def _lines(values: list[Spec], axes: tuple[Spec, Spec], theme: Theme) -> Spec:
    kinds = list(dict.fromkeys(value["kind"] for value in values))
    legend = {
        "title": None,
        "orient": "top",
        "columns": 1,
        "labelLimit": 250 if theme.is_narrow else 400,
        "symbolType": "stroke",
    }
    color = {
        "field": "kind",
        "type": "nominal",
        "legend": legend,
        "scale": {"domain": kinds, "range": list(theme.palette[2 : 2 + len(kinds)])},
    }
    dash = {
        "field": "kind",
        "type": "nominal",
        "legend": legend,
        "scale": {"domain": kinds, "range": list(DASHES[: len(kinds)])},
    }
    tooltip = [
        {"field": "kind"},
        {"field": "x", "title": "tok/s/user", "format": ".1f"},
        {"field": "label", "title": "tokens per dollar"},
    ]
    encoding = {"x": axes[0], "y": axes[1], "color": color, "strokeDash": dash, "tooltip": tooltip}
    return {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2.2}, "encoding": encoding}
