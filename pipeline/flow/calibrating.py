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
from pipeline.calibrate.confirm import CLOSE, LeftOut, Replayed, identifiable, point_error, recipe_of
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
from pipeline.schema.timing import SkuTiming, Timing


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
        errors=tuple(point_error(row, replayed[row], left_out[row]) for row in rows),
    )
    write(out, timing.to_json())
    return render.timing_text(timing)


def _rows(recipe_set: RecipeSet, given: Sequence[room.GivenPoint], where: str) -> list[Row]:
    """Each point with the recipe that deploys its shape at its concurrency."""
    rows = []
    problems = []
    for point in given:
        sku = recipe_set.catalogue.sku(point.sku)
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
            continue
        recipe = recipe_of(point, recipe_set.recipes.values(), sku.id, where=where)
        if isinstance(recipe, Problem):
            problems.append(recipe)
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


def _confirm(context: Context, recipe_set: RecipeSet, fit: Fit, workers: int) -> dict[Row, Replayed]:
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


def _leave_one_out(context: Context, recipe_set: RecipeSet, fit: Fit, workers: int) -> dict[Row, LeftOut]:
    """What the other points alone say of each, replayed; only the spread where they cannot."""
    spreads = {row: fit.uncertainty(row) for row in fit.rows}
    timings = {}
    for row in identifiable(spreads):
        parameters = fit.solve([one for one in fit.rows if one is not row], 3)
        timings[row] = _timing(fit, row, parameters)
    replayed = _replay(context, recipe_set, list(timings.items()), workers)
    context.log(
        f"left out {len(timings)} points in turn; {len(spreads) - len(timings)} are not identifiable from the others"
    )
    return {row: LeftOut(spread, replayed.get(row)) for row, spread in spreads.items()}


def _timing(fit: Fit, row: Row, parameters: Mapping[str, float]) -> SkuTiming:
    return room.sku_timing(row.recipe.sku, fit.rows, parameters)


def _replay(
    context: Context, recipe_set: RecipeSet, points: Sequence[tuple[Row, SkuTiming]], workers: int
) -> dict[Row, Replayed]:
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


def _one_replay(task: _Task) -> Replayed:
    job = task.job.model_copy(update={"recipe": task.job.recipe.model_copy(update={"conc": (task.conc,)})})
    with tempfile.TemporaryDirectory() as staging:
        setup = replay.ReplaySettings(
            job, task.sku, task.timing, task.requests_per_conc, task.seed, Path(staging)
        )
        measured = replay.measure(setup, clock=task.clock)
    (point,) = measured.points
    return Replayed(
        point.duration_s - point.overhead_s,
        point.overhead_s,
        point.tpot_ms.p50 or math.nan,
        measured.versions,
    )


@contextmanager
def _processes(workers: int, per_child: int | None = None) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=per_child) as pool:
        yield pool
