"""What a name on the command line of ``compare`` stands for: a SKU, a recipe, a run or an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.analyse.sides import ComparedSide, Kind, newest
from pipeline.errors import PipelineError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.history import HistoryRow
from pipeline.schema.recipe import Recipe

Meanings = dict[Kind, ComparedSide]


@dataclass(frozen=True, slots=True)
class Subjects:
    """Everything that can be named; ``history`` is its URL, None = only recipes and SKUs are known."""

    catalogue: Catalogue
    recipes: Mapping[str, Recipe]
    rows: Sequence[HistoryRow]
    history: str | None

    def pair(
        self, names: tuple[str, str], recipes: tuple[Recipe | None, Recipe | None]
    ) -> tuple[Kind, tuple[ComparedSide, ComparedSide]]:
        """Return what two names stand for; ``recipes`` are those that they name. Raise PipelineError when they are not of one kind."""
        a, b = (self._known(name, recipe) for name, recipe in zip(names, recipes, strict=True))
        kind = next((kind for kind in a if kind in b), None)
        if kind is None:
            kinds = zip(names, (next(iter(a)), next(iter(b))), strict=True)
            parts = " and ".join(f"{name} is one of the {of}" for name, of in kinds)
            hint = "name two SKUs, two runs, two recipes or two images"
            raise PipelineError(f"{parts}: they cannot be compared", hint=hint)
        return kind, (a[kind], b[kind])

    def _known(self, name: str, recipe: Recipe | None) -> Meanings:
        found = self.meanings(name, recipe)
        if not found:
            and_not = (
                f", and no run or image of {self.history}"
                if self.history
                else "; runs and images need --history URL"
            )
            raise PipelineError(
                f"{name!r} is no SKU or recipe of this checkout{and_not}", hint=self.nearest(name)
            )
        return found

    def meanings(self, name: str, recipe: Recipe | None) -> Meanings:
        """Return everything that a name stands for, with the newest rows of each."""
        found: Meanings = {}
        if sku := self.catalogue.sku(name):
            own = newest(row for row in self.rows if row.record.job.recipe.sku == sku.id)
            found["SKUs"] = ComparedSide(sku.title, own, sku=sku)
        if recipe:
            own = newest(row for row in self.rows if row.record.job.recipe.id in (recipe.id, *recipe.was))
            found["recipes"] = ComparedSide(recipe.id, own, recipe=recipe)
        if run := tuple(row for row in self.rows if row.run[0] == name):
            found["runs"] = ComparedSide(name, run)
        if name in self.images:
            own = newest(row for row in self.rows if row.record.job.recipe.image == name)
            found["images"] = ComparedSide(name, own)
        return found

    def nearest(self, name: str) -> str:
        """Return the nearest of everything that can be named; the SKUs where nothing is near."""
        skus = {alias.lower() for sku in self.catalogue.skus.values() for alias in (sku.id, *sku.aliases)}
        known = [*skus, *self.recipes, *self.images, *(row.run[0] for row in self.rows)]
        close = get_close_matches(name.lower(), known, n=1)
        return f"did you mean `{close[0]}`?" if close else f"SKUs: {', '.join(sorted(self.catalogue.skus))}"

    @property
    def images(self) -> set[str]:
        """The images that the history has rows of."""
        return {row.record.job.recipe.image for row in self.rows}
