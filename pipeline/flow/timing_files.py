"""Timing documents of clusters: read, and checked by validate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError, PlanError, Problem
from pipeline.flow.context import Context, read
from pipeline.load import RecipeSet, scope
from pipeline.load.nodes import compose
from pipeline.schema.cluster import Cluster
from pipeline.schema.timing import Timing


def timings_of(context: Context, cluster: Cluster) -> tuple[Timing, ...]:
    """Return the timing documents of a cluster; PlanError when a file is missing."""
    return tuple(_timing(context.recipes / name) for name in cluster.timings)


def timing_problems(context: Context, recipe_set: RecipeSet) -> Iterator[Problem]:
    """Yield timing documents that cannot be read, at their cluster, and recipes that lack one for their LLM."""
    for cluster in recipe_set.catalogue.clusters.values():
        try:
            timings = timings_of(context, cluster)
        except PipelineError as error:
            file = f"clusters/{cluster.id}.yaml"
            node, _ = compose(file, read(context.recipes / file))
            if node is not None:
                yield node.at(("timing",)).mark.problem(f"{error.where}: {error.what}", error.hint)
        else:
            yield from scope.untimed(recipe_set, cluster, timings)


def _timing(path: Path) -> Timing:
    if not path.is_file():
        hint = "create it: python -m pipeline calibrate POINTS --out FILE"
        raise PlanError("a timing document of the cluster is missing", where=str(path), hint=hint)
    return Timing.from_json(read(path), where=str(path))
