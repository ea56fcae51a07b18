"""The loader: reads the files of a recipes folder as texts, of any git revision, and checks all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

from pipeline.errors import Problem, RecipeError
from pipeline.load import clusters as cluster_rules
from pipeline.load import engine_files, limits
from pipeline.load.check import check
from pipeline.load.conform import conform, salvage
from pipeline.load.inheritance import Inheritance, resolved
from pipeline.load.nodes import Mark, Node, compose
from pipeline.load.recipe_set import RecipeSet
from pipeline.schema.base import Document
from pipeline.schema.catalogue import Catalogue, Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.recipe import Recipe

D = TypeVar("D", bound=Document)
Texts = Mapping[str, str | bytes | limits.Unreadable]
STAND_INS: Mapping[str, Any] = {  # for wrong values of fields that the checks of shapes and flags do not read
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
    "limits": {"time_s": 10**9, "ready_s": 1},
}
PATHS = "<llm>-<precision>/<sku>/<isl-osl>/<shape>.yaml, models/NAME.yaml, clusters/NAME.yaml, skus.yaml or engines/NAME/VERSION.json"
REGULAR = "recipes are regular files: write the file itself here"
SUFFIXES = (".yaml", ".json")  # of the files below recipes/ that are read
RESERVED = ("models", "clusters", "schema", "timing", "engines")


def read(texts: Texts) -> RecipeSet:
    """Return the recipe set; RecipeError with every problem of every file."""
    recipe_set, problems = examine(texts)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise RecipeError(errors)
    return recipe_set


def examine(texts: Texts) -> tuple[RecipeSet, list[Problem]]:
    """Return the set of all valid recipes, and every problem; paths are relative to recipes/, with ``/``."""
    loader = _RecipeLoader(texts)
    catalogue = loader.catalogue()
    recipes: dict[str, Recipe] = {}
    nodes: dict[str, Node] = {}
    for path in sorted(loader.files):
        if path in loader.unread:
            continue  # its problem is enough
        if not is_read(path):
            loader.problems.append(
                Mark(path, 1, 1).problem("no command reads this file", f"expected: {PATHS}")
            )
        elif _is_recipe(path):
            recipe, node = loader.recipe(path, catalogue)
            if recipe is not None:
                recipes[recipe.id], nodes[recipe.id] = recipe, node
    loader.problems += _conflicts(recipes, nodes)
    return RecipeSet(recipes, catalogue, nodes), limits.cut(loader.problems)


def recipe_id(path: str) -> str:
    """Return the id of a recipe: its path below recipes/ without suffix, ``/`` → ``.``."""
    return str(PurePosixPath(path).with_suffix("")).replace("/", ".")


def is_read(path: str) -> bool:
    """Return whether a file below recipes/ is one that the loader reads."""
    place = PurePosixPath(path)
    if engine_files.is_engine(path):
        return True
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
    unread: set[str] = field(default_factory=set)  # of these, the ones that are no regular files
    problems: list[Problem] = field(default_factory=list)
    inheritance: Inheritance = field(init=False)

    def __post_init__(self) -> None:
        for path in sorted(self.texts):
            text = self.texts[path]
            if engine_files.is_engine(path):
                continue
            if isinstance(text, limits.Unreadable):
                self.problems.append(Mark(path, 1, 1).problem(text.why, REGULAR))
                self.unreadable.add(path)
                self.unread.add(path)
                self.files[path] = Node({}, Mark(path, 1, 1))
                continue
            node, problems = compose(path, text)
            self.problems += problems
            self.files[path] = node or Node({}, Mark(path, 1, 1))
            if node is None:
                self.unreadable.add(path)
        self.inheritance = Inheritance(self.files, self.problems)

    def catalogue(self) -> Catalogue:
        skus = {name: self.document(Sku, node, {"id": name}) for name, node in self.skus().items()}
        llms = {name: self.document(Llm, node, {"id": name}) for name, node in self.folder("models")}
        clusters = {name: self.cluster(name, node) for name, node in self.folder("clusters")}
        found = Catalogue(
            skus={name: sku for name, sku in skus.items() if sku},
            llms={name: llm for name, llm in llms.items() if llm},
            clusters={name: cluster for name, cluster in clusters.items() if cluster},
            engines=engine_files.engines(self.texts, self.problems),
        )
        for name, cluster in found.clusters.items():
            node = self.files[f"clusters/{name}.yaml"]
            self.problems += cluster_rules.findings(cluster, node, frozenset(self.skus()))
        return found

    def cluster(self, name: str, node: Node) -> Cluster | None:
        """Return a cluster document; a former spelling is a problem, and the cluster is still known."""
        current, problems = cluster_rules.with_site(node)
        self.problems += problems
        return self.document(Cluster, current, {"id": name})

    def skus(self) -> dict[str, Node]:
        """Return the entries of skus.yaml, valid or not."""
        node = self.files.get("skus.yaml")
        return node.value if node is not None and isinstance(node.value, dict) else {}

    def folder(self, name: str) -> Iterator[tuple[str, Node]]:
        """Yield the files of models/ or clusters/, valid or not."""
        for path, node in self.files.items():
            place = PurePosixPath(path)
            if place.parts[0] == name and len(place.parts) == 2:
                yield place.stem, node

    def document(self, model: type[D], node: Node, extra: dict[str, Any]) -> D | None:
        if node.mark.path in self.unreadable:
            return None  # the problem of the unreadable file is enough
        if not isinstance(node.value, dict):
            self.problems.append(node.mark.problem("this must be a mapping", "write `key: value` lines"))
            return None
        document, problems = conform(model, node, extra)
        self.problems += problems
        return document

    def recipe(self, path: str, catalogue: Catalogue) -> tuple[Recipe | None, Node]:
        before = len(self.problems)
        layers = self.inheritance.layers(path)
        start = Mark(path, 1, 1)
        node = Node(resolved(layers, Node({}, start)).value, start)
        if (values := node.size) > limits.MAX_MERGED:
            most = limits.MAX_MERGED
            what = f"this recipe and what it inherits have {values} keys and values, more than {most}"
            self.problems.append(start.problem(what, "remove what no recipe needs"))
            return None, Node({}, start)
        if self.unreadable & {layer.mark.path for layer in layers}:
            return None, node  # the problem of the unreadable file is enough
        extra = {"id": recipe_id(path)}
        recipe = self.document(Recipe, node, extra)
        checked = recipe or salvage(Recipe, node, extra, STAND_INS)  # so that all problems are found at once
        if checked is not None:
            defined = frozenset([*self.skus(), *(name for name, _ in self.folder("models"))])
            folder = str(PurePosixPath(path).parent)
            self.problems += check(checked, node, folder, catalogue, defined)
        is_invalid = any(problem.severity == "error" for problem in self.problems[before:])
        if recipe is None or recipe.sku not in catalogue.skus or recipe.model not in catalogue.llms:
            is_invalid = True  # a SKU or LLM with problems has them reported at its own place
        return (None if is_invalid else recipe), node


def _conflicts(recipes: Mapping[str, Recipe], nodes: Mapping[str, Node]) -> Iterator[Problem]:
    """Yield the recipes that describe the same deployment, or that have the former id of another one."""
    first: dict[str, str] = {}
    renamed = {former: name for name, recipe in recipes.items() for former in recipe.was}
    for name, recipe in recipes.items():
        twin = first.setdefault(recipe.deployment_digest, name)
        if twin != name:
            hint = "list all concurrencies in one of the two files, and delete the other"
            yield nodes[name].mark.problem(f"this is the same deployment as {twin}", hint)
        if name in renamed:
            what = f"{renamed[name]} lists this recipe under `was`, as its former id"
            yield nodes[name].mark.problem(what, "remove it from `was`, or rename this recipe")
