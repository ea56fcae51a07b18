"""What a rule sees of one recipe, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from pydantic import JsonValue

from pipeline.deployment.scheduler import SIMULATE_FIELDS
from pipeline.deployment.settings import NEGATION, settings
from pipeline.deployment.speculative import query_tokens
from pipeline.schema.catalogue import Catalogue, Llm, Sku
from pipeline.schema.engine import Engine, release
from pipeline.schema.recipe import ROLES, Recipe, Role

Scope = Literal["role", "pair of roles", "client", "SKU", "LLM", "engine version"]
Place = tuple[str | int, ...]  # keys from the top of the recipe to the value that is wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule is broken."""

    place: Place
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Case:
    """A recipe with its SKU, LLM and engine versions, each None where it is not known."""

    recipe: Recipe
    sku: Sku | None
    llm: Llm | None
    vllm: Engine | None
    of_role: Mapping[Role, Mapping[str, JsonValue]]

    def setting(self, role: Role, name: str) -> JsonValue:
        """Return the value of an option; None where the recipe leaves it to the engine."""
        return self.of_role[role].get(name)

    def with_default(self, role: Role, name: str) -> JsonValue:
        """Return the stated value, else the literal default of the engine version; None = unknown."""
        stated = self.of_role[role].get(name)
        option = self.vllm.options.get(name) if self.vllm else None
        if stated is not None or option is None or not option.has_default:
            return stated
        return option.default

    def integer(self, role: Role, name: str) -> int | None:
        """Return a positive integer that the recipe states, as a flag or under ``simulate``."""
        value, field = self.of_role[role].get(name), SIMULATE_FIELDS.get(name)
        if value is None and field:
            value = getattr(getattr(self.recipe.simulate, role), field)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    def mapping(self, role: Role, name: str) -> Mapping[str, JsonValue]:
        """Return an option that is a JSON mapping; empty where it is absent or something else."""
        value = self.of_role[role].get(name)
        return value if isinstance(value, dict) else {}

    def place(self, role: Role, name: str) -> Place:
        """Return where an option is written, in either of its two forms."""
        flags = self.recipe.pools[role].flags
        written = next((one for one in (name, NEGATION + name) if flags.get(one) is not None), None)
        return (role, "flags", written) if written else (role, "flags")

    @property
    def vllm_release(self) -> tuple[int, int, int] | None:
        """Release numbers of the stated vLLM version; None where it has none."""
        stated = self.recipe.versions.get("vllm")
        return release(stated) if stated else None

    @property
    def conc(self) -> int:
        """Largest concurrency of the recipe."""
        return max(self.recipe.conc)

    @property
    def drafts(self) -> int:
        """Tokens that decode drafts for each sequence in a step; 0 for none, or unknown."""
        return query_tokens(self.recipe.decode) - 1

    @property
    def running(self) -> int | None:
        """Sequences that one decode rank runs at once at the largest concurrency; None = unknown."""
        limit = self.integer("decode", "max-num-seqs")
        return None if limit is None else min(limit, ceil(self.conc / self.recipe.decode.ranks))


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that several settings of a recipe must not say together."""

    id: str
    scope: Scope
    severity: Literal["error", "warning"]
    what: str  # one sentence
    why: str
    source: str
    find: Callable[[Case], Iterator[Finding]]


def case_of(recipe: Recipe, catalogue: Catalogue) -> Case:
    """Return a recipe with everything of the catalogue that rules hold it against."""
    choice = catalogue.engine("vllm", recipe)
    return Case(
        recipe=recipe,
        sku=catalogue.skus.get(recipe.sku),
        llm=catalogue.llms.get(recipe.model),
        vllm=choice.engine if choice else None,
        of_role={role: settings(recipe.pools[role].flags) for role in ROLES},
    )
