"""Orders for the repository's own smoke recipes, cut down to one prefill and one decode worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import plan as planning
from pipeline.deployment import hbm
from pipeline.deployment.timings import sku_timing
from pipeline.launch.base import LaunchSpec
from pipeline.schema.cluster import Cluster
from pipeline.schema.timing import Timing
from tests.golden.regenerate import RECIPES, recipe_set

GB200, GB300 = (
    "deepseek-v4-pro-fp4.gb200-nvl72.1k64.1p2d-dep8-tp8",
    "deepseek-v4-pro-fp4.gb300-nvl72.1k64.1p2d-tep4-tp4",
)
MODEL = RECIPES / "tokenizers" / "tiny"


def cluster(**site: Any) -> Cluster:
    """Cluster local-live with other fields of its ``site``."""
    found = recipe_set().catalogue.clusters["local-live"]
    return found.model_copy(update={"site": found.site.model_copy(update=site)})


def slurm_cluster(work_dir: Path, **site: Any) -> Cluster:
    """The example of a Slurm site, with simulated engines and a folder that exists."""
    found = recipe_set().catalogue.clusters["gb200-slurm"]
    fields = {"work_dir": str(work_dir), "time_scale": 2.0, "discovery": "file", **site}
    update = {"engine_override": "mocker", "timing": "timing/deepseek-v4-pro-fp4.json"}
    return found.model_copy(update={**update, "site": found.site.model_copy(update=fields)})


def spec(
    name: str = GB300, *, run_id: str, decode: dict[str, int] | None = None, model_path: Path | str = MODEL
) -> LaunchSpec:
    """An order for a recipe of the repository, with this changed of its decode pool."""
    found = recipe_set()
    recipe = found.recipes[name]
    recipe = recipe.model_copy(update={"decode": recipe.decode.model_copy(update=decode or {})})
    here, sku, llm = (
        found.catalogue.clusters["local-live"],
        found.catalogue.skus[recipe.sku],
        found.catalogue.llms[recipe.model],
    )
    timings = [Timing.from_json((RECIPES / name).read_text("utf-8"), where=name) for name in here.timings]
    job = planning.job(recipe, here, found.catalogue, timings, hbm.estimate(recipe, sku, llm))
    return LaunchSpec(job, sku, llm, sku_timing(timings, recipe), str(model_path), run_id, attempt=1)
