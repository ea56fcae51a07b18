"""Recipes as jobs of a cluster, here and at another git revision."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import load
from pipeline import plan as planning
from pipeline.edge.git import Git
from pipeline.errors import PipelineError
from pipeline.flow.context import Context, texts
from pipeline.flow.timing_files import timings_of
from pipeline.load import RecipeSet, scope
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Job
from pipeline.schema.timing import Timing


def survey(context: Context, cluster_name: str) -> tuple[RecipeSet, dict[str, Job]]:
    """Return the valid recipes of the folder, and each as a job of a cluster; no jobs for an unknown cluster."""
    recipe_set, _ = load.examine(texts(context.recipes))
    cluster = recipe_set.catalogue.clusters.get(cluster_name)
    if cluster is None:
        return recipe_set, {}
    return recipe_set, {job.id: job for job in jobs_of(recipe_set, cluster, timings_of(context, cluster))}


def jobs_of(recipe_set: RecipeSet, cluster: Cluster, timings: Sequence[Timing]) -> list[Job]:
    """Return every recipe of a recipe set as a job of a cluster."""
    return [
        planning.job(recipe, cluster, recipe_set.catalogue, timings, scope.hbm_of(recipe_set, recipe))
        for recipe in recipe_set.recipes.values()
    ]


def identities_at(context: Context, since: str, cluster_name: str) -> dict[str, str]:
    """Return what each recipe measured where this branch left a revision; a recipe that fails to load is absent."""
    git = Git(context.shell, context.recipes)
    shown = git.files_at(git.merge_base(since), load.SUFFIXES)
    recipe_set, _ = load.examine({name: text for name, text in shown.items() if load.is_read(name)})
    cluster = recipe_set.catalogue.clusters.get(cluster_name)
    if cluster is None:
        return {}
    try:
        timings = [Timing.from_json(shown[name], where=name) for name in cluster.timings]
        return {job.id: planning.identity(job) for job in jobs_of(recipe_set, cluster, timings)}
    except (KeyError, PipelineError):
        return {}  # no timing that this version can read: everything counts as changed
