"""upgrade: what recipes would meet in other engine versions, and the edits of their files that are known."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import render
from pipeline.flow.context import Context, texts, write
from pipeline.flow.recipes import read_recipe_set
from pipeline.load import edits, select, upgrading
from pipeline.schema.engine import EngineName
from pipeline.schema.upgrade import Upgrade


def upgrade(
    context: Context,
    names: Sequence[str],
    versions: dict[EngineName, str],
    image: str | None,
    *,
    writes: bool,
) -> Upgrade:
    """Return the findings of each recipe and the patch; with ``writes`` the patch is applied to the recipe files."""
    recipe_set = read_recipe_set(context)
    chosen = select.matching(recipe_set.recipes, names)
    found = [upgrading.upgraded(recipe_set, recipe, versions) for recipe in chosen]
    made = edits.upgrade_edits(recipe_set, found, versions, image)
    files = texts(context.recipes).items()
    before = {path: text.decode("utf-8") for path, text in files if isinstance(text, bytes)}
    after = edits.apply(before, made.edits)
    if writes:
        for path, text in after.items():
            write(context.recipes / path, text)
    recipes = tuple(one.model_copy(update={"manual": made.manual.get(one.recipe, ())}) for one in found)
    return Upgrade(recipes=recipes, patch=edits.patch(before, after, f"{context.recipes.name}/"))


def as_text(found: Upgrade) -> str:
    """Return the findings and the patch for a terminal."""
    return render.upgrade_text(found)
