"""Sections of a page as data: paragraphs, a picture, tables and folded tables.

Both templates print them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.render import held
from pipeline.render import sku_comparison as compared
from pipeline.render.tables import Table
from pipeline.render.text import number, percent, plain
from pipeline.render.words import answer, hardware
from pipeline.schema.report import Report, SkuComparison

FOLDED_KINDS = {"flag": "Flags", "environment": "Environment variables"}


@dataclass(frozen=True, slots=True)
class Section:
    """All text is inline Markdown; tables have captions, empty where a section has one table.

    ``picture`` is a name, or empty.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    picture: str = ""
    tables: tuple[tuple[str, Table], ...] = ()
    folded: tuple[tuple[str, Table], ...] = ()


def after_curves(report: Report) -> list[Section]:
    """Return the sections on tokens per dollar, and how other assumptions change them."""
    found = report.comparison
    return (
        [_ratios(found), _slo(report, found), _what_if(report, found)]
        if found and len(report.sku_titles) > 1
        else []
    )


def after_points(report: Report) -> list[Section]:
    """Return the sections that explain the figures: specifications, memory, exchange, settings."""
    found = report.comparison
    spent = (
        [Section("Held GPU time", (held.RULE,), tables=(("", held.table(report)),))] if report.held else []
    )
    if found is None:
        return spent
    titles = list(report.sku_titles.values())
    sections = [*spent, _paper(report, found)]
    sections += [_shapes(report, found)] if found.shapes else []
    sections += [_exchange(found, titles)] if found.exchange else []
    return [*sections, _confounders(found, titles)] if found.confounders else sections


def _ratios(found: SkuComparison) -> Section:
    paragraphs = (hardware.ceiling(found.ceiling_finding),) if found.ceiling_finding else ()
    return Section("Tokens per dollar", paragraphs, "ratios")


def _slo(report: Report, found: SkuComparison) -> Section:
    limit, titles = number(found.definition.ttft_limit_s, "grid"), report.sku_titles
    paragraphs = (
        (
            f"Points whose median TTFT is above {limit} s are left out. Within the limit: "
            f"{hardware.points_within(found.slo_points, titles)}."
        ),
        (
            "Each row shows the best point within the limit at that interactivity or above. Nothing is "
            "interpolated."
        ),
        answer.details(found.slo_answer, titles) if found.slo_answer else "_Nothing to compare._",
    )
    return Section(
        f"With a first token within {limit} s",
        paragraphs,
        "",
        (("", compared.attainable(found, list(titles.values()))),),
    )


def _what_if(report: Report, found: SkuComparison) -> Section:
    titles = list(report.sku_titles.values())
    span, last = percent(found.definition.price_span), plain(titles[-1])
    paragraphs = (
        (
            f"Tokens per dollar of {last} over {plain(titles[0])}. The cost is derived from the throughput "
            "read at each interactivity."
        ),
        (
            f"The columns vary the price of {last} by {span} both ways, then charge all GPUs held (including "
            f"the tray of NATS and etcd), then give the price premium of {last} at which both cost the same."
        ),
    )
    return Section("What if", paragraphs, "", (("", compared.what_if(found, titles)),))


def _paper(report: Report, found: SkuComparison) -> Section:
    titles = list(report.sku_titles.values())
    paragraph = "Specifications are per GPU, dense, one direction; GB and TB are decimal. "
    paragraph += "The radar shows each as a share of the best of all known SKUs."
    shown = [("Specifications:", compared.specs(found, titles, report.definition.price_tier))]
    if len(titles) > 1:
        caption = "Upper limit of the ratio of tokens per dollar if one resource were the only limit:"
        shown.append((caption, compared.ceilings(found)))
    folded = (("The radar in figures", compared.best_of_all(found, titles)),)
    return Section("On paper", (paragraph,), "radar", tuple(shown), folded)


def _shapes(report: Report, found: SkuComparison) -> Section:
    assumed, titles = found.definition.fit, report.sku_titles
    capacities = ", ".join(
        f"{titles[sku]} {number(gb, 'gb')} GB"
        for sku, gb in zip(found.shape_skus, found.capacity_gb, strict=True)
    )
    settings = (
        "Computed, not measured, with the same settings everywhere: utilisation "
        f"{number(assumed.utilisation, 'grid')}, {assumed.decode_tokens} batched tokens in decode, "
        f"{assumed.prefill_tokens} in prefill, no offload. Capacity is what nvidia-smi shows for one GPU: "
        f"{plain(capacities)}. The tables show the memory that vLLM could give to KV cache; a shape with a "
        "negative figure does not fit."
    )
    unknown = [
        f"Memory of {plain(title)}: usable size not recorded."
        for sku, title in titles.items()
        if sku not in found.shape_skus
    ]
    paragraphs = (*(hardware.shapes(one, titles) for one in found.shape_findings), *unknown, settings)
    folded = (("Memory for KV cache of prefill workers", compared.prefill_rooms(found, titles)),)
    return Section("What fits where", paragraphs, "shapes", (("", compared.shapes(found, titles)),), folded)


def _exchange(found: SkuComparison, titles: Sequence[str]) -> Section:
    assumed = found.definition.exchange
    paragraphs = [hardware.exchange(found.exchange_finding)] if found.exchange_finding else []
    paragraphs.append(
        "Averages for even routing, assuming that no two experts of a token share a GPU. Activations are "
        f"{number(assumed.dispatch_bytes, 'grid')} byte out and {number(assumed.combine_bytes, 'grid')} "
        f"back, with {assumed.tokens_per_rank} tokens per rank and step (in brackets, the most that the "
        f"fastest step held). Scale-out has {number(assumed.scaleout_gb_s, 'grid')} GB/s per GPU. Bandwidth "
        "only, no latency."
    )
    table = compared.exchange(found, titles)
    return Section("Experts and their exchange", tuple(paragraphs), "", (("", table),))


def _confounders(found: SkuComparison, titles: Sequence[str]) -> Section:
    shown = [row for row in found.confounders if row.kind not in FOLDED_KINDS]
    folded = []
    for kind, name in FOLDED_KINDS.items():
        rows = [row for row in found.confounders if row.kind == kind]
        if rows:
            folded.append((f"{name} that differ: {len(rows)}", compared.confounders(rows, titles)))
    paragraphs = (
        (
            f"Besides the worker shapes, {len(found.confounders)} settings of the recipes differ between the "
            "SKUs. Ratios between SKUs include their effect."
        ),
        "In brackets: how many recipes of the SKU have the value.",
    )
    return Section(
        "What else differs",
        paragraphs,
        "",
        (("", compared.confounders(shown, titles)),) if shown else (),
        tuple(folded),
    )
