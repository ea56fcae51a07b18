"""Rules of tables: what must follow from the figures beside it, given how far each may have been rounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pipeline.analyse.frontier import frontier
from pipeline.analyse.lint.interval import Interval, as_printed
from pipeline.schema.lint import Finding, Rule
from pipeline.schema.published import PublishedIso, PublishedIsoRow, PublishedRow, Tables

LONG_WAIT_S = 10.0
PER_HOUR = Interval.exact(3600.0)
MILLION = Interval.exact(1e6)


def judge(rule: Rule, place: str, printed: Interval, computed: Interval, why: str) -> Finding | None:
    """``wrong`` where no unrounded values agree, ``edge`` where the computed figure itself would print otherwise, else nothing."""
    if printed.holds(computed.value):
        return None
    decimals = printed.decimals or 0
    return Finding(
        rule=rule,
        severity="edge" if printed.meets(computed) else "wrong",
        place=place,
        printed=printed.text(),
        computed=as_printed(computed.value, decimals + 2),
        corrected=as_printed(computed.value, decimals),
        why=why,
    )


def point_findings(study: Tables) -> Iterator[Finding]:
    """Cost, shape, interactivity and wait of each row, then rows that another one beats."""
    for row in study.rows:
        yield from _cost(study, row)
        yield from _shape(row)
        yield from _wait(study, row)
    yield from _interactivity(study)
    yield from _dominated(study)


def _printed(study: Tables, row: PublishedRow, column: str) -> Interval | None:
    value = getattr(row, column)
    return (
        None if value is None else Interval.cell(value, study.points.digits(column) if study.points else None)
    )


def _cost(study: Tables, row: PublishedRow) -> Iterator[Finding]:
    printed, throughput = _printed(study, row, "usd_per_mtok"), _printed(study, row, "total_tok_s_gpu")
    rate = study.usd_per_gpu_hour.get(row.sku)
    if printed is None or throughput is None or rate is None:
        return
    computed = Interval.exact(rate) * MILLION / (PER_HOUR * throughput)
    finding = judge(
        "cost vs rate",
        f"points, {row.name}: $/Mtok",
        printed,
        computed,
        f"{rate} USD per GPU-hour over {throughput.text()} tok/s/GPU",
    )
    if finding:
        yield finding


def _shape(row: PublishedRow) -> Iterator[Finding]:
    for role, gpus, pool in (
        ("prefill", row.gpus_prefill, row.prefill),
        ("decode", row.gpus_decode, row.decode),
    ):
        if pool is not None and pool.gpus != gpus:
            sum_ = f"{pool.workers} x tp {pool.tp} x pp {pool.pp} x dp {pool.dp} = {pool.gpus}"
            yield Finding(
                rule="GPUs vs shape",
                severity="wrong",
                place=f"points, {row.name}: {role} GPUs",
                printed=str(gpus),
                computed=str(pool.gpus),
                corrected=str(pool.gpus),
                why=f"{sum_} GPUs of {pool.shape} workers",
            )


def _wait(study: Tables, row: PublishedRow) -> Iterator[Finding]:
    """Little's law: requests in flight over requests per second is the whole latency; what decoding does not take is waiting."""
    wait = implied_wait_s(study, row)
    if wait is None or 0 <= wait <= LONG_WAIT_S:
        return
    yield Finding(
        rule="Little's law",
        severity="wrong" if wait < 0 else "note",
        place=f"points, {row.name}: TTFT",
        printed="none",
        computed=f"{wait:.1f} s",
        corrected="",
        why="requests decode longer than they stay"
        if wait < 0
        else "implied TTFT and queue, an upper bound: ramp and drain are inside",
    )


def implied_wait_s(study: Tables, row: PublishedRow) -> float | None:
    """Seconds of TTFT and queue that a row implies at its requests' mean length; None without a TPOT or lengths.

    conc / (requests per second) − (output tokens − 1) · TPOT, with tok/s = tok/s/GPU · GPUs.
    """
    lengths = study.lengths
    if row.tpot_p50_ms is None or lengths is None:
        return None
    req_s = row.total_tok_s_gpu * (row.gpus_prefill + row.gpus_decode) / (lengths.isl + lengths.osl)
    full = row.conc / req_s - (lengths.osl - 1) * row.tpot_p50_ms / 1000
    return full * lengths.mean


