"""calibrate: given points in, timing parameters out, with their errors and leave-one-out predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import calibrate as package
from pipeline import render
from pipeline.calibrate import Fit, GivenPoint, Row
from pipeline.calibrate.confirm import CLOSE, LeaveOneOut, Replayed, identifiable, point_error
from pipeline.edge.files import sha256
from pipeline.edge.process_pool import worker_processes
from pipeline.flow.calibration_replays import Replayer, draw_lengths
from pipeline.flow.context import Context, read, write
from pipeline.flow.published import given_by, points_of
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import RecipeSet
from pipeline.schema.timing import Timing


def calibrate(context: Context, points: Path, out: Path, *, workers: int) -> str:
    """Write the timing document and return its tables as text."""
    text, recipe_set = read(points), read_recipe_set(context)
    given = _given(points, text, recipe_set)
    catalogue = recipe_set.catalogue
    rows = package.match(given, recipe_set.recipes.values(), catalogue, draw_lengths, where=str(points))
    replayer = Replayer(recipe_set, context.clock, workers)
    with worker_processes(workers) as surrogates:
        fit = Fit(rows, lambda loops: list(surrogates.map(package.closed_loop, loops)))
        context.log(f"{len(fit.fit())} parameters from {2 * len(rows)} figures, on the surrogate")
        replayed = _confirm(context, fit, replayer)
        left_out = _leave_one_out(context, fit, replayer)
        ttfts = {row: fit.ttft_without(row) for row in rows}
    recipe, sequences = rows[0].recipe, {row: replayed[row].decode_sequences for row in rows}
    skus = (package.sku_timing(sku, rows, fit.parameters, fit.pass_tokens) for sku in _skus(rows))
    timing = Timing(
        model=recipe.model,
        precision=recipe.precision,
        points=points.name,
        points_sha256=sha256(text),
        points_origin="published",
        fitted_on=context.clock.now().date().isoformat(),
        requests_per_conc=recipe.client.requests_per_conc,
        versions=replayed[rows[0]].versions,
        skus=tuple(package.with_ranges(sku, sequences) for sku in skus),
        errors=tuple(point_error(row, replayed[row], left_out[row], ttfts[row]) for row in rows),
    )
    write(out, timing.to_json())
    return render.timing_text(timing)


def _given(points: Path, text: bytes, recipe_set: RecipeSet) -> Sequence[GivenPoint]:
    if points.suffix == ".yaml":
        return given_by(points, recipe_set.catalogue)
    return points_of(text.decode(errors="replace"), where=str(points))


def _skus(rows: Sequence[Row]) -> list[str]:
    return sorted({row.recipe.sku for row in rows})


def _confirm(context: Context, fit: Fit, replayer: Replayer) -> dict[Row, Replayed]:
    """Replay every row at full size; where the surrogate was off, correct it and fit again, once."""
    replayed, worst = _replay_fit(context, fit, replayer)
    if worst >= CLOSE:
        fit.parameters = fit.solve(fit.rows, 2)
        replayed, _ = _replay_fit(context, fit, replayer)
    return replayed


def _replay_fit(context: Context, fit: Fit, replayer: Replayer) -> tuple[dict[Row, Replayed], float]:
    replayed = replayer.replay([(row, fit.timing(row)) for row in fit.rows])
    worst = fit.correct({row: (run.duration_s, run.tpot_ms) for row, run in replayed.items()})
    context.log(f"replayed {len(replayed)} points; the surrogate was off by {worst:.2%} at most")
    return replayed, worst


def _leave_one_out(context: Context, fit: Fit, replayer: Replayer) -> dict[Row, LeaveOneOut]:
    """Predict each row from the others; the replay only where they determine it."""
    spreads = {row: fit.uncertainty(row) for row in fit.rows}
    rows = identifiable(spreads)
    replayed = replayer.replay([(row, fit.timing_without(row)) for row in rows])
    unknown = len(spreads) - len(rows)
    context.log(f"left out {len(rows)} points in turn; {unknown} are not identifiable from the others")
    return {row: LeaveOneOut(spread, replayed.get(row)) for row, spread in spreads.items()}
