"""Tables for a terminal: plain text, columns aligned."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pipeline.render.text import fixed, number, signed
from pipeline.schema.event import JobStatus
from pipeline.schema.report import DriftedFigure
from pipeline.schema.timing import PointError, Timing


def timing_text(timing: Timing) -> str:
    """Return the parameters and errors of a calibration."""
    prefill = [("SKU", "worker", "input tok/s/GPU", "tokens of a rank in a pass")]
    decode = [("SKU", "worker", "step ms", "µs per 1,000 KV tokens", "slope of")]
    for sku in timing.skus:
        prefill += [
            (sku.sku, one.kind, fixed(one.tok_s_gpu, 0), str(one.pass_tokens or "–")) for one in sku.prefill
        ]
        decode += [
            (sku.sku, one.kind, fixed(one.step_ms, 2), fixed(one.us_per_kv_ktoken, 2), one.slope_of)
            for one in sku.decode
        ]
    overheads = "".join(
        f"{sku.sku}: {fixed(sku.overhead_s, 1)} s of fixed overhead per run\n" for sku in timing.skus
    )
    head = (
        "recipe",
        "conc",
        "tok/s/GPU given",
        "fitted",
        "error",
        "left out",
        "TPOT ms given",
        "fitted",
        "error",
        "left out",
    )
    errors = [head, *(_error(point) for point in timing.errors)]
    waits = [
        ("recipe", "conc", "TTFT s given", "fitted", "error", "left out"),
        *map(_wait, _with_ttft(timing)),
    ]
    tables = (
        aligned(prefill, left=2),
        aligned(decode, left=2),
        overheads,
        aligned(errors, left=1),
        aligned(waits, left=1) if len(waits) > 1 else "no TTFT was given\n",
        _summary(timing),
    )
    return "\n".join(tables)


def moved_table(moved: Sequence[DriftedFigure]) -> str:
    """Return the figures that a new run does not reproduce; empty when there are none."""
    if not moved:
        return ""
    lines: list[tuple[str, ...]] = [("recipe", "conc", "figure", "kept", "new", "change")]
    for one in moved:
        change = signed(one.new / one.kept - 1) if one.kept and one.new else "–"
        kept, new = (fixed(value, 2) if value is not None else "none" for value in (one.kept, one.new))
        lines.append((one.recipe, str(one.conc), one.figure, kept, new, change))
    return aligned(lines, left=1)


def _error(point: PointError) -> tuple[str, ...]:
    unknown = "not identifiable"
    rate = point.left_out_total_tok_s_gpu
    tpot = point.left_out_tpot_ms
    return (
        point.recipe,
        str(point.conc),
        fixed(point.total_tok_s_gpu, 1),
        fixed(point.fitted_total_tok_s_gpu, 1),
        signed(point.fitted_total_tok_s_gpu / point.total_tok_s_gpu - 1),
        unknown if rate is None else signed(rate / point.total_tok_s_gpu - 1),
        fixed(point.tpot_ms, 2),
        fixed(point.fitted_tpot_ms, 2),
        signed(point.fitted_tpot_ms / point.tpot_ms - 1),
        unknown if tpot is None else signed(tpot / point.tpot_ms - 1),
    )


def _with_ttft(timing: Timing) -> list[PointError]:
    return [one for one in timing.errors if one.ttft_ms is not None]


def _wait(point: PointError) -> tuple[str, ...]:
    given, fitted, left_out = point.ttft_ms, point.fitted_ttft_ms, point.left_out_ttft_ms
    return (
        point.recipe,
        str(point.conc),
        number(given, "seconds"),
        number(fitted, "seconds"),
        signed(fitted / given - 1) if fitted and given else "unknown",
        signed(left_out / given - 1) if left_out and given else "unknown",
    )


def _summary(timing: Timing) -> str:
    errors = timing.relative_errors
    left_out = timing.relative_left_out_errors
    line = f"{len(errors)} figures: median error {number(median(errors), 'percent')}, largest "
    line += f"{number(errors[-1], 'percent')}"
    return (
        f"{line}; left out: largest {number(left_out[-1], 'percent')} of {len(left_out)}\n"
        if left_out
        else f"{line}\n"
    )


def status_table(found: Sequence[JobStatus]) -> str:
    """Return a line for each job: stage, state, since when, and on which nodes."""
    head = ("JOB", "ATTEMPT", "STAGE", "STATE", "SINCE", "NODES", "")
    rows = [
        (one.job, str(one.attempt), one.stage, one.state, one.since[:19], one.nodes, one.what)
        for one in found
    ]
    return aligned([head, *rows], left=len(head))


def aligned(lines: Sequence[Sequence[str]], *, left: int) -> str:
    """Return lines with columns as wide as their widest cell, the first ``left`` of them flush left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )
