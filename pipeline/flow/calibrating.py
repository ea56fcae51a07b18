"""calibrate: given points in, timing parameters out, with what they reproduce and what they would have predicted."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pipeline import calibrate as room
from pipeline import plan as planning
from pipeline import render
from pipeline.calibrate import Fit, Row
from pipeline.edge.clock import SystemClock
from pipeline.errors import Problem, RecipeError
from pipeline.flow.recipes import judge, read_book
from pipeline.flow.world import World, read, write
from pipeline.load import Book, nearest
from pipeline.measure import lengths, replay
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.timing import PointError, SkuTiming, Timing

CLOSE = 0.005  # a surrogate that is off by more than this (log) is corrected and the fit repeated once
IDENTIFIABLE = 0.10  # a left-out point that the others predict with a larger s.d. than this is not identifiable


@dataclass(frozen=True, slots=True)
class _Task:
    """One replay in a process of its own."""

    job: Job
    sku: Sku
    timing: SkuTiming
    conc: int
    requests_per_conc: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Replayed:
    duration_s: float
    tpot_ms: float
    versions: dict[str, str]


def calibrate(world: World, points: Path, out: Path, *, workers: int) -> str:
    """Write the timing document and return its tables as text."""
    text = read(points)
    book = read_book(world)
    rows = _rows(book, room.read_points(text.decode(), where=str(points)), str(points))
    with _processes(workers) as surrogates:
        fits = {sku: Fit(mine, lambda loops: list(surrogates.map(room.closed_loop, loops))) for sku, mine in rows.items()}
        for sku, fit in fits.items():
            world.say(f"{sku}: {len(fit.fit())} parameters from {2 * len(fit.rows)} figures, on the surrogate")
        replayed = _confirm(world, book, fits, workers)
        left_out = _leave_one_out(world, book, fits, workers)
    recipes = [row.recipe for mine in rows.values() for row in mine]
    timing = Timing(
        model=recipes[0].model,
        precision=recipes[0].precision,
        points=points.name,
        points_sha256=hashlib.sha256(text).hexdigest(),
        points_origin="published",
        fitted_on=world.clock.now().date().isoformat(),
        requests_per_conc=recipes[0].client.requests_per_conc,
        versions=next(iter(replayed.values())).versions,
        skus=tuple(room.sku_timing(sku, fit.rows, fit.parameters) for sku, fit in fits.items()),
        errors=tuple(_error(fit, row, replayed[row], left_out.get(row)) for fit in fits.values() for row in fit.rows),
    )
    write(out, timing.to_json())
    return render.timing_text(timing)


def _rows(book: Book, given: Sequence[room.Given], where: str) -> dict[str, list[Row]]:
    """Rows by SKU id, each matched to the recipe that deploys its shape at its concurrency."""
    rows: dict[str, list[Row]] = {}
    problems = []
    for point in given:
        sku = book.catalogue.sku(point.sku)
        recipe = next((one for one in book.recipes.values() if sku and point.is_of(one, sku.id)), None)
        if sku is None:
            problems.append(Problem(where, point.line, 1, f"unknown SKU {point.sku!r}", nearest(point.sku, book.catalogue.skus)))
        elif recipe is None:
            shape = f"{point.prefill.workers} x {point.prefill.shape} + {point.decode.workers} x {point.decode.shape}"
            problems.append(
                Problem(where, point.line, 1, f"no recipe deploys {shape} at {point.conc} on {sku.id}", "write the recipe first")
            )
        else:
            drawn = lengths.draw(
                recipe.workload, recipe.client, requests=point.conc * recipe.client.requests_per_conc, seed=recipe.client.seed
            )
            tokens = room.Lengths(*(tuple(side.tolist()) for side in drawn))
            rows.setdefault(sku.id, []).append(Row(recipe, point.conc, point.total_tok_s_gpu, point.tpot_ms, tokens))
    if problems:
        raise RecipeError(problems)
    return rows


def _confirm(world: World, book: Book, fits: dict[str, Fit], workers: int) -> dict[Row, _Replayed]:
    """Replay every row at full size; where the surrogate was off, fit again with what it was off by, once."""
    for attempt in ("first", "last"):
        points = [(fit, row, room.sku_timing(sku, fit.rows, fit.parameters)) for sku, fit in fits.items() for row in fit.rows]
        replayed = _replay(book, [(row, timing) for _, row, timing in points], workers)
        worst = max(fit.correct({row: (replayed[row].duration_s, replayed[row].tpot_ms) for row in fit.rows}) for fit in fits.values())
        world.say(f"replayed {len(points)} points; the surrogate was off by {worst:.2%} at most")
        if worst < CLOSE or attempt == "last":
            break
        for fit in fits.values():
            fit.parameters = fit.solve(fit.rows, 2)
    return replayed


def _leave_one_out(world: World, book: Book, fits: dict[str, Fit], workers: int) -> dict[Row, tuple[float, _Replayed | None, float]]:
    """Per row: (s.d. of its prediction by the others, that prediction or None, the overhead that goes with it)."""
    found: dict[Row, tuple[float, _Replayed | None, float]] = {}
    predictions: list[tuple[Row, SkuTiming]] = []
    for sku, fit in fits.items():
        for row in fit.rows:
            spread = fit.uncertainty(row)
            found[row] = (spread, None, 0.0)
            if spread <= IDENTIFIABLE:
                parameters = fit.solve([one for one in fit.rows if one is not row], 3)
                predictions.append((row, room.sku_timing(sku, fit.rows, parameters)))
    replayed = _replay(book, predictions, workers)
    for row, timing in predictions:
        found[row] = (found[row][0], replayed[row], timing.overhead_s)
    world.say(f"left out {len(predictions)} points in turn; {len(found) - len(predictions)} are not identifiable from the others")
    return found


def _error(fit: Fit, row: Row, fitted: _Replayed, left_out: tuple[float, _Replayed | None, float] | None) -> PointError:
    spread, predicted, overhead = left_out or (math.inf, None, 0.0)
    return PointError(
        recipe=row.recipe.id,
        sku=row.recipe.sku,
        conc=row.conc,
        total_tok_s_gpu=row.total_tok_s_gpu,
        tpot_ms=row.tpot_ms,
        fitted_total_tok_s_gpu=room.rate(row, fitted.duration_s, fit.parameters["overhead_s"]),
        fitted_tpot_ms=fitted.tpot_ms,
        left_out_total_tok_s_gpu=room.rate(row, predicted.duration_s, overhead) if predicted else None,
        left_out_tpot_ms=predicted.tpot_ms if predicted else None,
        left_out_sd=spread if math.isfinite(spread) else None,
    )


def _replay(book: Book, points: Sequence[tuple[Row, SkuTiming]], workers: int) -> dict[Row, _Replayed]:
    """Full-size replays, the longest first, each in a fresh process so that none inherits another's memory."""
    tasks = []
    for row, timing in points:
        recipe = row.recipe
        job = planning.job(recipe, book.catalogue.clusters["laptop"], book.catalogue, None, judge(book, recipe))
        client = recipe.client
        tasks.append(_Task(job, book.catalogue.skus[recipe.sku], timing, row.conc, client.requests_per_conc, client.seed))
    order = sorted(range(len(tasks)), key=lambda index: -tasks[index].conc)
    with _processes(workers, per_child=1) as pool:
        results = list(pool.map(_one_replay, [tasks[index] for index in order]))
    return {points[index][0]: result for index, result in zip(order, results, strict=True)}


def _one_replay(task: _Task) -> _Replayed:
    job = task.job.model_copy(update={"recipe": task.job.recipe.model_copy(update={"conc": (task.conc,)})})
    with tempfile.TemporaryDirectory() as staging:
        setup = replay.Setup(job, task.sku, task.timing, task.requests_per_conc, task.seed, Path(staging))
        measured = replay.measure(setup, clock=SystemClock())
    (point,) = measured.points
    return _Replayed(point.duration_s - point.overhead_s, point.tpot_ms.p50 or math.nan, measured.versions)


@contextmanager
def _processes(workers: int, per_child: int | None = None) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=per_child) as pool:
        yield pool
