"""Replays for calibrate: full-size replays of calibration points, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import calibrate
from pipeline import plan as planning
from pipeline.calibrate import Row
from pipeline.calibrate.confirm import Replayed
from pipeline.edge.clock import Clock
from pipeline.edge.process_pool import worker_processes
from pipeline.load import RecipeSet, scope
from pipeline.measure import lengths, replay
from pipeline.schema.catalogue import Sku
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import SkuTiming


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays points of a recipe set in virtual time, ``workers`` at a time."""

    recipe_set: RecipeSet
    clock: Clock
    workers: int

    def replay(self, points: Sequence[tuple[Row, SkuTiming]]) -> dict[Row, Replayed]:
        """Return the figures of each point; the longest replay starts first."""
        order = sorted(points, key=lambda point: -point[0].conc)
        with worker_processes(self.workers, calls_per_process=1) as pool:
            figures = list(pool.map(_replay, [self._task(*point) for point in order]))
        by_row = dict(zip((row for row, _ in order), figures, strict=True))
        return {row: by_row[row] for row, _ in points}

    def _task(self, row: Row, timing: SkuTiming) -> _Task:
        recipe, catalogue = row.recipe, self.recipe_set.catalogue
        at_conc = recipe.model_copy(update={"conc": (row.conc,)})
        hbm = scope.hbm_of(self.recipe_set, recipe)
        job = planning.job(at_conc, catalogue.clusters["laptop"], catalogue, (), hbm)
        return _Task(job, catalogue.skus[recipe.sku], timing, self.clock)


@dataclass(frozen=True, slots=True)
class _Task:
    """Everything that one process needs for one replay."""

    job: Job
    sku: Sku
    timing: SkuTiming
    clock: Clock


def draw_lengths(recipe: Recipe, conc: int) -> calibrate.RequestLengths:
    """Return the request lengths of a recipe at a concurrency, as the replay draws them."""
    client = recipe.client
    drawn = lengths.draw(recipe.workload, client, requests=conc * client.requests_per_conc, seed=client.seed)
    return calibrate.RequestLengths(*(tuple(side.tolist()) for side in drawn))


def _replay(task: _Task) -> Replayed:
    client = task.job.recipe.client
    with tempfile.TemporaryDirectory() as staging:
        settings = replay.ReplaySettings(
            task.job, task.sku, task.timing, client.requests_per_conc, client.seed, Path(staging)
        )
        measured = replay.measure(settings, clock=task.clock)
    (point,) = measured.points
    return Replayed.of(point, measured.versions)
