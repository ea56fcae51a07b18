"""Recipes by name: an id, the path of a file, or a glob over ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath

from pipeline.errors import PipelineError
from pipeline.load.conform import nearest
from pipeline.schema.recipe import Recipe


def find_recipe(recipes: Mapping[str, Recipe], name: str) -> Recipe | None:
    """Return the recipe of an id, or of the path of its file; None when there is none."""
    return recipes.get(_id(recipes, name))


def one_recipe(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    """Return the recipe of an id or path; raise PipelineError with the nearest id when there is none."""
    found = find_recipe(recipes, name)
    if found is None:
        wanted = _id(recipes, name)
        raise PipelineError(f"no recipe {wanted!r}", hint=nearest(wanted, recipes))
    return found


def matching(recipes: Mapping[str, Recipe], globs: Iterable[str]) -> list[Recipe]:
    """Return the recipes whose id matches one of the globs, by id; raise PipelineError for a glob that matches none."""
    found: dict[str, Recipe] = {}
    for glob in globs:
        names = [name for name in recipes if fnmatchcase(name, glob)]
        found |= {name: recipes[name] for name in names or [one_recipe(recipes, glob).id]}
    return [found[name] for name in sorted(found)]


def _id(recipes: Mapping[str, Recipe], name: str) -> str:
    wanted = PurePath(name).as_posix().removesuffix(".yaml").replace("/", ".") if "/" in name else name
    return next((known for known in recipes if wanted.endswith(f".{known}")), wanted)
