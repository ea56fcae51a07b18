"""A planned job with everything that its launcher needs."""

from __future__ import annotations

from pathlib import Path

from pipeline import load
from pipeline.deployment.timings import sku_timing
from pipeline.errors import LaunchError
from pipeline.flow.context import Context, recipes_root, texts
from pipeline.launch.base import LaunchSpec
from pipeline.schema.cluster import Cluster
from pipeline.schema.engine import EngineChoice
from pipeline.schema.plan import Job, Plan
from pipeline.schema.recipe import Recipe


def spec(context: Context, plan: Plan, job: Job, *, run_id: str, attempt: int) -> LaunchSpec:
    """Return a planned job with everything that its launcher needs."""
    recipe = job.recipe
    vllm, dynamo = _engines(context, plan.cluster, recipe)
    return LaunchSpec(
        job=job,
        sku=plan.skus[recipe.sku],
        llm=plan.llms[recipe.model],
        timing=sku_timing(plan.timings, recipe) if plan.cluster.is_simulated else None,
        model_path=_model_path(context, plan.cluster, recipe.model),
        run_id=run_id,
        attempt=attempt,
        vllm=vllm,
        dynamo=dynamo,
    )


def _engines(
    context: Context, cluster: Cluster, recipe: Recipe
) -> tuple[EngineChoice | None, EngineChoice | None]:
    """Return the catalogue entries of the engine versions of a recipe, vLLM and Dynamo; none for simulated engines."""
    if cluster.engine_override is not None:
        return None, None
    catalogue = load.examine(texts(context.recipes))[0].catalogue
    return catalogue.engine("vllm", recipe), catalogue.engine("dynamo", recipe)


def _model_path(context: Context, cluster: Cluster, model: str) -> str:
    stated = cluster.model_paths.get(model)
    if stated is None:
        raise LaunchError(
            f"no files of {model} on this cluster",
            where=f"cluster {cluster.id}",
            hint=f"set model_paths.{model} in the cluster document",
        )
    if not cluster.site.on_this_machine or Path(stated).is_absolute():
        return stated
    return str((recipes_root(context.recipes) / stated).resolve())