def _interactivity(study: Tables) -> Iterator[Finding]:
    """1000 / TPOT against the printed tok/s/user: an error where both are said to be the same statistic, else a word of warning."""
    named = study.statistics
    tpot, printed = (
        named.get("tpot_p50_ms", "not stated"),
        named.get("interactivity_as_printed", "not stated"),
    )
    off = []
    for row in study.rows:
        user, time = _printed(study, row, "interactivity_as_printed"), _printed(study, row, "tpot_p50_ms")
        if user is None or time is None:
            continue
        computed = Interval.exact(1000.0) / time
        if user.meets(computed):
            continue
        off.append(user.value / computed.value - 1)
        if tpot == printed != "not stated":
            finding = judge(
                "interactivity vs TPOT",
                f"points, {row.name}: tok/s/user",
                user,
                computed,
                f"1000 / {time.text()} ms, both {tpot}",
            )
            if finding:
                yield finding
    if off and (tpot != printed or printed == "not stated"):
        yield Finding(
            rule="interactivity vs TPOT",
            severity="note",
            place="points: tok/s/user",
            printed=f"statistic: {printed}",
            computed=f"{100 * min(off):+.2f} to {100 * max(off):+.2f} % off 1000 / TPOT",
            corrected="1000 / median TPOT, as a column of its own",
            why=f"{len(off)} of {len(study.rows)} rows are not the reciprocal of their TPOT ({tpot}): two statistics, to be named",
        )


def _dominated(study: Tables) -> Iterator[Finding]:
    by_sku: defaultdict[str, list[PublishedRow]] = defaultdict(list)
    for row in study.rows:
        by_sku[row.sku].append(row)
    for rows in by_sku.values():
        kept = frontier(rows, x=_user, y=lambda row: row.total_tok_s_gpu)
        for row in rows:
            if not any(row is one for one in kept) and _user(row) is not None:
                better = next(
                    one
                    for one in kept
                    if (_user(one) or 0.0) >= (_user(row) or 0.0)
                    and one.total_tok_s_gpu >= row.total_tok_s_gpu
                )
                yield Finding(
                    rule="dominated row",
                    severity="note",
                    place=f"points, {row.name}",
                    printed=f"{row.total_tok_s_gpu:g} at {_user(row):g}",
                    computed=f"{better.total_tok_s_gpu:g} at {_user(better):g}",
                    corrected="",
                    why=f"conc {better.conc} has more of both: not on the frontier, and no curve passes through it",
                )


def _user(row: PublishedRow) -> float | None:
    return row.interactivity_as_printed if row.interactivity_as_printed is not None else row.interactivity


def iso_findings(study: Tables) -> Iterator[Finding]:
    """Ratios against their operands, costs against the rate, the cost ratio against the throughputs beside it."""
    if study.iso is None:
        return
    for row in study.iso.rows:
        yield from filter(None, _iso_row(study, study.iso, row))


def _iso_row(study: Tables, iso: PublishedIso, row: PublishedIsoRow) -> Iterator[Finding | None]:
    speeds = [
        None if value is None else Interval.cell(value, iso.digits("total_tok_s_gpu"))
        for value in row.total_tok_s_gpu
    ]
    rates = [study.usd_per_gpu_hour.get(sku) for sku in iso.skus]
    place = f"iso, row {row.label}"
    first, last = speeds[0], speeds[-1]
    if row.throughput_ratio is not None and first and last:
        printed = Interval.cell(row.throughput_ratio, iso.digits("ratio"))
        yield judge(
            "ratio vs operands", f"{place}: ratio", printed, last / first, f"{last.text()} / {first.text()}"
        )
    for sku, cost, speed, rate in zip(
        iso.skus, row.usd_per_mtok or (None,) * len(iso.skus), speeds, rates, strict=True
    ):
        if cost is not None and speed is not None and rate is not None:
            printed = Interval.cell(cost, iso.digits("usd_per_mtok"))
            computed = Interval.exact(rate) * MILLION / (PER_HOUR * speed)
            yield judge(
                "cost vs rate",
                f"{place}: {sku} $/Mtok",
                printed,
                computed,
                f"{rate} USD per GPU-hour over {speed.text()} tok/s/GPU",
            )
    if row.cost_ratio is not None and first and last and rates[0] and rates[-1]:
        printed = Interval.cell(row.cost_ratio, iso.digits("ratio"))
        computed = last / first * Interval.exact(rates[0]) / Interval.exact(rates[-1])
        yield judge(
            "cost ratio vs throughput",
            f"{place}: cost ratio",
            printed,
            computed,
            f"{last.text()} / {first.text()} x {rates[0]} / {rates[-1]}",
        )
