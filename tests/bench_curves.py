"""Frontier and readings of many curves beside a SciPy PCHIP loop over the same knots, in one run: part of ``nox -s bench``."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from scipy.interpolate import PchipInterpolator

from pipeline.analyse.iso import Knots

CURVES, POINTS, AT, BOUND_S, SEED = 10_000, 12, 35, 5.0, 1
RUNS = 3


def made() -> list[list[tuple[float, float]]]:
    """Curves of noisy trade-offs, so that some points are dominated."""
    generator = np.random.default_rng(SEED)
    x = np.sort(generator.uniform(10, 80, (CURVES, POINTS)), axis=1)
    y = 1e5 / x * generator.lognormal(0, 0.2, (CURVES, POINTS))
    return [list(zip(one.tolist(), other.tolist(), strict=True)) for one, other in zip(x, y, strict=True)]


def main() -> None:
    curves, at = made(), np.linspace(8, 85, AT).tolist()
    ours, scipys, frontiers = [], [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        frontiers = [Knots.of(points) for points in curves]
        read = [knots.read(at) for knots in frontiers]
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        other = [
            PchipInterpolator(knots.x, knots.y, extrapolate=False)(at)
            for knots in frontiers
            if len(knots.x) > 1
        ]
        scipys.append(time.perf_counter() - start)
    unreachable = sum(value is None for row in read for value in row)
    print(
        f"{CURVES:,} curves x {POINTS} points x {AT} interactivities, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, n={RUNS}"
    )
    print(
        f"frontier and readings {sorted(ours)[1]:8.2f} s [{min(ours):.2f}, {max(ours):.2f}]  promised: {BOUND_S:.0f} s"
    )
    print(
        f"PCHIP of the same knots {sorted(scipys)[1]:6.2f} s [{min(scipys):.2f}, {max(scipys):.2f}]  without the frontier"
    )
    print(f"{len(read) * AT:,} readings, {unreachable:,} unreachable; {len(other):,} PCHIP curves")
    if min(ours) > BOUND_S:
        sys.exit(f"slower than promised: {min(ours):.2f} s")


if __name__ == "__main__":
    main()
