"""All recipes with what they inherit, and all that they refer to; read from texts, so also from another git revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

from pipeline.errors import Problem, RecipeError
from pipeline.load.check import check
from pipeline.load.conform import conform, nearest, salvage
from pipeline.load.nodes import Mark, Node, compose, merge
from pipeline.schema.base import Document
from pipeline.schema.catalogue import Catalogue, Cluster, Llm, Sku
from pipeline.schema.recipe import ROLES, Recipe

D = TypeVar("D", bound=Document)
Texts = Mapping[str, str | bytes]
STAND_INS: Mapping[str, Any] = {  # of fields that no check of shapes, flags and places looks at
    "title": "-",
    "source": "-",
    "notes": "",
    "was": [],
    "conc": [1],
    "image": "-@sha256:",
    "versions": {},
    "model_revision": None,
    "infra_trays": 0,
    "client": {
        "requests_per_conc": 1,
        "warmup_per_conc": 0,
        "warmup_req_s": 1.0,
        "shortest": 1.0,
        "seed": 0,
        "ignore_eos": True,
        "chat_template": True,
    },
    "limits": {"time_s": 1, "ready_s": 1},
}
SUFFIXES = (".yaml", ".json")  # of the files below recipes/ that have a meaning
RESERVED = ("models", "clusters", "schema", "timing")


@dataclass(frozen=True, slots=True)
class RecipeSet:
    """Checked recipes by id, the catalogue, and where each value came from."""

    recipes: dict[str, Recipe]
    catalogue: Catalogue
    nodes: dict[str, Node]

    def mark(self, recipe_id: str, *location: str) -> Mark:
        """Where a field of a recipe stands."""
        node = self.nodes[recipe_id].at(location)
        return node.key or node.mark

    def origins(self, recipe_id: str) -> Iterator[tuple[str, Any, Mark]]:
        """(dotted path, value, place) of every leaf of a resolved recipe, in the order of the file."""
        yield from _leaves(self.nodes[recipe_id], ())


def read(texts: Texts) -> RecipeSet:
    """The book, or RecipeError with every problem of every file."""
    recipe_set, problems = examine(texts)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise RecipeError(errors)
    return recipe_set


def examine(texts: Texts) -> tuple[RecipeSet, list[Problem]]:
    """The book of what is sound, and every finding; paths are relative to recipes/, with ``/``."""
    loader = _RecipeLoader(texts)
    catalogue = loader.catalogue()
    recipes: dict[str, Recipe] = {}
    nodes: dict[str, Node] = {}
    for path in sorted(loader.files):
        if not _is_read(path):
            hint = "recipes/<llm>-<precision>/<sku>/<isl-osl>/<shape>.yaml, models/NAME.yaml, clusters/NAME.yaml or skus.yaml"
            loader.problems.append(Mark(path, 1, 1).problem("a file that nothing reads", hint))
        elif _is_recipe(path):
            recipe, node = loader.recipe(path, catalogue)
            if recipe is not None:
                recipes[recipe.id], nodes[recipe.id] = recipe, node
    loader.problems += _twins(recipes, nodes)
    return RecipeSet(recipes, catalogue, nodes), sorted(set(loader.problems))


def recipe_id(path: str) -> str:
    """Path below recipes/ without suffix, ``/`` → ``.``."""
    return str(PurePosixPath(path).with_suffix("")).replace("/", ".")


def _is_read(path: str) -> bool:
    place = PurePosixPath(path)
    if place.suffix != ".yaml":
        return False
    if place.parts[0] in RESERVED:
        return place.parts[0] in ("models", "clusters") and len(place.parts) == 2
    return place.name.startswith("_") or path == "skus.yaml" or _is_recipe(path)


def _is_recipe(path: str) -> bool:
    place = PurePosixPath(path)
    return len(place.parts) > 1 and place.parts[0] not in RESERVED and not place.name.startswith("_")


@dataclass(slots=True)
class _RecipeLoader:
    texts: Texts
    files: dict[str, Node] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in sorted(self.texts):
            node, problems = compose(path, self.texts[path])
            self.problems += problems
            self.files[path] = node or Node({}, Mark(path, 1, 1))
            if node is None:
                self.unreadable.add(path)

    def catalogue(self) -> Catalogue:
        skus_node = self.files.get("skus.yaml", Node({}, Mark("skus.yaml", 1, 1)))
        entries = skus_node.value if isinstance(skus_node.value, dict) else {}
        skus = {name: self.document(Sku, node, {"id": name}) for name, node in entries.items()}
        llms = {name: self.document(Llm, node, {"id": name}) for name, node in self.folder("models")}
        clusters = {
            name: self.document(Cluster, node, {"id": name}) for name, node in self.folder("clusters")
        }
        found = Catalogue(
            skus={name: sku for name, sku in skus.items() if sku},
            llms={name: llm for name, llm in llms.items() if llm},
            clusters={name: cluster for name, cluster in clusters.items() if cluster},
        )
        for name, cluster in found.clusters.items():
            self.problems += _cluster_findings(
                cluster, self.files[f"clusters/{name}.yaml"], self.declared_skus()
            )
        return found

    def declared_skus(self) -> frozenset[str]:
        """SKUs that may be referred to, sound or not: what is wrong with them has been said once."""
        skus = self.files["skus.yaml"].value if "skus.yaml" in self.files else {}
        return frozenset(skus if isinstance(skus, dict) else ())

    def declared_llms(self) -> frozenset[str]:
        """The same of LLMs."""
        return frozenset(name for name, _ in self.folder("models"))

    def folder(self, name: str) -> Iterator[tuple[str, Node]]:
        for path, node in self.files.items():
            place = PurePosixPath(path)
            if place.parts[0] == name and len(place.parts) == 2:
                yield place.stem, node

    def document(self, model: type[D], node: Node, extra: dict[str, Any]) -> D | None:
        if not isinstance(node.value, dict):
            self.problems.append(node.mark.problem("a mapping is expected here"))
            return None
        document, problems = conform(model, node, extra)
        self.problems += problems
        return document

    def recipe(self, path: str, catalogue: Catalogue) -> tuple[Recipe | None, Node]:
        before = len(self.problems)
        layers = self.layers(path)
        node = Node({}, Mark(path, 1, 1))
        for layer in layers:
            node = merge(node, layer)
        node = Node(node.value, Mark(path, 1, 1))
        if self.unreadable & {layer.mark.path for layer in layers}:
            return None, node  # its own file or one that it inherits from has been answered for
        name = {"id": recipe_id(path)}
        recipe = self.document(Recipe, node, name)
        checked = recipe or salvage(
            Recipe, node, name, STAND_INS
        )  # every mistake at once: the rest is checked too
        if checked is not None:
            self.problems += check(
                checked,
                node,
                str(PurePosixPath(path).parent),
                catalogue,
                self.declared_skus() | self.declared_llms(),
            )
        broken = any(problem.severity == "error" for problem in self.problems[before:])
        if recipe is not None:  # what it refers to may be broken, which has been said there
            broken = broken or recipe.sku not in catalogue.skus or recipe.model not in catalogue.llms
        return (None if broken else recipe), node

    def layers(self, path: str) -> list[Node]:
        """What a recipe is merged from: the bases of the folders from the top down, the partials, the file itself."""
        folders = [*reversed(PurePosixPath(path).parents)]
        bases = [
            self.files[base]
            for base in (str(folder / "_base.yaml") for folder in folders)
            if base in self.files
        ]
        return [_spread(layer) for layer in (*bases, *self.partials(path, ()))]

    def partials(self, path: str, above: tuple[str, ...]) -> list[Node]:
        """A file with the partials that it extends before it, without the word ``extends`` itself."""
        node = self.files[path]
        entries = dict(node.value) if isinstance(node.value, dict) else {}
        extends = entries.pop("extends", None)
        layers: list[Node] = []
        for name in extends.value if extends and isinstance(extends.value, list) else []:
            found = self.partial(str(name.plain), path)
            if found is None or found in above:
                what = "no partial" if found is None else "a circle of partials:"
                known = [
                    PurePosixPath(file).stem
                    for file in self.files
                    if PurePosixPath(file).name.startswith("_")
                ]
                self.problems.append(
                    name.mark.problem(f"{what} `{name.plain}`", nearest(str(name.plain), known))
                )
            else:
                layers += self.partials(found, (*above, path))
        if extends is not None and not isinstance(extends.value, list):
            self.problems.append(extends.mark.problem("`extends` is a list of partials", "extends: [_name]"))
        return [*layers, Node(entries, node.mark, node.key)]

    def partial(self, name: str, path: str) -> str | None:
        candidates = (str(folder / f"{name}.yaml") for folder in PurePosixPath(path).parents)
        return next((file for file in candidates if name.startswith("_") and file in self.files), None)


def _spread(layer: Node) -> Node:
    """A layer with ``both`` written out under prefill and decode, where what the role says itself goes before."""
    if not isinstance(layer.value, dict) or "both" not in layer.value:
        return layer
    entries = dict(layer.value)
    both = entries.pop("both")
    for role in ROLES:
        entries[role] = merge(both, entries[role], keeps_null=True) if role in entries else both
    return Node(entries, layer.mark, layer.key)


def _cluster_findings(cluster: Cluster, node: Node, declared: frozenset[str]) -> Iterator[Problem]:
    for missing, whose in cluster.needs().items():
        yield node.mark.problem(f"{whose} needs `{missing}`")
    for index, name in enumerate(cluster.skus):
        if name not in declared:
            yield node.at(("skus", index)).mark.problem(f"unknown SKU `{name}`", nearest(name, declared))


def _twins(recipes: Mapping[str, Recipe], nodes: Mapping[str, Node]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    former = {old: name for name, recipe in recipes.items() for old in recipe.was}
    for name, recipe in recipes.items():
        twin = first.setdefault(recipe.deployment_digest, name)
        if twin != name:
            what = f"the same deployment as {twin}"
            yield nodes[name].mark.problem(
                what, "put both concurrencies into one recipe; one deployment is one file"
            )
        if name in former:
            yield nodes[name].mark.problem(
                f"{former[name]} says it was {name}, which still exists", "take it out of `was`"
            )


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Mark]]:
    if isinstance(node.value, dict) and node.value:
        for name, inner in node.value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield ".".join(path), node.plain, node.mark
