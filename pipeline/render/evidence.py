"""Supporting tables: memory, coverage, calibration and provenance."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.render.tables import Table, deployment
from pipeline.render.text import code, number, plain
from pipeline.render.words.memory import verdict_text
from pipeline.render.words.ranges import range_text
from pipeline.render.words.reasons import coverage_text
from pipeline.schema.report import HbmRow, ProvenanceRow, Report
from pipeline.schema.result import Host, RawFile
from pipeline.schema.timing import PointError, Range, RangeAxis, SkuTiming

STATES = {"ran": "✅", "invalid": "⛔", "failed": "❌", "missing": "❓", "not-planned": "➕"}


def hbm(report: Report) -> Table:
    """Return HBM by component and headroom of each role."""
    headers = (
        "deployment",
        "role",
        "weights GB",
        "KV requested GB",
        "other GB",
        "budget GB",
        "capacity GB",
        "headroom GB",
    )
    return Table(headers, "llrrrrrr", tuple(_hbm(row, report) for row in report.hbm))


def _hbm(row: HbmRow, report: Report) -> tuple[str, ...]:
    hbm = row.hbm
    parts = (hbm.weights_gb, hbm.kv_gb, hbm.other_gb, hbm.budget_gb, hbm.capacity_gb)
    word = "" if hbm.verdict == "fits" else f"{verdict_text(hbm)}: "
    reason = f" ({hbm.accepted})" if not hbm.fits and hbm.accepted else ""
    return (
        deployment(row.recipe, row.sku, report),
        f"{hbm.role} {hbm.shape}",
        *(number(part, "gb") for part in parts),
        plain(word) + number(hbm.headroom_gb, "gb") + plain(reason),
    )


def coverage(report: Report) -> Table:
    """Return the state of every planned recipe."""
    headers = (
        "deployment",
        "state",
        "points",
        "planned",
        "GPUs counted",
        "GPUs held",
        "GPU-hours",
    )
    rows = tuple(
        (
            deployment(row.recipe, row.sku, report),
            f"{STATES[row.state]} {row.state.replace('-', ' ')}",
            number(row.points, "count"),
            number(row.planned_points, "count"),
            number(row.gpus_counted, "count"),
            number(row.gpus_held, "count", absent="not run"),
            number(row.gpu_hours, "hours", absent="not run"),
        )
        for row in report.coverage
    )
    if not any(row.problems for row in report.coverage):
        return Table(headers, "llrrrrr", rows)
    reasons = (plain(coverage_text(row.problems)) for row in report.coverage)
    return Table(
        (*headers, "problems"),
        "llrrrrrl",
        tuple((*row, reason) for row, reason in zip(rows, reasons, strict=True)),
    )


def bill(report: Report) -> str:
    """Return the GPU-hours of all points that arrived, without set-up; empty when none did."""
    hours = [row.gpu_hours for row in report.coverage if row.gpu_hours is not None]
    if not hours:
        return ""
    is_live = any(row.measured_share is not None for row in report.provenance)
    simulated = (
        " of simulated engines, on no GPU"
        if is_live
        else " of virtual time, which a rack would spend on the same measurements"
    )
    kind = simulated if report.origin == "simulated" else ""
    total = f"{number(sum(hours), 'hours')} GPU-hours{kind}: all GPUs held, without warm-up and set-up."
    return (
        f"{total} Points that failed or did not arrive are not included."
        if len(hours) < len(report.coverage)
        else total
    )


def parameters(report: Report) -> Table:
    """Return the fitted parameters, each with its unit and meaning."""
    rows = [
        row
        for sku in report.timing
        for row in _parameters(sku, plain(report.sku_titles.get(sku.sku, sku.sku)))
    ]
    return Table(("SKU", "worker", "parameter", "value", "unit", "meaning"), "lllrll", tuple(rows))


def _parameters(timing: SkuTiming, title: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            title,
            "all",
            code("overhead_s"),
            number(timing.overhead_s * 1000, "seconds"),
            "s",
            "added once to the duration of a run",
        )
    ]
    for prefill in timing.prefill:
        worker = f"prefill {plain(prefill.kind)}"
        saturated = "input throughput of a saturated worker"
        rows.append(
            (title, worker, code("tok_s_gpu"), number(prefill.tok_s_gpu, "count"), "tok/s/GPU", saturated)
        )
        if prefill.pass_tokens is not None:
            taken = "taken by a rank into a pass; the ranks of a worker step together"
            rows.append(
                (title, worker, code("pass_tokens"), number(prefill.pass_tokens, "count"), "tokens", taken)
            )
        rows += _fitted(title, worker, prefill.fitted)
    for decode in timing.decode:
        worker, growth = f"decode {plain(decode.kind)}", "added to a step by 1,000 more resident KV tokens"
        if decode.slope_of != decode.kind:
            growth += f"; taken from {plain(decode.slope_of)}"
        rows.append(
            (
                title,
                worker,
                code("step_ms"),
                number(decode.step_ms, "ms"),
                "ms",
                "decode step with an empty KV cache",
            )
        )
        rows.append(
            (title, worker, code("us_per_kv_ktoken"), number(decode.us_per_kv_ktoken, "ms"), "µs", growth)
        )
        rows += _fitted(title, worker, decode.fitted)
    return rows


def _fitted(title: str, worker: str, ranges: Mapping[RangeAxis, Range]) -> list[tuple[str, ...]]:
    """Return the range of each quantity that the points of a fit cover."""
    meaning = "covered by the points of the fit"
    return [(title, worker, axis, range_text(span), "", meaning) for axis, span in ranges.items()]


def errors(report: Report, metric: str) -> Table:
    """Return given against fitted figures, and against a fit without the point.

    ``metric`` as in PointError.
    """
    unit, quantity = ("tok/s/GPU", "tok_s_gpu") if metric == "total_tok_s_gpu" else ("TPOT ms", "ms")
    headers = (
        "deployment",
        "conc",
        f"given {unit}",
        f"fitted {unit}",
        "error",
        "error without this point",
    )
    return Table(
        headers, "lrrrrr", tuple(_error(point, metric, quantity, report) for point in report.timing_errors)
    )


def _error(point: PointError, metric: str, quantity: str, report: Report) -> tuple[str, ...]:
    given, fitted, left_out = (
        getattr(point, metric),
        getattr(point, f"fitted_{metric}"),
        getattr(point, f"left_out_{metric}"),
    )
    alone = number(None if left_out is None else left_out / given - 1, "change", absent="not identifiable")
    if left_out is not None and point.left_out_sd is not None:
        alone += f" ± {number(point.left_out_sd, 'percent')}"
    figures = (number(given, quantity), number(fitted, quantity), number(fitted / given - 1, "change"))
    return deployment(point.recipe, point.sku, report), number(point.conc, "conc"), *figures, alone


def runs(report: Report) -> Table:
    """Return the provenance of each result."""
    headers = ("deployment", "run", "started", "deployment digest", "seed", "versions", "stages s", "host")
    rows = tuple(
        (
            deployment(row.recipe, row.sku, report),
            plain(row.run_id) + ("" if row.attempt == 1 else f" attempt {row.attempt}"),
            plain(row.started_at),
            code(row.deployment_digest[:12]),
            str(row.seed),
            plain(", ".join(f"{name} {version}" for name, version in sorted(row.versions.items()))),
            number(row.seconds, "wall") + _of_which(row.measured_share),
            plain(_host(row.host)),
        )
        for row in report.provenance
    )
    return Table(headers, "llllrlrl", rows)


def _of_which(share: float | None) -> str:
    return "" if share is None else f", {number(share, 'percent')} measurement"


def raw_files(report: Report) -> Table:
    """Return result folders with the first digits of the SHA-256 of each raw file."""
    headers = ("folder", "git commit", "raw files, SHA-256")
    rows = tuple(
        (code(row.folder), _commit(row), ", ".join(map(_raw_file, row.raw)) or "_none_")
        for row in report.provenance
    )
    return Table(headers, "lll", rows)


def _host(host: Host | None) -> str:
    return f"{host.machine}, {host.cpus} CPUs, {host.kernel}, Python {host.python}" if host else "unknown"


def _commit(row: ProvenanceRow) -> str:
    sha = "unknown" if row.git_sha is None else row.git_sha[:12]
    return plain(sha + (" with local changes" if row.git_dirty else ""))


def _raw_file(file: RawFile) -> str:
    return code(f"{file.path} {file.sha256[:12]}")
