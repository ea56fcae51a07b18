"""What a report is about: the recipes that its definition selects, and its data as one document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pipeline.analyse.coverage import skus_without_rows
from pipeline.deployment.shape_fits import shape_fits
from pipeline.errors import PipelineError
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.history import HistoryRow
from pipeline.schema.published import Study
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition, ReportData
from pipeline.schema.timing import Timing


@dataclass(frozen=True, slots=True)
class ReportScope:
    """A report's name and definition, the catalogue, and the recipes that it selects."""

    name: str
    definition: Definition
    catalogue: Catalogue
    recipes: tuple[Recipe, ...]

    def awaited(self, in_plans: Collection[str]) -> tuple[str, ...]:
        """Return the recipes of the plans that the report selects: a missing one is a failure."""
        return tuple(sorted({recipe.id for recipe in self.recipes}.intersection(in_plans)))

    def data(
        self,
        rows: tuple[tuple[HistoryRow, ...], tuple[HistoryRow, ...]],
        *,
        timing: Timing | None,
        studies: Sequence[Study],
        in_plans: Collection[str],
    ) -> ReportData:
        """Return everything that the pages need; ``rows`` are the current rows and the rows before.

        ``in_plans`` are the recipe ids in the plans of the reported run.
        """
        skus = self.catalogue.skus
        own = [skus[sku] for sku in self.definition.skus]
        llms = {llm: self.catalogue.llms[llm] for llm in sorted({recipe.model for recipe in self.recipes})}
        comparison, first = self.definition.comparison, self.recipes[0]
        peers = {name: sku for name, sku in skus.items() if name not in self.definition.skus}
        current, previous = rows
        awaited = self.awaited(in_plans)
        return ReportData(
            name=self.name,
            definition=self.definition,
            skus={sku.id: sku for sku in own},
            llms=llms,
            timing=timing,
            planned=tuple(sorted(recipe.id for recipe in self.recipes)),
            planned_skus=skus_without_rows(self.recipes, current),
            awaited=awaited,
            left_out=tuple(sorted(set(in_plans).difference(awaited))),
            rows=current,
            previous=previous,
            peers=peers if comparison else {},
            fits=shape_fits(first, own, llms[first.model], comparison.fit) if comparison else (),
            studies=tuple(studies),
        )


def selected(
    definition: Definition, recipes: Mapping[str, Recipe], own: Sequence[Recipe], llms: Mapping[str, object]
) -> tuple[Recipe, ...]:
    """Return the recipes that a definition selects; those of the reported run, ``own``, replace recipes of the same or a former id."""
    known = {one.id: one for one in own if one.model in llms}
    names = {*known, *(name for one in known.values() for name in one.was)}
    others = {name: one for name, one in recipes.items() if names.isdisjoint((name, *one.was))}
    found = [
        recipe
        for recipe in {**others, **known}.values()
        if fnmatchcase(recipe.id, definition.select) and recipe.sku in definition.skus
    ]
    if not found:
        raise PipelineError(f"no recipe matches {definition.select!r}", where=f"report {definition.title!r}")
    return tuple(found)


def timing_of(rows: Sequence[HistoryRow], documents: Iterable[Timing]) -> Timing | None:
    """Return the first timing document that a row was simulated with; None when there is none."""
    digests = {row.record.job.environment.get("timing") for row in rows} - {None}
    return next((timing for timing in documents if timing.measured_digest in digests), None)
