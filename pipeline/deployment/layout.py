"""The layout of a deployment: which process runs on which GPUs of which tray.

Trays count from 0: infra trays first, then the prefill workers, then the decode workers. A worker with at
least the GPUs of a tray takes whole trays; smaller workers of one role share a tray.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from pipeline.schema.recipe import ROLES, Pool, Recipe, Role


@dataclass(frozen=True, slots=True)
class Process:
    """One engine process: ``dp_ranks`` ranks from ``dp_rank`` on, or part of a rank that crosses trays."""

    role: Role
    worker: int
    rank: int  # of the process within its worker
    tray: int
    devices: tuple[int, ...]
    dp_rank: int
    dp_ranks: int
    headless: bool  # computes for the first process of the worker and registers no instance
    seat: int  # first GPU of the worker on its first tray; differs between workers that share a tray
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """All engine processes of a deployment, in the order of their trays."""

    gpus_per_tray: int
    infra_trays: int
    trays: int
    processes: tuple[Process, ...]

    @property
    def services_tray(self) -> int:
        """Tray of NATS and etcd: the first infra tray, or the head tray where there is no infra tray."""
        return 0

    @property
    def head_tray(self) -> int:
        """First tray with workers; frontend and load client run there."""
        return self.infra_trays

    @property
    def gpus_held(self) -> int:
        """GPUs that the scheduler allocates: all GPUs of every tray."""
        return self.trays * self.gpus_per_tray

    def worker(self, role: Role, number: int) -> tuple[Process, ...]:
        """Return the processes of one worker, leader first."""
        return tuple(one for one in self.processes if (one.role, one.worker) == (role, number))


def place(recipe: Recipe, gpus_per_tray: int) -> Layout:
    """Return the layout of a deployment."""
    processes: list[Process] = []
    tray = recipe.infra_trays
    for role in ROLES:
        pool = recipe.pools[role]
        size = _process_gpus(pool, recipe.dp_launch, gpus_per_tray)
        for worker, (first, seat) in enumerate(_seats(pool, tray, gpus_per_tray)):
            processes += _worker(role, pool, worker, _Seat(first, seat, size, gpus_per_tray))
        tray = processes[-1].tray + 1
    return Layout(
        gpus_per_tray=gpus_per_tray, infra_trays=recipe.infra_trays, trays=tray, processes=tuple(processes)
    )


def instances(layout: Layout) -> dict[Role, int]:
    """Return how many instances of each role the frontend lists when the whole deployment is ready."""
    return {role: sum(one.role == role and not one.headless for one in layout.processes) for role in ROLES}


@dataclass(frozen=True, slots=True)
class _Seat:
    """First tray and GPU of a worker, and the GPUs of each of its processes."""

    tray: int
    device: int
    size: int
    gpus_per_tray: int


def _process_gpus(pool: Pool, dp_launch: str, gpus_per_tray: int) -> int:
    """Return the GPUs of one process: those of a rank for dp_launch per-gpu, else of the worker on a tray."""
    has_one_rank = dp_launch == "per-gpu" and pool.gpus_per_rank <= gpus_per_tray
    return pool.gpus_per_rank if has_one_rank else min(pool.gpus_per_worker, gpus_per_tray)


def _seats(pool: Pool, tray: int, gpus_per_tray: int) -> Iterator[tuple[int, int]]:
    """Yield the first tray of each worker, and its first GPU on that tray."""
    share = max(1, gpus_per_tray // pool.gpus_per_worker)
    whole = ceil(pool.gpus_per_worker / gpus_per_tray)
    for worker in range(pool.workers):
        yield tray + worker // share * whole, worker % share * pool.gpus_per_worker


def _worker(role: Role, pool: Pool, worker: int, seat: _Seat) -> Iterator[Process]:
    """Yield the processes of one worker: its GPUs in equal groups."""
    count = ceil(pool.gpus_per_worker / seat.size)
    for rank in range(count):
        step, device = divmod(seat.device + rank * seat.size, seat.gpus_per_tray)
        yield Process(
            role=role,
            worker=worker,
            rank=rank,
            tray=seat.tray + step,
            devices=tuple(range(device, device + seat.size)),
            dp_rank=rank * seat.size // pool.gpus_per_rank,
            dp_ranks=max(1, seat.size // pool.gpus_per_rank),
            headless=rank > 0 and pool.gpus_per_rank > seat.gpus_per_tray,
            seat=seat.device,
            name=f"{role}-{worker}" + (f"-{rank}" if count > 1 else ""),
        )
