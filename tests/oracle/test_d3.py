"""Readings against d3-shape's monotone curve, which the published study's site draws with: ``nox -s oracle``."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import numpy as np
import pytest

from pipeline.analyse.iso import Knots, readings

FRONTIERS, SEED = 1500, 20260522
PUBLISHED = [
    Knots(
        (15.26, 18.51, 21.6, 24.42, 28.31, 32.69, 74.13),
        (8933.0, 8153.1, 6036.2, 3148.0, 2004.5, 1613.8, 32.8),
    ),
    Knots((13.12, 14.74, 17.58, 25.91, 36.78, 73.43), (11055.6, 10853.1, 10214.0, 6812.0, 1920.0, 138.8)),
]


def drawn(curves: list[dict[str, Any]]) -> list[list[float]]:
    """The same curves as d3 draws them; NODE and CURVES are the session's."""
    ran = subprocess.run(
        [os.environ["NODE"], os.environ["CURVES"]],
        input=json.dumps(curves),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def random_curves() -> list[dict[str, Any]]:
    """Frontiers of random points, and every third with any values on its knots, as cost and TTFT have them."""
    generator = np.random.default_rng(SEED)
    made: list[dict[str, Any]] = []
    while len(made) < FRONTIERS:
        count = int(generator.integers(2, 40))
        x, y = generator.lognormal(3, 1, count), generator.lognormal(7, 2, count)
        knots = Knots.of(zip(x.tolist(), y.tolist(), strict=True))
        if len(knots.x) >= 2:
            values = generator.normal(0, 100, len(knots.x)).tolist() if len(made) % 3 == 0 else list(knots.y)
            inside = generator.uniform(knots.x[0], knots.x[-1], 30)
            made.append({"x": list(knots.x), "y": values, "at": [*knots.x, *inside.tolist()]})
    return made


def test_readings_are_those_of_d3_on_random_frontiers():
    curves = random_curves()
    assert len(curves) >= 1000
    assert {len(curve["x"]) for curve in curves} >= {2, 3, 4, 5, 6, 7}
    for curve, oracle in zip(curves, drawn(curves), strict=True):
        scale = max(map(abs, curve["y"]))
        assert readings(curve["x"], curve["y"], curve["at"]) == pytest.approx(oracle, rel=0, abs=1e-9 * scale)


def test_readings_are_those_of_d3_on_the_published_frontiers():
    curves = [{"x": k.x, "y": k.y, "at": np.linspace(k.x[0], k.x[-1], 500).tolist()} for k in PUBLISHED]
    for curve, oracle in zip(curves, drawn(curves), strict=True):
        assert readings(curve["x"], curve["y"], curve["at"]) == pytest.approx(oracle, rel=1e-9)
