"""Which process runs on which GPUs of which tray.

Trays count from 0: infra trays first, then each prefill worker, then each decode worker. A worker of a tray or more takes
whole trays; smaller workers of one role share a tray.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from pipeline.schema.recipe import ROLES, Pool, Recipe, Role


@dataclass(frozen=True, slots=True)
class Process:
    """One engine process: it runs ``dp_ranks`` data-parallel ranks from ``dp_rank`` on, or a part of one that crosses trays."""

    role: Role
    worker: int
    rank: int  # of the process among those of its worker
    tray: int
    devices: tuple[int, ...]
    dp_rank: int
    dp_ranks: int
    headless: bool  # computes for the worker's first process and registers no instance of its own
    seat: int  # the worker's first GPU on its first tray: tells workers apart that share a tray
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
        """Where NATS and etcd run: the first infra tray, or the head where there is none."""
        return 0

    @property
    def head_tray(self) -> int:
        """The first worker tray; frontend and load client run there."""
        return self.infra_trays

    @property
    def gpus_held(self) -> int:
        """GPUs that the scheduler gives: all of every tray."""
        return self.trays * self.gpus_per_tray

    def worker(self, role: Role, number: int) -> tuple[Process, ...]:
        """The processes of one worker, leader first."""
        return tuple(one for one in self.processes if (one.role, one.worker) == (role, number))


def place(recipe: Recipe, gpus_per_tray: int) -> Layout:
    """Seat every process of a deployment."""
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
    """Generate instances that a frontend sees when all is up; wait for exactly these, neither fewer nor more."""
    return {role: sum(one.role == role and not one.headless for one in layout.processes) for role in ROLES}


@dataclass(frozen=True, slots=True)
class _Seat:
    """Where a worker begins, and how many GPUs each of its processes drives."""

    tray: int
    device: int
    size: int
    gpus_per_tray: int


def _process_gpus(pool: Pool, dp_launch: str, gpus_per_tray: int) -> int:
    """GPUs of one process: those of a rank where each rank has its own process, else all that the worker has on a tray."""
    is_own_rank = dp_launch == "per-gpu" and pool.gpus_per_rank <= gpus_per_tray
    return pool.gpus_per_rank if is_own_rank else min(pool.gpus_per_worker, gpus_per_tray)


def _seats(pool: Pool, tray: int, gpus_per_tray: int) -> Iterator[tuple[int, int]]:
    """First tray and first GPU there of each worker."""
    share = max(1, gpus_per_tray // pool.gpus_per_worker)
    whole = ceil(pool.gpus_per_worker / gpus_per_tray)
    for worker in range(pool.workers):
        yield tray + worker // share * whole, worker % share * pool.gpus_per_worker


def _worker(role: Role, pool: Pool, worker: int, seat: _Seat) -> Iterator[Process]:
    """The processes of one worker: its GPUs cut into equal pieces."""
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
