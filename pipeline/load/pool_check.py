"""Rules for one pool that a schema cannot express: GPUs, trays, spelling and values of flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.deployment import scheduler
from pipeline.errors import Problem
from pipeline.load.engine_values import INTEGERS, UTILIZATION
from pipeline.load.nodes import Node
from pipeline.load.spelling import spelling
from pipeline.schema.catalogue import Sku
from pipeline.schema.recipe import Pool, Recipe, Role


@dataclass(frozen=True, slots=True)
class PoolCheck:
    """One pool of a recipe with the SKU that it runs on, where that is known."""

    role: Role
    pool: Pool
    node: Node
    sku: Sku | None
    recipe: Recipe

    def problems(self) -> Iterator[Problem]:
        """Yield every problem of the pool."""
        yield from self._stated_gpus()
        if self.sku is not None:
            yield from self._trays(self.sku)
        yield from spelling(self.role, self.pool, self.node)
        yield from self._flag_values()
        yield from self._missing_flags()

    def _stated_gpus(self) -> Iterator[Problem]:
        pool, stated = self.pool, self.pool.gpus_stated
        if stated is None or stated == pool.gpus:
            return
        product = f"workers {pool.workers} x tp {pool.tp} x pp {pool.pp} x dp {pool.dp} = {pool.gpus}"
        per_worker = pool.gpus_per_worker
        if stated % per_worker:
            hint = f"{stated} GPUs would be {stated / per_worker:g} workers; correct gpus or the shape"
        else:
            hint = f"set workers: {stated // per_worker} or gpus: {pool.gpus}"
        what = f"{self.role} states {stated} GPUs, but {product}"
        yield self.node.at(("gpus",)).mark.problem(what, hint)

    def _trays(self, sku: Sku) -> Iterator[Problem]:
        pool, rank, tray = self.pool, self.pool.gpus_per_rank, sku.gpus_per_tray
        if rank > tray and not pool.crosses_trays:
            what = (
                f"{self.role} tp {pool.tp} x pp {pool.pp} needs {rank} GPUs, "
                f"but a tray of {sku.id} has {tray}"
            )
            hint = "set crosses_trays: true if a rank is meant to span several trays"
            yield self.node.at(("tp",)).mark.problem(what, hint)
        if pool.gpus_per_worker % tray and tray % pool.gpus_per_worker:
            what = (
                f"a {self.role} worker has {pool.gpus_per_worker} GPUs, "
                f"which is neither a multiple nor a divisor of the {tray} GPUs of a tray"
            )
            yield self.node.mark.problem(what, "change tp, pp or dp")

    def _flag_values(self) -> Iterator[Problem]:
        for name, value in self.pool.flags.items():
            if value is None:
                continue  # the same as an option that is not set
            where = self.node.at(("flags", name)).mark
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            if name in INTEGERS and not (isinstance(number, int) and number > 0):
                yield where.problem(f"{name} must be a positive integer", f"given: {value!r}")
            elif name == UTILIZATION and (number is None or number <= 0):
                yield where.problem(f"{name} must be a positive number", f"given: {value!r}")
            elif name == UTILIZATION and number is not None and number > 1:
                hint = "set the share of HBM that vLLM may use, at most 1"
                yield where.problem(f"{name} {value} is above 1", hint)

    def _missing_flags(self) -> Iterator[Problem]:
        for name in scheduler.missing(self.recipe, self.role):
            what = f"{self.role} does not state {name}, which the HBM estimate or a simulator needs"
            yield self.node.at(("flags",)).mark.problem(what, scheduler.how_to_state(self.role, name))
