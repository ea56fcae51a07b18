"""From a report to its files: Markdown, pictures and one page that needs nothing from the network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.render import bars, charts, evidence, memory, radar, ratios, sections, studies, tables
from pipeline.render.text import as_html, code, percent, plain
from pipeline.render.theme import DARK, LIGHT, Theme
from pipeline.render.words import answer, highlights, run, sources
from pipeline.render.words.kinds import kind_text
from pipeline.schema.report import Report

VEGA_LITE: Final = "6.4"


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart in both themes, for both widths of a page, with its text alternative."""

    name: str
    says: str
    draw: Callable[[Theme], dict[str, Any]]


def render(report: Report) -> dict[str, bytes]:
    """Return the content of every file of a kept report by name.

    None contains a time of rendering or a commit.
    """
    pictures = _pictures(report)
    names = {**_names(report), "pictures": {picture.name: picture for picture in pictures}}
    markdown = environment(is_html=False).get_template("report.md.j2").render(names)
    files = {"README.md": re.sub(r"\n{3,}", "\n\n", markdown)}
    page = environment(is_html=True).get_template("report.html.j2")
    files["index.html"] = page.render({**names, "specs": _specs(pictures), "vega": Markup(_vega())})  # noqa: S704  the bundle is code, not input
    for picture in pictures:
        files[f"{picture.name}.svg"] = vl_convert.vegalite_to_svg(picture.draw(LIGHT), vl_version=VEGA_LITE)
        files[f"{picture.name}-dark.svg"] = vl_convert.vegalite_to_svg(
            picture.draw(DARK), vl_version=VEGA_LITE
        )
    encoded = {name: text.encode() for name, text in files.items()}
    encoded["pareto.png"] = vl_convert.vegalite_to_png(pictures[0].draw(LIGHT), vl_version=VEGA_LITE, scale=2)
    return encoded


def headline(report: Report) -> str:
    """Return the verdict in one line of plain text, for a terminal, a log or the title of a check."""
    return run.headline(report)


def _pictures(report: Report) -> list[Picture]:
    """Return the pictures that the report has data for."""
    wanted = [
        (
            "pareto",
            "Throughput per GPU over interactivity, with the Pareto frontier of each SKU",
            charts.pareto,
        )
    ]
    if any(
        point.ttft_p50_ms is not None
        for curve in report.curves
        for point in curve.points
        if point.status != "invalid"
    ):
        wanted.append(("ttft", "Time to first token at every point", bars.ttft))
    if report.hbm:
        wanted.append(("hbm", "HBM by component against capacity", bars.hbm))
    if report.timing_errors:
        wanted.append(("calibration", "Error of the calibration at every point", bars.calibration))
    if report.comparison and any(point.cost for curve in report.comparison.ratios for point in curve.points):
        wanted.append(
            ("ratios", "Tokens per dollar of the last SKU over the first, by interactivity", ratios.ratios)
        )
    if report.comparison and len(report.comparison.radar) > 2:
        wanted.append(("radar", "Specifications of each SKU as shares of the best known", radar.radar))
    if report.comparison and report.comparison.shapes:
        wanted.append(
            (
                "shapes",
                "Weights and memory left for KV cache of each worker shape on each SKU",
                memory.shapes,
            )
        )
    return [Picture(name, says, partial(draw, report)) for name, says, draw in wanted]


def _names(report: Report) -> dict[str, Any]:
    """Return every name that a template uses; all text is inline Markdown."""
    definition, studied = report.definition, {found.kind for found in report.studies}
    own = [curve for curve in report.curves if curve.kind not in studied]
    recipes = [row.recipe for row in report.coverage]
    return {
        "title": plain(definition.title),
        **_top(report),
        "rule": run.rule(definition),
        "findings": list(highlights.highlights(report)),
        "banners": list(sources.banners(report)),
        "changed": tables.changed(report),
        "unchanged": tables.unchanged(report),
        "has_changes": bool(report.changes),
        "bar": percent(definition.relevant_change),
        "gap": f"{definition.directional_gap:g}",
        "iso": tables.iso(report),
        "wait": tables.iso_wait(report),
        "kind": plain(kind_text(report.curves[0].kind if report.curves else None)),
        "prices": [
            (plain(report.sku_titles[sku]), sources.price(price, definition.price_tier))
            for sku, price in report.prices.items()
        ],
        "curves": [
            (
                f"{plain(curve.title)} · {plain(kind_text(curve.kind))}",
                tables.points(curve),
                tables.bill(curve),
            )
            for curve in own
        ],
        "after_curves": sections.after_curves(report),
        "after_points": [*_studies(report), *sections.after_points(report)],
        "hbm": evidence.hbm(report),
        "coverage": evidence.coverage(report),
        "gpu_hours": evidence.bill(report),
        "parameters": evidence.parameters(report),
        "errors": [
            ("tok/s/GPU", evidence.errors(report, "total_tok_s_gpu")),
            ("TPOT", evidence.errors(report, "tpot_ms")),
        ],
        "calibration": sources.calibration_source(report.calibration) if report.calibration else "",
        "runs": evidence.runs(report),
        "raw_files": evidence.raw_files(report),
        "name": plain(report.name),
        "example": recipes[0] if recipes else "RECIPE",
        "code": code,
    }


def _studies(report: Report) -> list[sections.Section]:
    """Return two sections a published study: its figures beside ours, and what the linter finds."""
    return [
        section
        for found in report.studies
        for section in (studies.beside(report, found), studies.checked(found))
    ]


def _top(report: Report) -> dict[str, str]:
    """Return the first line and the one below it: a change or a gap leads, else the answer does."""
    verdict = plain(run.headline(report))
    if report.answer is None:
        return {"headline": verdict, "second": ""}
    found = plain(answer.headline(report.answer, report.sku_titles))
    is_whole = not any(row.is_gap for row in report.coverage)
    if report.verdict in ("better", "worse") or not is_whole:
        return {"headline": verdict, "second": found}
    return {"headline": found, "second": verdict}


def environment(*, is_html: bool) -> Environment:
    """Return the templates of this package; Markdown is escaped by ``plain`` and ``code``, HTML by Jinja."""
    loader = PackageLoader("pipeline.render", "templates")
    made = Environment(
        loader=loader,
        autoescape=is_html,  # noqa: S701  Markdown is escaped by text.plain and text.code
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["inline"] = as_html
    return made


def _specs(pictures: list[Picture]) -> Markup:
    """The charts as JSON that can stand in a script element."""
    themes = {"light": LIGHT, "dark": DARK, "light-narrow": LIGHT.narrow(), "dark-narrow": DARK.narrow()}
    specs = {
        picture.name: {name: picture.draw(theme) for name, theme in themes.items()} for picture in pictures
    }
    text = json.dumps(specs, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  no tag can start in it


@cache
def _vega() -> str:
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE).replace(
        "</script", "<\\/script"
    )
