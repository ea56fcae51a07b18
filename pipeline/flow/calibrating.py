"""calibrate: given points in, timing parameters out, with what they reproduce and what they would have predicted."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pipeline import calibrate as room
from pipeline import plan as planning
from pipeline import render
from pipeline.calibrate import Fit, Row
from pipeline.edge.clock import Clock
from pipeline.edge.files import sha256
from pipeline.errors import Problem, RecipeError
from pipeline.flow.context import Context, read, write
from pipeline.flow.published import given_by
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import RecipeSet, nearest, scope
from pipeline.measure import lengths, replay
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.timing import PointError, SkuTiming, Timing

CLOSE = 0.005  # a surrogate that is off by more than this (log) is corrected and the fit repeated once
IDENTIFIABLE = (
    0.10  # a left-out point that the others predict with a larger s.d. than this is not identifiable
)


@dataclass(frozen=True, slots=True)
class _Task:
    """One replay in a process of its own."""

    job: Job
    sku: Sku
    timing: SkuTiming
    conc: int
    requests_per_conc: int
    seed: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Replayed:
    """What is taken from a replay: seconds without the fixed overhead, that overhead, median TPOT."""

    duration_s: float
    overhead_s: float
    tpot_ms: float
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """One point as the others see it; ``spread`` is the relative s.d. of that."""

    spread: float
    replayed: _Replayed | None


def calibrate(context: Context, points: Path, out: Path, *, workers: int) -> str:
    """Write the timing document and return its tables as text."""
    text = read(points)
    recipe_set = read_recipe_set(context)
    is_study = points.suffix == ".yaml"
    given = (
        given_by(points, recipe_set.catalogue)
        if is_study
        else room.read_points(text.decode(errors="replace"), where=str(points))
    )
    rows = _rows(recipe_set, given, str(points))
    with _processes(workers) as surrogates:
        fit = Fit(rows, lambda loops: list(surrogates.map(room.closed_loop, loops)))
        context.log(f"{len(fit.fit())} parameters from {2 * len(rows)} figures, on the surrogate")
        replayed = _confirm(context, recipe_set, fit, workers)
        left_out = _leave_one_out(context, recipe_set, fit, workers)
    recipe = rows[0].recipe
    timing = Timing(
        model=recipe.model,
        precision=recipe.precision,
        points=points.name,
        points_sha256=sha256(text),
        points_origin="published",
        fitted_on=context.clock.now().date().isoformat(),
        requests_per_conc=recipe.client.requests_per_conc,
        versions=replayed[rows[0]].versions,
        skus=tuple(
            room.sku_timing(sku, rows, fit.parameters) for sku in sorted({row.recipe.sku for row in rows})
        ),
        errors=tuple(_error(row, replayed[row], left_out[row]) for row in rows),
    )
    write(out, timing.to_json())
    return render.timing_text(timing)


def _rows(recipe_set: RecipeSet, given: Sequence[room.GivenPoint], where: str) -> list[Row]:
    """Each point with the recipe that deploys its shape at its concurrency."""
    rows = []
    problems = []
    for point in given:
        sku = recipe_set.catalogue.sku(point.sku)
        recipe = next((one for one in recipe_set.recipes.values() if sku and point.is_of(one, sku.id)), None)
        if sku is None:
            problems.append(
                Problem(
                    where,
                    point.line,
                    1,
                    f"unknown SKU {point.sku!r}",
                    nearest(point.sku, recipe_set.catalogue.skus),
                )
            )
        elif recipe is None:
            shape = f"{point.prefill.workers} x {point.prefill.shape} + {point.decode.workers} x {point.decode.shape}"
            problems.append(
                Problem(
                    where,
                    point.line,
                    1,
                    f"no recipe deploys {shape} at {point.conc} on {sku.id}",
                    "write the recipe first",
                )
            )
        else:
            drawn = lengths.draw(
                recipe.workload,
                recipe.client,
                requests=point.conc * recipe.client.requests_per_conc,
                seed=recipe.client.seed,
            )
            tokens = room.Lengths(*(tuple(side.tolist()) for side in drawn))
            rows.append(Row(recipe, sku.hbm_tb_s, point.conc, point.total_tok_s_gpu, point.tpot_ms, tokens))
    if problems:
        raise RecipeError(problems)
    return rows


def _confirm(context: Context, recipe_set: RecipeSet, fit: Fit, workers: int) -> dict[Row, _Replayed]:
    """Replay every row at full size; where the surrogate was off, fit again with what it was off by, once."""
    for attempt in ("first", "last"):
        replayed = _replay(
            context, recipe_set, [(row, _timing(fit, row, fit.parameters)) for row in fit.rows], workers
        )
        worst = fit.correct({row: (run.duration_s, run.tpot_ms) for row, run in replayed.items()})
        context.log(f"replayed {len(replayed)} points; the surrogate was off by {worst:.2%} at most")
        if worst < CLOSE or attempt == "last":
            break
        fit.parameters = fit.solve(fit.rows, 2)
    return replayed


def _leave_one_out(context: Context, recipe_set: RecipeSet, fit: Fit, workers: int) -> dict[Row, _LeftOut]:
    """What the other points alone say of each, replayed; only the spread where they cannot say it to ``IDENTIFIABLE``."""
    spreads = {row: fit.uncertainty(row) for row in fit.rows}
    timings = {}
    for row in (row for row, spread in spreads.items() if spread <= IDENTIFIABLE):
        parameters = fit.solve([one for one in fit.rows if one is not row], 3)
        timings[row] = _timing(fit, row, parameters)
    replayed = _replay(context, recipe_set, list(timings.items()), workers)
    context.log(
        f"left out {len(timings)} points in turn; {len(spreads) - len(timings)} are not identifiable from the others"
    )
    return {row: _LeftOut(spread, replayed.get(row)) for row, spread in spreads.items()}


def _timing(fit: Fit, row: Row, parameters: Mapping[str, float]) -> SkuTiming:
    return room.sku_timing(row.recipe.sku, fit.rows, parameters)


def _error(row: Row, fitted: _Replayed, left_out: _LeftOut) -> PointError:
    predicted = left_out.replayed
    return PointError(
        recipe=row.recipe.id,
        sku=row.recipe.sku,
        conc=row.conc,
        total_tok_s_gpu=row.total_tok_s_gpu,
        tpot_ms=row.tpot_ms,
        fitted_total_tok_s_gpu=room.rate(row, fitted.duration_s, fitted.overhead_s),
        fitted_tpot_ms=fitted.tpot_ms,
        left_out_total_tok_s_gpu=room.rate(row, predicted.duration_s, predicted.overhead_s)
        if predicted
        else None,
        left_out_tpot_ms=predicted.tpot_ms if predicted else None,
        left_out_sd=left_out.spread if math.isfinite(left_out.spread) else None,
    )


def _replay(
    context: Context, recipe_set: RecipeSet, points: Sequence[tuple[Row, SkuTiming]], workers: int
) -> dict[Row, _Replayed]:
    """Full-size replays, the longest first, each in a fresh process so that none inherits another's memory."""
    tasks = []
    for row, timing in points:
        recipe = row.recipe
        job = planning.job(
            recipe,
            recipe_set.catalogue.clusters["laptop"],
            recipe_set.catalogue,
            None,
            scope.hbm_of(recipe_set, recipe),
        )
        client = recipe.client
        tasks.append(
            _Task(
                job,
                recipe_set.catalogue.skus[recipe.sku],
                timing,
                row.conc,
                client.requests_per_conc,
                client.seed,
                context.clock,
            )
        )
    order = sorted(range(len(tasks)), key=lambda index: -tasks[index].conc)
    with _processes(workers, per_child=1) as pool:
        results = list(pool.map(_one_replay, [tasks[index] for index in order]))
    return {points[index][0]: result for index, result in zip(order, results, strict=True)}


def _one_replay(task: _Task) -> _Replayed:
    job = task.job.model_copy(update={"recipe": task.job.recipe.model_copy(update={"conc": (task.conc,)})})
    with tempfile.TemporaryDirectory() as staging:
        setup = replay.ReplaySettings(
            job, task.sku, task.timing, task.requests_per_conc, task.seed, Path(staging)
        )
        measured = replay.measure(setup, clock=task.clock)
    (point,) = measured.points
    return _Replayed(
        point.duration_s - point.overhead_s,
        point.overhead_s,
        point.tpot_ms.p50 or math.nan,
        measured.versions,
    )


@contextmanager
def _processes(workers: int, per_child: int | None = None) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=per_child) as pool:
        yield pool
