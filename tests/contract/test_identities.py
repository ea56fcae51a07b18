"""The identities of the repository's benchmark deployments: a digest or key that moves would split every stored series.

Where one must move, ``frozen/identities.json`` keeps the earlier value as ``{"old": …, "new": …}`` in its place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import load
from pipeline.schema.plan import Job
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import JobRecord, Measure, Origin, Provenance

RECIPES = Path(__file__).parents[2] / "recipes"
FROZEN: dict[str, Any] = json.loads((Path(__file__).parent / "frozen" / "identities.json").read_text("utf-8"))
SERIES: tuple[tuple[Origin, Measure], ...] = (
    ("simulated", "replay"),
    ("measured", "aiperf"),
    ("published", "article"),
)


def benchmarks() -> dict[str, Recipe]:
    texts = {
        path.relative_to(RECIPES).as_posix(): path.read_text("utf-8") for path in RECIPES.rglob("*.yaml")
    }
    return {
        name: recipe for name, recipe in load.read(texts).recipes.items() if recipe.purpose == "benchmark"
    }


def record(recipe: Recipe, origin: Origin, measure: Measure) -> JobRecord:
    """A run of the recipe's own client settings: the requests and the seed that it states."""
    job = Job(
        id=recipe.id,
        recipe=recipe,
        deployment_digest=recipe.deployment_digest,
        environment={},
        hbm=(),
        gpu_hours=None,
    )
    moment = "2026-11-23T02:00:00+00:00"
    provenance = Provenance(
        run_id="1",
        attempt=1,
        plan_id="p",
        git_sha=None,
        git_dirty=False,
        cluster="c",
        origin=origin,
        measure=measure,
        requests_per_conc=recipe.client.requests_per_conc,
        seed=recipe.client.seed,
        versions={},
        host=None,
        started_at=moment,
        finished_at=moment,
    )
    return JobRecord(job=job, provenance=provenance)


def identities(recipe: Recipe) -> dict[str, Any]:
    records = {f"{origin} {measure}": record(recipe, origin, measure) for origin, measure in SERIES}
    return {
        "deployment_digest": recipe.deployment_digest,
        "point_keys": {
            name: {str(conc): made.point_key(conc) for conc in recipe.conc} for name, made in records.items()
        },
        "series_keys": {
            name: {str(conc): made.series_key(conc) for conc in recipe.conc} for name, made in records.items()
        },
    }


def current(frozen: Any) -> Any:
    """The frozen value, and of one that had to move the new one."""
    if not isinstance(frozen, dict):
        return frozen
    if frozen.keys() == {"old", "new"}:
        return frozen["new"]
    return {name: current(value) for name, value in frozen.items()}


def test_the_eleven_benchmark_deployments_are_the_frozen_ones():
    assert sorted(benchmarks()) == sorted(FROZEN)
    assert len(FROZEN) == 11


@pytest.mark.parametrize("recipe", sorted(FROZEN))
def test_no_identity_of_a_deployment_has_moved(recipe):
    assert identities(benchmarks()[recipe]) == current(FROZEN[recipe])


def test_an_identity_that_had_to_move_is_kept_beside_the_new_one():
    assert current({"a": {"old": "1", "new": "2"}, "b": "3"}) == {"a": "2", "b": "3"}
