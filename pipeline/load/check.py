"""Rules for a whole recipe that a schema cannot express: references, folder, concurrencies, lengths, rack."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import Problem
from pipeline.load.conform import nearest
from pipeline.load.engine_check import engine_problems
from pipeline.load.nodes import Node
from pipeline.load.pool_check import PoolCheck
from pipeline.load.rules import rule_problems
from pipeline.schema.catalogue import Catalogue, Sku
from pipeline.schema.recipe import ROLES, Recipe


def folder_of(recipe: Recipe) -> str:
    """Return the folder below recipes/ that a recipe belongs in.

    Lengths are in binary thousands: 8192 input and 1024 output tokens are ``8k1k``.
    """
    lengths = "".join(
        f"{n // 1024}k" if n % 1024 == 0 else f"{n}-" for n in (recipe.workload.isl, recipe.workload.osl)
    ).strip("-")
    return f"{recipe.model}-{recipe.precision}/{recipe.sku}/{lengths}"


def check(
    recipe: Recipe, node: Node, folder: str, catalogue: Catalogue, defined: frozenset[str]
) -> Iterator[Problem]:
    """Yield every problem of a recipe that matches its schema.

    ``defined`` are the ids of all SKUs and LLMs that have a document. One with problems is not in
    the catalogue, but it is not unknown either.
    """
    sku, llm = catalogue.skus.get(recipe.sku), catalogue.llms.get(recipe.model)
    if sku is None and recipe.sku not in defined:
        what = f"unknown SKU `{recipe.sku}`"
        yield node.at(("sku",)).mark.problem(what, nearest(recipe.sku, catalogue.skus))
    if llm is None and recipe.model not in defined:
        what = f"unknown LLM `{recipe.model}`"
        yield node.at(("model",)).mark.problem(what, nearest(recipe.model, catalogue.llms))
    if llm is not None and recipe.precision not in llm.precisions:
        what = f"models/{llm.id}.yaml has no weights in {recipe.precision}"
        yield node.at(("precision",)).mark.problem(what, f"known: {', '.join(llm.precisions)}")
    yield from _concurrencies(recipe, node)
    yield from _requests(recipe, node)
    yield from _place(recipe, node, folder)
    yield from engine_problems(recipe, node, catalogue)
    for role in ROLES:
        yield from PoolCheck(role, recipe.pools[role], node.at((role,)), sku, recipe).problems()
    yield from rule_problems(recipe, node, catalogue)
    if sku is not None:
        yield from _rack(recipe, node, sku)


def _concurrencies(recipe: Recipe, node: Node) -> Iterator[Problem]:
    where, conc = node.at(("conc",)).mark, list(recipe.conc)
    hint = f"write conc: {sorted(set(conc))}"
    if len(set(conc)) < len(conc):
        yield where.problem(f"conc {conc} lists a concurrency twice", hint)
    elif conc != sorted(conc):
        yield where.problem(f"conc {conc} is not in rising order", hint)


def _requests(recipe: Recipe, node: Node) -> Iterator[Problem]:
    shortest = recipe.client.shortest
    for name, length in (("isl", recipe.workload.isl), ("osl", recipe.workload.osl)):
        if int(length * shortest) < 1:
            what = f"{name} {length} x client.shortest {shortest:g} is less than 1 token"
            hint = "raise client.shortest; with 1, every request has the full length"
            yield node.at(("workload", name)).mark.problem(what, hint)
    if not recipe.client.ignore_eos:
        what = "with ignore_eos: false, a stream that ends early looks the same as one that was cut off"
        hint = "set ignore_eos: true; then the workload determines the output length"
        yield node.at(("client", "ignore_eos")).mark.problem(what, hint)


def _place(recipe: Recipe, node: Node, folder: str) -> Iterator[Problem]:
    if folder != folder_of(recipe):
        what = f"this recipe belongs in {folder_of(recipe)}/, not in {folder}/"
        yield node.mark.problem(what, "move the file, or correct model, precision, sku, isl or osl")
    if "@sha256:" not in recipe.image:
        what = f"image {recipe.image} is a tag, which can be moved to another image"
        yield node.at(("image",)).mark.warning(what, "pin it by digest: NAME@sha256:…")


def _rack(recipe: Recipe, node: Node, sku: Sku) -> Iterator[Problem]:
    used = recipe.gpus_held(sku.gpus_per_tray) // sku.gpus_per_tray
    if used > sku.trays:
        what = (
            f"{recipe.gpus_counted} GPUs and {recipe.infra_trays} infra trays need {used} trays, "
            f"but a rack of {sku.id} has {sku.trays}"
        )
        yield node.mark.problem(what, f"use fewer workers: one scale-up domain has {sku.domain_gpus} GPUs")
