"""Findings about a folder of recipes that need more than one file.

Deployments that do not fit, recipes without timing; also the findings of some paths only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.deployment import hbm as memory
from pipeline.deployment.timings import CALIBRATE, is_for
from pipeline.errors import PipelineError, Problem
from pipeline.load.conform import nearest
from pipeline.load.recipe_set import RecipeSet
from pipeline.schema.catalogue import Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.hbm import Hbm, RecipeFit
from pipeline.schema.recipe import Recipe
from pipeline.schema.timing import Timing


def hbm_of(recipe_set: RecipeSet, recipe: Recipe) -> tuple[Hbm, ...] | None:
    """Return the HBM of both roles on the recipe's SKU; None where its capacity is not recorded."""
    catalogue = recipe_set.catalogue
    return memory.estimate(recipe, catalogue.skus[recipe.sku], catalogue.llms[recipe.model])


def fit_of(recipe_set: RecipeSet, recipe: Recipe, sku: str | None = None) -> RecipeFit:
    """Return how a recipe fits its SKU, or another one."""
    found = _sku(recipe_set, recipe, sku)
    roles = memory.role_fits(recipe, found, recipe_set.catalogue.llms[recipe.model])
    return RecipeFit(recipe=recipe.id, sku=found.id, roles=roles)


def unfit(recipe_set: RecipeSet) -> Iterator[Problem]:
    """Yield an error for each role that does not fit into HBM, and a warning where its author accepts that.

    Also a warning where there is nothing to accept.
    """
    for recipe in recipe_set.recipes.values():
        roles = hbm_of(recipe_set, recipe) or ()
        for hbm in roles:
            if not hbm.fits:
                yield _unfit(recipe_set, recipe, hbm)
        if recipe.fit and roles and all(hbm.fits and not hbm.unknown for hbm in roles):
            what = f"{recipe.id} fits into HBM: there is nothing to accept"
            yield recipe_set.mark(recipe.id, "fit", "accept").warning(what, "remove `fit`")


def untimed(recipe_set: RecipeSet, cluster: Cluster, timings: Sequence[Timing]) -> Iterator[Problem]:
    """Yield a warning for each recipe that a cluster of simulated engines runs without timing for its LLM.

    ``timings``: the documents that the cluster names.
    """
    if not cluster.is_simulated:
        return
    for recipe in recipe_set.recipes.values():
        if (recipe.purpose, recipe.sku in cluster.skus) != (cluster.purpose, True):
            continue
        if not any(is_for(one, recipe) for one in timings):
            known = ", ".join(dict.fromkeys(f"{one.model} in {one.precision}" for one in timings)) or "no LLM"
            what = f"cluster {cluster.id} cannot simulate {recipe.model} in {recipe.precision}: "
            what += f"it has timing for {known}"
            hint = f"calibrate it ({CALIBRATE}), and add FILE to `timing` of clusters/{cluster.id}.yaml"
            yield recipe_set.mark(recipe.id, "model").warning(what, hint)


def _unfit(recipe_set: RecipeSet, recipe: Recipe, hbm: Hbm) -> Problem:
    sku, llm = recipe_set.catalogue.skus[recipe.sku], recipe_set.catalogue.llms[recipe.model]
    mark = recipe_set.mark(recipe.id, hbm.role)
    what = (
        f"{hbm.role} {hbm.shape} does not fit {sku.id}: {hbm.weights_gb:.1f} GB of weights and"
        f" {hbm.other_gb:.1f} GB of activations, CUDA graphs and overhead leave {hbm.kv_budget_gb:.1f} of"
        f" {hbm.budget_gb:.1f} GB for KV, and one sequence of {hbm.max_model_len or hbm.tokens} tokens"
        f" takes {hbm.longest_gb or 0:.1f} GB (short of {hbm.short_gb:.1f} GB)"
    )
    if hbm.accepted is not None:
        return mark.warning(what, f"accepted: {hbm.accepted}")
    better = memory.narrowest(recipe, hbm.role, sku, llm)
    hint = f"{better} would fit" if better else "no width of it would fit"
    return mark.problem(what, f"{hint}; `fit: {{accept: REASON}}` lets it run anyway")


def _sku(recipe_set: RecipeSet, recipe: Recipe, name: str | None) -> Sku:
    skus = recipe_set.catalogue.skus
    found = skus[recipe.sku] if name is None else recipe_set.catalogue.sku(name)
    if found is None:
        raise PipelineError(f"unknown SKU {name!r}", hint=nearest(str(name), skus))
    return found


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
