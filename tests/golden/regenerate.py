"""Write the golden files again: ``python -m tests.golden.regenerate``; then read the diff."""

from __future__ import annotations

from pathlib import Path

from pipeline import load
from pipeline.launch import dynamo, layout
from pipeline.launch.launchers import LAUNCHERS

HERE = Path(__file__).parent
RECIPES = HERE.parent.parent / "recipes"


def book() -> load.Book:
    """The repository's own recipes."""
    return load.read(
        {
            path.relative_to(RECIPES).as_posix(): path.read_text("utf-8")
            for path in sorted(RECIPES.rglob("*.yaml"))
        }
    )


def commands() -> dict[Path, str]:
    """What ``show --commands`` prints, by golden file."""
    found = book()
    texts = {}
    for recipe in found.recipes.values():
        placed = layout.place(recipe, found.catalogue.skus[recipe.sku].gpus_per_tray)
        served = found.catalogue.llms[recipe.model].served_name
        listed = dynamo.commands(recipe, served_name=served, model_path="/model", layout=placed)
        texts[HERE / "commands" / f"{recipe.id}.txt"] = dynamo.describe(listed)
    return texts


def manifests() -> dict[Path, str]:
    """What each launcher would start for the smoke recipes, by golden file."""
    from tests.fakes import orders  # noqa: PLC0415  # it reads the book above

    texts = {}
    for name in (orders.GB200, orders.GB300):
        order, cluster = (
            orders.order(name, run_id="26105123", model_path="/recipes/tokenizers/tiny"),
            orders.cluster(),
        )
        texts[HERE / "manifests" / f"local.{name}.txt"] = LAUNCHERS["local"].manifest(order, cluster)
    return texts


if __name__ == "__main__":
    for path, text in (commands() | manifests()).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
