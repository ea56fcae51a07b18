"""Recipes as jobs of a cluster, here and at another git revision."""

from __future__ import annotations

from pipeline import load
from pipeline import plan as planning
from pipeline.edge.git import Git
from pipeline.errors import PipelineError, PlanError
from pipeline.flow.context import Context, read, texts
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
    return recipe_set, {job.id: job for job in jobs_of(recipe_set, cluster, timing_of(context, cluster))}


def timing_of(context: Context, cluster: Cluster) -> Timing | None:
    """Return the timing document of a cluster; None without one, PlanError when its file is missing."""
    if not cluster.timing:
        return None
    path = context.recipes / cluster.timing
    if not path.is_file():
        hint = "create it: python -m pipeline calibrate POINTS --out FILE"
        raise PlanError("the timing document of the cluster is missing", where=str(path), hint=hint)
    return Timing.from_json(read(path), where=str(path))


def jobs_of(recipe_set: RecipeSet, cluster: Cluster, timing: Timing | None) -> list[Job]:
    """Return every recipe of a recipe set as a job of a cluster."""
    return [
        planning.job(recipe, cluster, recipe_set.catalogue, timing, scope.hbm_of(recipe_set, recipe))
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
        timing = Timing.from_json(shown[cluster.timing], where=cluster.timing) if cluster.timing else None
        return {job.id: planning.identity(job) for job in jobs_of(recipe_set, cluster, timing)}
    except (KeyError, PipelineError):
        return {}  # no timing that this version can read: everything counts as changed
