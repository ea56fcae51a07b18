"""Rules of tables: figures against the figures that they are computed from, within rounding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pipeline.analyse.frontier import frontier
from pipeline.analyse.lint.interval import Interval
from pipeline.schema.lint import (
    ColumnName,
    CostCheck,
    CostRatioCheck,
    DominatedRow,
    Finding,
    FindingPlace,
    InteractivityCheck,
    RatioCheck,
    RepeatedRow,
    Severity,
    ShapeCheck,
    StatisticsNote,
    UnitCheck,
    WaitCheck,
)
from pipeline.schema.published import PublishedIso, PublishedIsoRow, PublishedRow, Tables
from pipeline.schema.recipe import WorkerPool

LONG_WAIT_S = 10.0
PER_HOUR = Interval.exact(3600.0)
UNITS = (1000.0, 60.0)  # 1024 is 1000 within the share
UNIT_SHARE = 0.2  # by which a mean and a median differ
MILLION = Interval.exact(1e6)


def severity_of(printed: Interval, computed: Interval) -> Severity | None:
    """Return ``wrong`` where no unrounded values agree, ``edge`` where only other than the computed one do, else None."""
    if printed.holds(computed.value):
        return None
    return "edge" if printed.meets(computed) else "wrong"


def point_findings(study: Tables) -> Iterator[Finding]:
    """Check cost, shape and wait of each row, then interactivity, then dominated rows."""
    for row in study.rows:
        yield from _cost(study, row)
        yield from _shape(row)
        yield from _wait(study, row)
    yield from _interactivity(study)
    yield from _repeated(study)
    yield from _dominated(study)


def _printed(study: Tables, row: PublishedRow, column: str) -> Interval | None:
    value = getattr(row, column)
    return (
        None if value is None else Interval.cell(value, study.points.digits(column) if study.points else None)
    )


def _cost(study: Tables, row: PublishedRow) -> Iterator[Finding]:
    printed, throughput = _printed(study, row, "usd_per_mtok"), _printed(study, row, "total_tok_s_gpu")
    rate = study.usd_per_gpu_hour.get(row.sku)
    if printed is not None and throughput is not None and rate is not None:
        yield from _cost_finding(_place(row, "usd_per_mtok"), printed, throughput, rate)


def _cost_finding(
    place: FindingPlace, printed: Interval, throughput: Interval, rate: float
) -> Iterator[Finding]:
    computed = Interval.exact(rate) * MILLION / (PER_HOUR * throughput)
    if severity := severity_of(printed, computed):
        check = CostCheck(
            printed=printed.figure,
            computed=computed.value,
            usd_per_gpu_hour=rate,
            throughput=throughput.figure,
        )
        yield Finding(severity=severity, place=place, check=check)


def _place(row: PublishedRow, column: ColumnName | None = None) -> FindingPlace:
    return FindingPlace(table="points", row=row.name, column=column)


def _shape(row: PublishedRow) -> Iterator[Finding]:
    roles: tuple[tuple[ColumnName, int, WorkerPool | None], ...] = (
        ("prefill GPUs", row.gpus_prefill, row.prefill),
        ("decode GPUs", row.gpus_decode, row.decode),
    )
    for column, gpus, pool in roles:
        if pool is not None and pool.gpus != gpus:
            yield Finding(
                severity="wrong", place=_place(row, column), check=ShapeCheck(printed=gpus, pool=pool)
            )


def _wait(study: Tables, row: PublishedRow) -> Iterator[Finding]:
    """Little's law: requests in flight over requests per second is the whole latency.

    Decoding takes part of it.
    """
    wait_s = implied_wait_s(study, row)
    if wait_s is not None and not 0 <= wait_s <= LONG_WAIT_S:
        severity: Severity = "wrong" if wait_s < 0 else "note"
        yield Finding(severity=severity, place=_place(row, "ttft"), check=WaitCheck(wait_s=wait_s))


def implied_wait_s(study: Tables, row: PublishedRow) -> float | None:
    """Return the seconds of TTFT and queue that a row implies at the mean request length.

    None without a TPOT or lengths.

    conc / (requests per second) − (output tokens − 1) · TPOT, with tok/s = tok/s/GPU · GPUs.
    """
    lengths = study.lengths
    if row.tpot_p50_ms is None or lengths is None:
        return None
    req_s = row.total_tok_s_gpu * (row.gpus_prefill + row.gpus_decode) / (lengths.isl + lengths.osl)
    full = row.conc / req_s - (lengths.osl - 1) * row.tpot_p50_ms / 1000
    return full * lengths.mean


def _interactivity(study: Tables) -> Iterator[Finding]:
    """Check 1000 / TPOT against the printed tok/s/user: an error where both state the same statistic, else a note."""
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
        if factor := unit_factor(user.value, computed.value):
            unit = UnitCheck(printed=user.figure, computed=computed.value, tpot_ms=time.figure, factor=factor)
            yield Finding(severity="wrong", place=_place(row, "interactivity"), check=unit)
            continue
        off.append(user.value / computed.value - 1)
        if tpot == printed != "not stated":
            check = InteractivityCheck(
                printed=user.figure, computed=computed.value, tpot_ms=time.figure, statistic=tpot
            )
            yield Finding(severity="wrong", place=_place(row, "interactivity"), check=check)
    if off and (tpot != printed or printed == "not stated"):
        note = StatisticsNote(
            interactivity_statistic=printed,
            tpot_statistic=tpot,
            lowest=min(off),
            highest=max(off),
            rows_off=len(off),
            rows=len(study.rows),
        )
        place = FindingPlace(table="points", column="interactivity")
        yield Finding(severity="note", place=place, check=note)


def unit_factor(found: float, wanted: float) -> float | None:
    """Return the factor between two figures of one quantity where it is one of units, else None.

    >>> unit_factor(20.4, 0.02), unit_factor(1.2, 70.0), unit_factor(20.0, 19.0)
    (1000.0, 60.0, None)
    """
    ratio = max(found / wanted, wanted / found)
    return next((unit for unit in UNITS if abs(ratio / unit - 1) <= UNIT_SHARE), None)


def _repeated(study: Tables) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for number, row in enumerate(study.rows, start=1):
        first = seen.setdefault(row.model_dump_json(), number)
        if first != number:
            yield Finding(severity="wrong", place=_place(row), check=RepeatedRow(first=first))


def _dominated(study: Tables) -> Iterator[Finding]:
    by_sku: defaultdict[str, list[PublishedRow]] = defaultdict(list)
    for row in {row.model_dump_json(): row for row in reversed(study.rows)}.values():
        by_sku[row.sku].append(row)
    for rows in by_sku.values():
        kept = frontier(rows, x=_user, y=lambda row: row.total_tok_s_gpu)
        for row in rows:
            user = _user(row)
            if user is not None and not any(row is one for one in kept):
                yield _dominated_row(row, user, kept)


def _dominated_row(row: PublishedRow, user: float, kept: Sequence[PublishedRow]) -> Finding:
    better = next(
        one for one in kept if (_user(one) or 0.0) >= user and one.total_tok_s_gpu >= row.total_tok_s_gpu
    )
    check = DominatedRow(
        tok_s_gpu=row.total_tok_s_gpu,
        interactivity=user,
        better_conc=better.conc,
        better_tok_s_gpu=better.total_tok_s_gpu,
        better_interactivity=_user(better) or 0.0,
    )
    return Finding(severity="note", place=_place(row), check=check)


def _user(row: PublishedRow) -> float | None:
    return row.interactivity_as_printed if row.interactivity_as_printed is not None else row.interactivity


def iso_findings(study: Tables) -> Iterator[Finding]:
    """Check ratios against their operands, costs against the price, the cost ratio against the throughputs."""
    if study.iso is None:
        return
    for row in study.iso.rows:
        speeds = [
            None if value is None else Interval.cell(value, study.iso.digits("total_tok_s_gpu"))
            for value in row.total_tok_s_gpu
        ]
        rates = [study.usd_per_gpu_hour.get(sku) for sku in study.iso.skus]
        yield from _ratio(study.iso, row, speeds)
        yield from _iso_costs(study.iso, row, speeds, rates)
        yield from _cost_ratio(study.iso, row, speeds, rates)


def _ratio(iso: PublishedIso, row: PublishedIsoRow, speeds: Sequence[Interval | None]) -> Iterator[Finding]:
    first, last = speeds[0], speeds[-1]
    if row.throughput_ratio is None or first is None or last is None:
        return
    printed, computed = Interval.cell(row.throughput_ratio, iso.digits("ratio")), last / first
    if severity := severity_of(printed, computed):
        check = RatioCheck(
            printed=printed.figure, computed=computed.value, first=first.figure, last=last.figure
        )
        place = FindingPlace(table="iso", row=row.label, column="throughput_ratio")
        yield Finding(severity=severity, place=place, check=check)


def _iso_costs(
    iso: PublishedIso,
    row: PublishedIsoRow,
    speeds: Sequence[Interval | None],
    rates: Sequence[float | None],
) -> Iterator[Finding]:
    costs = row.usd_per_mtok or (None,) * len(iso.skus)
    for sku, cost, speed, rate in zip(iso.skus, costs, speeds, rates, strict=True):
        if cost is not None and speed is not None and rate is not None:
            place = FindingPlace(table="iso", row=row.label, sku=sku, column="usd_per_mtok")
            yield from _cost_finding(place, Interval.cell(cost, iso.digits("usd_per_mtok")), speed, rate)


def _cost_ratio(
    iso: PublishedIso,
    row: PublishedIsoRow,
    speeds: Sequence[Interval | None],
    rates: Sequence[float | None],
) -> Iterator[Finding]:
    first, last, usd_first, usd_last = speeds[0], speeds[-1], rates[0], rates[-1]
    if row.cost_ratio is None or first is None or last is None or not usd_first or not usd_last:
        return
    printed = Interval.cell(row.cost_ratio, iso.digits("ratio"))
    computed = last / first * Interval.exact(usd_first) / Interval.exact(usd_last)
    if severity := severity_of(printed, computed):
        check = CostRatioCheck(
            printed=printed.figure,
            computed=computed.value,
            first=first.figure,
            last=last.figure,
            usd_first=usd_first,
            usd_last=usd_last,
        )
        place = FindingPlace(table="iso", row=row.label, column="cost_ratio")
        yield Finding(severity=severity, place=place, check=check)
