"""Sections of a page as data: what is said, shown, tabulated and folded away; both templates print them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.render import sku_comparison as compared
from pipeline.render.tables import Table
from pipeline.render.text import number, percent, plain, say
from pipeline.schema.report import Report, SkuComparison

FOLDED_KINDS = {"flag": "Flags", "environment": "Environment variables"}


@dataclass(frozen=True, slots=True)
class Section:
    """All text is inline Markdown; tables have captions, empty where the section has one only; ``picture`` names one of the page's."""

    title: str
    said: tuple[str, ...] = ()
    picture: str = ""
    tables: tuple[tuple[str, Table], ...] = ()
    folded: tuple[tuple[str, Table], ...] = ()


def after_curves(report: Report) -> list[Section]:
    """What other assumptions would change in the reading of the curves."""
    found = report.comparison
    return (
        [_ratios(found), _slo(report, found), _what_if(report, found)]
        if found and len(report.sku_titles) > 1
        else []
    )


def after_points(report: Report) -> list[Section]:
    """Why: paper, memory, exchange, settings."""
    found = report.comparison
    if found is None:
        return []
    titles = list(report.sku_titles.values())
    sections = [_paper(found, titles)]
    sections += [_shapes(found, titles)] if found.shapes else []
    sections += [_exchange(found, titles)] if found.exchange else []
    return [*sections, _confounders(found, titles)] if found.confounders else sections


def _ratios(found: SkuComparison) -> Section:
    said = [say(found.ceiling_finding)] if found.ceiling_finding else []
    return Section("What a dollar buys", tuple(said), "ratios")


def _slo(report: Report, found: SkuComparison) -> Section:
    limit = number(found.definition.ttft_limit_s, "grid")
    said = (
        f"Points whose median TTFT is above {limit} s keep no such promise and are left out. Left: {plain('; '.join(found.slo_left))}.",
        "Each row shows the best of them that is at least as interactive: no interpolation, since no deployment is known in between.",
        say(found.slo_answer) if found.slo_answer else "_Nothing to compare._",
    )
    return Section(
        f"With a first token within {limit} s",
        said,
        "",
        (("", compared.attainable(found, list(report.sku_titles.values()))),),
    )


def _what_if(report: Report, found: SkuComparison) -> Section:
    titles = list(report.sku_titles.values())
    span = percent(found.definition.price_span)
    last = plain(titles[-1])
    ratio = f"Tokens per dollar of {last} over {plain(titles[0])}, cost derived from the throughput read at each interactivity."
    ways = f"Its price is the softest input: {last} {span} dearer and cheaper; then every GPU held is paid, the tray of NATS and etcd too; "
    said = (ratio, ways + "last, the premium at which both cost the same.")
    return Section("What if", said, "", (("", compared.what_if(found, titles)),))


def _paper(found: SkuComparison, titles: Sequence[str]) -> Section:
    said = [
        "Specifications per GPU, dense, one direction; GB and TB are decimal. The radar shows shares of the best of all known SKUs."
    ]
    shown = [("Specifications:", compared.specs(found, titles))]
    if len(titles) > 1:
        shown.append(
            (
                "How much cheaper a token could be, at most, were one resource the only limit:",
                compared.ceilings(found),
            )
        )
    return Section(
        "On paper",
        tuple(said),
        "radar",
        tuple(shown),
        (("The radar in figures", compared.best_of_all(found, titles)),),
    )


def _shapes(found: SkuComparison, titles: Sequence[str]) -> Section:
    assumed = found.definition.fit
    capacities = ", ".join(
        f"{title} {number(gb, 'gb')} GB"
        for title, gb in zip(found.shape_titles, found.capacity_gb, strict=True)
    )
    settings = (
        f"Computed, not read off a machine: same settings everywhere (utilisation {number(assumed.utilisation, 'grid')}, "
        f"{assumed.decode_tokens} batched tokens in decode, {assumed.prefill_tokens} in prefill, no offload), against what nvidia-smi "
        f"shows of one GPU: {plain(capacities)}. Room is what vLLM could give to KV; negative rooms do not fit."
    )
    unknown = [
        f"Memory of {plain(title)}: usable size not recorded."
        for title in titles
        if title not in found.shape_titles
    ]
    said = (*map(say, found.shape_findings), *unknown, settings)
    folded = (("Room of prefill workers", compared.prefill_rooms(found)),)
    return Section("What fits where", said, "shapes", (("", compared.shapes(found)),), folded)


def _exchange(found: SkuComparison, titles: Sequence[str]) -> Section:
    assumed = found.definition.exchange
    said = [say(found.exchange_finding)] if found.exchange_finding else []
    said.append(
        "Average under even routing, as if no two experts of a token shared a GPU; "
        f"{number(assumed.dispatch_bytes, 'grid')} byte an activation out, {number(assumed.combine_bytes, 'grid')} back, "
        f"{assumed.tokens_per_rank} tokens a rank and step (in brackets, what the fastest step held at most); "
        f"scale-out {number(assumed.scaleout_gb_s, 'grid')} GB/s a GPU; bandwidth only, no latency."
    )
    return Section("Experts and their exchange", tuple(said), "", (("", compared.exchange(found, titles)),))


def _confounders(found: SkuComparison, titles: Sequence[str]) -> Section:
    shown = [row for row in found.confounders if row.kind not in FOLDED_KINDS]
    folded = []
    for kind, name in FOLDED_KINDS.items():
        rows = [row for row in found.confounders if row.kind == kind]
        if rows:
            folded.append((f"{name} that differ: {len(rows)}", compared.confounders(rows, titles)))
    said = (
        f"{len(found.confounders)} settings of the recipes differ between the SKUs beside the shapes: a ratio of racks contains them.",
        "In brackets, how many recipes of the SKU have the value.",
    )
    return Section(
        "What else differs",
        said,
        "",
        (("", compared.confounders(shown, titles)),) if shown else (),
        tuple(folded),
    )
