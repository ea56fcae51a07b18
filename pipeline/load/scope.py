"""Findings about a folder of recipes that need more than one file: deployments that do not fit, recipes without timing.

Also the findings of some paths only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.deployment import hbm as memory
from pipeline.deployment.timings import CALIBRATE, is_for
from pipeline.errors import PipelineError, Problem
from pipeline.load.conform import nearest
from pipeline.load.recipe_set import RecipeSet
from pipeline.schema.cluster import Cluster
from pipeline.schema.plan import Hbm
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import Timing


def hbm_of(recipe_set: RecipeSet, recipe: Recipe, sku: str | None = None) -> tuple[Hbm, ...] | None:
    """Return the HBM of both roles on the recipe's SKU, or on another one; None where its capacity is not recorded."""
    skus = recipe_set.catalogue.skus
    found = skus[recipe.sku] if sku is None else recipe_set.catalogue.sku(sku)
    if found is None:
        raise PipelineError(f"unknown SKU {sku!r}", hint=nearest(str(sku), skus))
    return memory.estimate(recipe, found, recipe_set.catalogue.llms[recipe.model])


def unfit(recipe_set: RecipeSet) -> Iterator[Problem]:
    """Yield a problem for each role of each recipe that does not fit into HBM, with the narrowest width that does."""
    for recipe in recipe_set.recipes.values():
        for hbm in hbm_of(recipe_set, recipe) or ():
            if not hbm.fits:
                yield _unfit(recipe_set, recipe, hbm)


def untimed(recipe_set: RecipeSet, cluster: Cluster, timings: Sequence[Timing]) -> Iterator[Problem]:
    """Yield a warning for each recipe that a cluster of simulated engines runs, and has no timing for its LLM.

    ``timings``: the documents that the cluster names.
    """
    if not cluster.is_simulated:
        return
    for recipe in recipe_set.recipes.values():
        if (recipe.purpose, recipe.sku in cluster.skus) != (cluster.purpose, True):
            continue
        if not any(is_for(one, recipe) for one in timings):
            known = ", ".join(dict.fromkeys(f"{one.model} in {one.precision}" for one in timings)) or "no LLM"
            what = f"cluster {cluster.id} cannot simulate {recipe.model} in {recipe.precision}: it has timing for {known}"
            hint = f"calibrate it ({CALIBRATE}), and add FILE to `timing` of clusters/{cluster.id}.yaml"
            yield recipe_set.mark(recipe.id, "model").warning(what, hint)


def _unfit(recipe_set: RecipeSet, recipe: Recipe, hbm: Hbm) -> Problem:
    sku, llm = recipe_set.catalogue.skus[recipe.sku], recipe_set.catalogue.llms[recipe.model]
    better = memory.narrowest(recipe, hbm.role, sku, llm)
    what = (
        f"{hbm.role} {hbm.shape} does not fit {sku.id}: {hbm.weights_gb:.1f} GB of weights and {hbm.kv_gb:.1f} GB of KV"
        f" in {hbm.budget_gb:.1f} GB (short of {-hbm.headroom_gb:.1f} GB)"
    )
    hint = f"{better} would fit" if better else "no width of it would fit"
    return recipe_set.mark(recipe.id, hbm.role).problem(what, hint)


def concerning(
    problems: Iterable[Problem], paths: Sequence[Path], *, root: Path, files: Iterable[str]
) -> list[Problem]:
    """Return the problems in these files and folders, and in what recipes below them may inherit from or refer to.

    ``files`` are the paths that were read, relative to ``root``; raise PipelineError for a path that has none of them.
    """
    read = [root / file for file in files]
    for path in paths:
        if not any(file.is_relative_to(path) for file in read):
            hint = "it reads the YAML files below recipes/"
            raise PipelineError("nothing here that validate reads", where=str(path), hint=hint)
    return [one for one in problems if any(_concerns(root / one.path, path, root) for path in paths)]


def _concerns(file: Path, path: Path, root: Path) -> bool:
    """Return whether a file is below a path, or is shared by the recipes below it."""
    is_shared = file.name.startswith("_") or file.parent.name == "models" or file.name == "skus.yaml"
    above = file.parent if file.name.startswith("_") else root
    return file.is_relative_to(path) or (is_shared and path.is_relative_to(above))
