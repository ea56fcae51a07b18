"""Write the golden files again: ``python -m tests.golden.regenerate``; then read the diff."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline import load
from pipeline.deployment import invariants
from pipeline.flow.recipes import commands_of
from pipeline.launch import dynamo
from pipeline.launch.launchers import LAUNCHERS

HERE = Path(__file__).parent
RECIPES = HERE.parent.parent / "recipes"


def recipe_set() -> load.RecipeSet:
    """The repository's own recipes."""
    return load.read(
        {
            path.relative_to(RECIPES).as_posix(): path.read_text("utf-8")
            for pattern in ("**/*.yaml", "engines/*/*.json")
            for path in sorted(RECIPES.glob(pattern))
        }
    )


def commands() -> dict[Path, str]:
    """What ``show --commands`` prints, by golden file."""
    found = recipe_set()
    texts = {}
    for recipe in found.recipes.values():
        texts[HERE / "commands" / f"{recipe.id}.txt"] = dynamo.describe(commands_of(found, recipe))
    return texts


def manifests() -> dict[Path, str]:
    """What each launcher would start for the smoke recipes, by golden file."""
    from tests.fakes import launch_specs  # noqa: PLC0415  # it reads the recipe_set above

    texts = {}
    for name in (launch_specs.GB200, launch_specs.GB300):
        spec, cluster = (
            launch_specs.spec(name, run_id="26105123", model_path="/recipes/tokenizers/tiny"),
            launch_specs.cluster(),
        )
        texts[HERE / "manifests" / f"local.{name}.txt"] = LAUNCHERS["local"].manifest(spec, cluster)
    found = recipe_set()
    for recipe in found.recipes.values():
        if recipe.purpose == "benchmark":
            spec = launch_specs.spec(recipe.id, run_id="26105123", model_path="/models/DeepSeek-V4-Pro")
            spec = dataclasses.replace(spec, vllm=found.catalogue.engine("vllm", recipe))
            script = LAUNCHERS["slurm"].manifest(spec, found.catalogue.clusters["gb200-slurm"])
            texts[HERE / "manifests" / f"slurm.{recipe.id}.sbatch"] = script
    return texts


def invariants_page() -> dict[Path, str]:
    """The page of the invariants of a result."""
    return {HERE.parent.parent / "docs" / "invariants.md": invariants.markdown()}


if __name__ == "__main__":
    for path, text in (commands() | manifests() | invariants_page()).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
