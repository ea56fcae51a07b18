"""What the specifications alone say: side by side, against the best there is, per dollar, and what experts send each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pipeline.analyse.cost import ratio
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.recipe import WorkerPool
from pipeline.schema.report import CurvePoint, IsoRow, Sentence
from pipeline.schema.sku_comparison import Ceiling, ExchangeAssumptions, ExchangeRow, RadarAxis, SpecRow

SpecReader = Callable[[Sku], float | None]

MEMORY: Final = "HBM as sold"
SPECS: Final[tuple[tuple[str, str, str, SpecReader], ...]] = (
    (MEMORY, "GB", "count", lambda sku: sku.hbm_gb),
    (
        "HBM that nvidia-smi shows",
        "GB",
        "gb",
        lambda sku: None if sku.hbm_bytes is None else sku.hbm_bytes / 1e9,
    ),
    ("HBM bandwidth", "TB/s", "grid", lambda sku: sku.hbm_tb_s),
    ("dense FP4", "TFLOP/s", "count", lambda sku: sku.fp4_tflops),
    ("dense FP8", "TFLOP/s", "count", lambda sku: sku.fp8_tflops),
    ("dense BF16", "TFLOP/s", "count", lambda sku: sku.bf16_tflops),
    ("scale-up bandwidth, one direction", "GB/s", "count", lambda sku: sku.scaleup_gb_s),
    ("GPUs of one scale-up domain", "", "count", lambda sku: sku.domain_gpus),
    ("HBM of one domain", "TB", "tb", lambda sku: sku.hbm_gb * sku.domain_gpus / 1000),
    ("HBM bandwidth of one domain", "TB/s", "grid", lambda sku: sku.hbm_tb_s * sku.domain_gpus),
    ("power, all in", "kW", "grid", lambda sku: sku.kw_per_gpu),
)
RADAR: Final = {
    MEMORY: "HBM",
    "HBM bandwidth": "HBM bandwidth",
    "dense FP4": "FP4",
    "dense FP8": "FP8",
    "dense BF16": "BF16",
    "scale-up bandwidth, one direction": "scale-up bandwidth",
    "HBM of one domain": "domain HBM",
    "HBM bandwidth of one domain": "domain bandwidth",
}
BOUNDS: Final = (
    ("compute", "dense FP4"),
    ("bandwidth", "HBM bandwidth"),
    ("capacity", MEMORY),
    ("exchange between GPUs", "scale-up bandwidth, one direction"),
)


def specs(skus: Sequence[Sku], tier: str) -> tuple[SpecRow, ...]:
    """Every specification of the SKUs per GPU, then the price; ratios are last over first."""
    rows = [
        _spec(label, unit, quantity, [read(sku) for sku in skus]) for label, unit, quantity, read in SPECS
    ]
    prices = [price.usd_per_gpu_hour if (price := sku.price(tier)) else None for sku in skus]
    return (*rows, _spec(f"price, {tier} tier", "USD/GPU-hour", "grid", prices))


def _spec(label: str, unit: str, quantity: str, values: list[float | None]) -> SpecRow:
    return SpecRow(
        label=label,
        unit=unit or "GPUs",
        quantity=quantity,
        values=tuple(values),
        ratio=ratio(values[-1], values[0]),
    )


def radar(skus: Sequence[Sku], peers: Iterable[Sku]) -> tuple[RadarAxis, ...]:
    """Each specification that any SKU states as a share of the maximum over the SKUs and their peers."""
    known = [*skus, *peers]
    shown = [(RADAR[label], read) for label, _, _, read in SPECS if label in RADAR]
    return tuple(
        _axis(label, read, skus, known)
        for label, read in shown
        if any(read(sku) is not None for sku in known)
    )


def _axis(label: str, read: SpecReader, skus: Sequence[Sku], known: Sequence[Sku]) -> RadarAxis:
    best = max(value for sku in known if (value := read(sku)) is not None)
    shares = tuple(ratio(read(sku), best) for sku in skus)
    return RadarAxis(
        label=label, best=", ".join(sku.title for sku in known if read(sku) == best), shares=shares
    )


def ceilings(rows: Sequence[SpecRow]) -> tuple[Ceiling, ...]:
    """Ratio of each resource over the ratio of prices: what tokens per dollar could differ by were it the only limit."""
    by_label, price = {row.label: row.ratio for row in rows}, rows[-1].ratio
    return tuple(
        Ceiling(
            bound=bound,
            spec=label,
            spec_ratio=by_label[label],
            price_ratio=price,
            tokens_per_dollar_ratio=ratio(by_label[label], price),
        )
        for bound, label in BOUNDS
    )


def ceiling_finding(rows: Sequence[Ceiling], iso: Sequence[IsoRow], origin: str) -> Sentence | None:
    """The best that paper promises beside the best that the curves read; None without both."""
    known = [row for row in rows if row.tokens_per_dollar_ratio is not None]
    read = [row for row in iso if row.cost_ratio is not None]
    if not known or not read:
        return None
    best, most = (
        max(known, key=lambda row: row.tokens_per_dollar_ratio or 0.0),
        max(read, key=lambda row: row.cost_ratio or 0.0),
    )
    ceiling, reached = best.tokens_per_dollar_ratio or 0.0, most.cost_ratio or 0.0
    about = "≈ " if most.directional else ""
    words = "No single resource gives more than {ceiling:ratio} the tokens per dollar; the curves read "
    words += about + "{reached:ratio} at {at:grid} tok/s/user ({origin})"
    if reached > ceiling:
        words += f", {about}{{above:ratio}} that: what is above comes from the shapes that fit, "
        words += "the shapes that were run, and their settings"
    values: dict[str, float | str] = {
        "ceiling": ceiling,
        "reached": reached,
        "at": most.interactivity,
        "origin": origin,
    }
    return Sentence(words=words + ".", values={**values, "above": reached / ceiling})


def exchange(
    skus: Sequence[Sku], llm: Llm, assumed: ExchangeAssumptions, ran: Sequence[tuple[CurvePoint, WorkerPool]]
) -> tuple[ExchangeRow, ...]:
    """All-to-all traffic of one decode step, on average under even routing where no two experts of a token share a GPU.

    A rank sends ``layers · experts per token · hidden · (dispatch + combine bytes) · (EP − 1)/EP`` bytes per token. ``ran``: points
    with the decode workers behind them; a rank of these holds ``conc / ranks`` requests at most, never more than is assumed.
    """
    rows = []
    for ep in assumed.ep:
        per_token = (
            llm.layers
            * llm.experts_per_token
            * llm.hidden
            * (assumed.dispatch_bytes + assumed.combine_bytes)
            * (ep - 1)
            / ep
        )
        gigabytes = per_token * assumed.tokens_per_rank / 1e9
        step_ms, held = _fastest(ep, assumed, ran)
        rows.append(
            ExchangeRow(
                ep=ep,
                experts_per_gpu=llm.experts / ep,
                mb_per_token=per_token / 1e6,
                scaleup_ms=tuple(
                    1000 * gigabytes / sku.scaleup_gb_s if ep <= sku.domain_gpus else None for sku in skus
                ),
                scaleout_ms=1000 * gigabytes / assumed.scaleout_gb_s,
                step_ms=step_ms,
                step_tokens=held,
            )
        )
    return tuple(rows)


def _fastest(
    ep: int, assumed: ExchangeAssumptions, ran: Sequence[tuple[CurvePoint, WorkerPool]]
) -> tuple[float | None, float | None]:
    """The fastest step of such a decode worker, ms, and the tokens that each of its ranks decodes, at most."""
    steps = [
        (point.tpot_p50_ms, min(point.conc / (pool.workers * pool.dp), assumed.tokens_per_rank))
        for point, pool in ran
        if pool.shape == f"DEP{ep}" and point.tpot_p50_ms and point.status == "ok"
    ]
    return min(steps, default=(None, None))


def exchange_finding(rows: Sequence[ExchangeRow], llm: Llm, assumed: ExchangeAssumptions) -> Sentence | None:
    """How many exchanges a step has, and what share of the fastest step they would take, with the tokens that it held."""
    ran = [row for row in rows if row.step_ms is not None]
    if not ran:
        return None
    widest = ran[-1]
    step, held = widest.step_ms or 1.0, widest.step_tokens or 0.0
    share = held / assumed.tokens_per_rank
    inside, outside = (
        [share * one for one in widest.scaleup_ms if one is not None],
        share * widest.scaleout_ms,
    )
    words = "A decode step has {collectives:count} exchanges ({layers:count} layers, out and back). With {tokens:grid} tokens a rank, "
    words += "at most what the fastest EP{ep} step held, {step:ms} ms, they take "
    words += "{up:ms} ms inside the scale-up domain ({up_share:percent}) and " if inside else ""
    words += "{out:ms} ms over scale-out ({out_share:percent})."
    up = max(inside, default=0.0)
    values: dict[str, float | str] = {
        "ep": str(widest.ep),
        "tokens": held,
        "step": step,
        "up": up,
        "out": outside,
    }
    values |= {"layers": float(llm.layers), "collectives": 2.0 * llm.layers}
    return Sentence(words=words, values={**values, "up_share": up / step, "out_share": outside / step})
