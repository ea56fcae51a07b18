"""Tables behind the figures: memory, coverage, calibration and provenance."""

from __future__ import annotations

from pipeline.render.tables import Table, deployment
from pipeline.render.text import code, number, plain
from pipeline.schema.report import HbmRow, Report
from pipeline.schema.timing import PointError, SkuTiming

STATES = {"ran": "✅", "invalid": "⛔", "failed": "❌", "missing": "❓", "not in plan": "➕"}


def hbm(report: Report) -> Table:
    """Whether each role fits, and what is left."""
    headers = (
        "deployment",
        "role",
        "weights GB",
        "KV asked GB",
        "other GB",
        "budget GB",
        "capacity GB",
        "headroom GB",
    )
    return Table(headers, "llrrrrrr", tuple(_hbm(row, report) for row in report.hbm))


def _hbm(row: HbmRow, report: Report) -> tuple[str, ...]:
    hbm = row.hbm
    parts = (hbm.weights_gb, hbm.kv_gb, hbm.overhead_gb + hbm.activation_gb, hbm.budget_gb, hbm.capacity_gb)
    word = "" if hbm.verdict == "fits" else f"{hbm.verdict}: "
    cells = tuple(number(part, "gb") for part in parts)
    return (
        deployment(row.recipe, report),
        f"{hbm.role} {hbm.shape}",
        *cells,
        word + number(hbm.headroom_gb, "gb"),
    )


def coverage(report: Report) -> Table:
    """What became of everything that should have run."""
    headers = (
        "deployment",
        "state",
        "points",
        "planned",
        "GPUs counted",
        "GPUs held",
        "GPU-hours of its points",
    )
    rows = tuple(
        (
            deployment(row.recipe, report),
            f"{STATES[row.state]} {row.state}",
            number(row.points, "count"),
            number(row.planned_points, "count"),
            number(row.gpus_counted, "count"),
            number(row.gpus_held, "count", absent="not run"),
            number(row.gpu_hours, "hours", absent="not run"),
        )
        for row in report.coverage
    )
    if not any(row.reason for row in report.coverage):
        return Table(headers, "llrrrrr", rows)
    reasons = (plain(row.reason) for row in report.coverage)
    return Table(
        (*headers, "why not"),
        "llrrrrrl",
        tuple((*row, reason) for row, reason in zip(rows, reasons, strict=True)),
    )


def bill(report: Report) -> str:
    """GPU-hours of everything that arrived; what setting up took is not in it."""
    hours = [row.gpu_hours for row in report.coverage if row.gpu_hours is not None]
    if not hours:
        return ""
    is_live = any(row.measured_share is not None for row in report.provenance)
    simulated = (
        " of simulated engines, on no GPU"
        if is_live
        else " of virtual time: what a rack would have spent measuring"
    )
    kind = simulated if report.origin == "simulated" else ""
    said = f"{number(sum(hours), 'hours')} GPU-hours{kind}, every GPU held counted, warm-up and set-up not."
    return (
        f"{said} Points that failed or did not arrive are not in it."
        if len(hours) < len(report.coverage)
        else said
    )


def parameters(report: Report) -> Table:
    """The fitted parameters, each with its unit and meaning."""
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
            "added once to the wall clock of a run",
        )
    ]
    for prefill in timing.prefill:
        worker = f"prefill {plain(prefill.kind)}"
        saturated = "input tokens of a saturated worker"
        rows.append(
            (title, worker, code("tok_s_gpu"), number(prefill.tok_s_gpu, "count"), "tok/s/GPU", saturated)
        )
    for decode in timing.decode:
        worker, growth = f"decode {plain(decode.kind)}", "what 1,000 more resident KV tokens add to a step"
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
    return rows


def errors(report: Report, metric: str) -> Table:
    """Given against fitted, and against what the other points alone would have said; ``metric`` as in PointError."""
    unit, quantity = ("tok/s/GPU", "tok_s_gpu") if metric == "total_tok_s_gpu" else ("TPOT ms", "ms")
    headers = (
        "deployment",
        "conc",
        f"given {unit}",
        f"fitted {unit}",
        "error",
        "predicted by the others alone",
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
    return deployment(point.recipe, report), number(point.conc, "conc"), *figures, alone


def runs(report: Report) -> Table:
    """Where each result comes from."""
    headers = ("deployment", "run", "started", "deployment digest", "seed", "versions", "stages s", "host")
    rows = tuple(
        (
            deployment(row.recipe, report),
            plain(row.run_id) + ("" if row.attempt == 1 else f" attempt {row.attempt}"),
            plain(row.started_at),
            code(row.deployment_digest[:12]),
            str(row.seed),
            plain(row.versions),
            number(row.seconds, "wall") + _of_which(row.measured_share),
            plain(row.host),
        )
        for row in report.provenance
    )
    return Table(headers, "llllrlrl", rows)


def _of_which(share: float | None) -> str:
    return "" if share is None else f", {number(share, 'percent')} of them measurement"


def raw_files(report: Report) -> Table:
    """Result folders and the first digits of the SHA-256 of each raw file in them."""
    headers = ("folder", "git commit", "raw files, SHA-256")
    rows = tuple(
        (code(row.folder), plain(row.git_sha), ", ".join(map(code, row.raw)) or "_none_")
        for row in report.provenance
    )
    return Table(headers, "lll", rows)
